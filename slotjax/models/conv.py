"""CONV-2, CONV-4 and CONV-6, the convolutional networks of the papers' CIFAR-10 experiments."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float


class Conv(nn.Module):
    """Pairs of 3x3 convolutions, each pair followed by 2x2 max pooling, then 256-256-classes; ReLU, no biases.

    Attributes:
        classes: number of outputs.
        widths: channels of each pair of convolutions.
        padding: `"SAME"` as in Ramanujan et al. (2020), or `"VALID"`.

    Implements Table 1 of Aladago & Torresani (2021).

    >>> variables = slotjax.models.Conv(widths=(64,)).init(jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> [weight.shape for weight in jax.tree.leaves(variables)][:3]
    [(3, 3, 3, 64), (3, 3, 64, 64), (16384, 256)]
    """

    classes: int = 10
    widths: Sequence[int] = (64, 128, 256)
    padding: str = "SAME"

    @nn.compact
    def __call__(self, images: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        """Logits of a batch of images."""
        features = images
        for width in self.widths:
            for _ in range(2):
                features = nn.relu(nn.Conv(width, (3, 3), padding=self.padding, use_bias=False)(features))
            features = nn.max_pool(features, (2, 2), (2, 2))
        features = features.reshape(features.shape[0], -1)
        for _ in range(2):
            features = nn.relu(nn.Dense(256, use_bias=False)(features))
        return nn.Dense(self.classes, use_bias=False)(features)


def conv2(**settings: Any) -> Conv:
    """CONV-2: two convolutions of 64 channels.

    >>> slotjax.models.conv2(classes=100).widths
    (64,)
    """
    return Conv(widths=(64,), **settings)


def conv4(**settings: Any) -> Conv:
    """CONV-4: CONV-2 and two convolutions of 128 channels.

    >>> slotjax.models.conv4().widths
    (64, 128)
    """
    return Conv(widths=(64, 128), **settings)


def conv6(**settings: Any) -> Conv:
    """CONV-6: CONV-4 and two convolutions of 256 channels.

    >>> slotjax.models.conv6().widths
    (64, 128, 256)
    """
    return Conv(widths=(64, 128, 256), **settings)
