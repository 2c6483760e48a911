"""CONV-2, CONV-4, CONV-6 and CONV-8, the convolutional networks of the papers' CIFAR-10 experiments."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from slotjax.models.convolution import convolution
from slotjax.models.pooling import max_pool_2x2


class Conv(nn.Module):
    """Pairs of 3x3 convolutions, each pair followed by 2x2 max pooling, then 256-256-classes; ReLU, no biases.

    Attributes:
        classes: number of outputs.
        widths: channels of each pair of convolutions.
        width_multiplier: scales the width of every layer but the last (Ramanujan et al., 2020, section 4.3).
        padding: of the first two pairs, `"SAME"` as in the code of Ramanujan et al., or `"VALID"` as in that of
            Aladago & Torresani. Later pairs, whose images are small, always have `"SAME"`.
        dropout: the share of units that is dropped before every fully connected layer, in training.
        dtype: what is computed in. Default: that of weights and images.

    Implements Table 1 of Aladago & Torresani (2021) and of Ramanujan et al. (2020).

    >>> model = slotjax.models.Conv(widths=(64,))
    >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> [weight.shape for weight in jax.tree.leaves(shapes)][:3]
    [(3, 3, 3, 64), (3, 3, 64, 64), (16384, 256)]
    """

    classes: int = 10
    widths: Sequence[int] = (64, 128, 256)
    width_multiplier: float = 1.0
    padding: str = "SAME"
    dropout: float = 0.0
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of a batch of images."""
        features = images
        for pair, width in enumerate(self.widths):
            for _ in range(2):
                features = nn.relu(self._convolution(width, self.padding if pair < 2 else "SAME")(features))
            features = max_pool_2x2(features)
        features = features.reshape(features.shape[0], -1)
        for width in (256, 256):
            features = nn.relu(self._dense(self._scaled(width))(self._dropped(features, train)))
        return self._dense(self.classes)(self._dropped(features, train))

    def _convolution(self, width: int, padding: str) -> nn.Conv:
        return nn.Conv(
            self._scaled(width),
            (3, 3),
            padding=padding,
            use_bias=False,
            dtype=self.dtype,
            conv_general_dilated=convolution,
        )

    def _dense(self, width: int) -> nn.Dense:
        return nn.Dense(width, use_bias=False, dtype=self.dtype)

    def _dropped(self, features: Array, train: bool) -> Array:
        return nn.Dropout(self.dropout, deterministic=not train)(features)

    def _scaled(self, width: int) -> int:
        return max(1, round(width * self.width_multiplier))


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


def conv8(**settings: Any) -> Conv:
    """CONV-8: CONV-6 and two convolutions of 512 channels.

    >>> slotjax.models.conv8().widths
    (64, 128, 256, 512)
    """
    return Conv(widths=(64, 128, 256, 512), **settings)
