"""LeNet-300-100, the fully connected network of the papers' MNIST experiments."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float


class LeNet(nn.Module):
    """LeNet-300-100: `logits = W_3 relu(W_2 relu(W_1 x))`, no biases.

    Attributes:
        classes: number of outputs.
        widths: hidden units per layer.
        dtype: what is computed in. Default: that of weights and images.

    Implements Table 1 of Aladago & Torresani (2021), after LeCun et al. (1998).

    >>> shapes = jax.eval_shape(slotjax.models.LeNet().init, jax.random.key(0), jnp.ones((1, 28, 28, 1)))
    >>> [weight.shape for weight in jax.tree.leaves(shapes)]
    [(784, 300), (300, 100), (100, 10)]
    """

    classes: int = 10
    widths: Sequence[int] = (300, 100)
    dtype: Any = None

    @nn.compact
    def __call__(self, images: Float[Array, "batch ..."], train: bool = False) -> Float[Array, "batch classes"]:
        """Logits of a batch of images, which are flattened."""
        features = images.reshape(images.shape[0], -1)
        for width in self.widths:
            features = nn.relu(nn.Dense(width, use_bias=False, dtype=self.dtype)(features))
        return nn.Dense(self.classes, use_bias=False, dtype=self.dtype)(features)
