"""Images as a network sees them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


class Normalization(NamedTuple):
    """Mean and standard deviation of each channel over the training images, as shares of the largest value."""

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


NORMALIZATIONS = {
    "cifar10": Normalization((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": Normalization((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet2012": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def as_float(
    images: Num[Array, "*batch channels"], normalization: Normalization | None = None
) -> Float[Array, "*batch channels"]:
    """`(images / 255 - mean) / deviation` of `uint8` images, in float32; floats unchanged.

    Args:
        images: `uint8` from 0 to 255, or floats used as they are.
        normalization: mean and deviation of each channel. Default: 0 and 1.

    >>> print(slotjax.data.as_float(jnp.array([0, 255], jnp.uint8)))
    [0. 1.]
    >>> half = slotjax.data.Normalization((0.5,), (0.5,))
    >>> print(slotjax.data.as_float(jnp.array([[0], [255]], jnp.uint8), half).ravel())
    [-1.  1.]
    """
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    shares = images.astype(jnp.float32) / 255
    if normalization is None:
        return shares
    mean, deviation = (
        jnp.asarray(values, jnp.float32).reshape((1,) * (images.ndim - 1) + (-1,)) for values in normalization
    )
    return (shares - mean) / deviation
