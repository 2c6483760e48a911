"""VGG-19 with batch normalization, the largest network of the slot machines' CIFAR-10 experiments."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from slotjax.models.batch_norm import batch_norm
from slotjax.models.convolution import convolution
from slotjax.models.pooling import max_pool_2x2


class VGG19(nn.Module):
    """Sixteen 3x3 convolutions, each with batch norm and ReLU, and one fully connected layer; no biases.

    2x2 max pooling follows each stage but the last, after which every channel is averaged.

    Attributes:
        classes: number of outputs.
        stages: number of convolutions and their channels, stage by stage.
        dropout: the share of units that is dropped before the fully connected layer, in training.
        affine: whether batch norm has a scale and a bias.
        dtype: what is computed in; statistics of batches are in float32. Default: that of weights and images.

    Implements Table 1 of Aladago & Torresani (2021), with four convolutions of 256 channels as VGG-19 has
    (Simonyan & Zisserman, 2015), where the table prints two.

    >>> model = slotjax.models.VGG19()
    >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> len(jax.tree.leaves(shapes["params"])), len(jax.tree.leaves(shapes["batch_stats"]))
    (17, 32)
    """

    classes: int = 10
    stages: Sequence[tuple[int, int]] = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
    dropout: float = 0.0
    affine: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of a batch of images."""
        norm = batch_norm(train, self.affine, self.dtype)
        layer = partial(nn.Conv, kernel_size=(3, 3), use_bias=False, dtype=self.dtype, conv_general_dilated=convolution)
        features = images
        for stage, (count, width) in enumerate(self.stages):
            if stage:
                features = max_pool_2x2(features)
            for _ in range(count):
                features = nn.relu(norm()(layer(width)(features)))
        features = nn.Dropout(self.dropout, deterministic=not train)(features.mean((1, 2)))
        return nn.Dense(self.classes, use_bias=False, dtype=self.dtype)(features)
