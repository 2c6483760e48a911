"""Max pooling whose gradient compares and adds; XLA's own scatters one value at a time, in no fixed order on GPUs."""

from collections.abc import Iterable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_OFFSETS = [(row, column) for row in range(3) for column in range(3)]


@jax.custom_vjp
def max_pool_2x2(images: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """The largest of every 2x2 pixels: `nn.max_pool(images, (2, 2), (2, 2))`, and the same gradient.

    Of equal values in a window, the first in the order of rows has the gradient. An odd last row or column is left
    out. Forward-mode differentiation is not supported.

    Args:
        images: of any floating dtype.

    Returns:
        `(batch, height // 2, width // 2, channels)`, of the same dtype.

    >>> print(slotjax.models.pooling.max_pool_2x2(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0])
    [[ 5.  7.]
     [13. 15.]]
    """
    return jnp.maximum(jnp.maximum(*_corners(images)[:2]), jnp.maximum(*_corners(images)[2:]))


def _forward_2x2(images: Array) -> tuple[Array, tuple[Array, Array]]:
    pooled = max_pool_2x2(images)
    return pooled, (images, pooled)


def _backward_2x2(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    images, pooled = residuals
    shares = _shares(_corners(images), pooled, gradient)
    rows = [jnp.stack(shares[:2], 3), jnp.stack(shares[2:], 3)]
    batch, height, width, channels = pooled.shape
    whole = jnp.stack(rows, 2).reshape(batch, 2 * height, 2 * width, channels)
    missing = [(0, full - size) for full, size in zip(images.shape, whole.shape, strict=True)]
    return (jnp.pad(whole, missing),)


def _corners(images: Array) -> list[Array]:
    """The four pixels of every window, in the order of rows."""
    batch, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    windows = even.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return [windows[:, :, row, :, column] for row in (0, 1) for column in (0, 1)]


max_pool_2x2.defvjp(_forward_2x2, _backward_2x2)


@jax.custom_vjp
def max_pool_3x3(images: Float[Array, "batch height width channels"]) -> Float[Array, "batch rows columns channels"]:
    """The largest of 3x3 pixels around every second one: `nn.max_pool(images, (3, 3), (2, 2), ((1, 1), (1, 1)))`.

    The gradient is the same too: of equal values in a window, the first in the order of rows has it, and a pixel adds
    up those of its windows in their order. Forward-mode differentiation is not supported.

    Args:
        images: of any floating dtype.

    Returns:
        `(batch, (height + 1) // 2, (width + 1) // 2, channels)`, of the same dtype.

    >>> print(slotjax.models.pooling.max_pool_3x3(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0])
    [[ 5.  7.]
     [13. 15.]]
    """
    return nn.max_pool(images, (3, 3), (2, 2), ((1, 1), (1, 1)))


def _forward_3x3(images: Array) -> tuple[Array, tuple[Array, Array]]:
    pooled = max_pool_3x3(images)
    return pooled, (images, pooled)


def _backward_3x3(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    images, pooled = residuals
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    rows, columns = (2 * size - 1 for size in pooled.shape[1:3])  # from the first window to the last
    pixels = (padded[:, row : row + rows : 2, column : column + columns : 2] for row, column in _OFFSETS)
    shares = _shares(pixels, pooled, gradient)
    total, zero = jnp.zeros(padded.shape, gradient.dtype), jnp.zeros((), gradient.dtype)
    # The later a pixel is in a window, the earlier is the window.
    for (row, column), share in reversed(list(zip(_OFFSETS, shares, strict=True))):
        below, right = padded.shape[1] - row - rows, padded.shape[2] - column - columns
        total += lax.pad(share, zero, ((0, 0, 0), (row, below, 1), (column, right, 1), (0, 0, 0)))
    return (total[:, 1:-1, 1:-1],)


max_pool_3x3.defvjp(_forward_3x3, _backward_3x3)


def _shares(pixels: Iterable[Array], pooled: Array, gradient: Array) -> list[Array]:
    """Of the gradient of every window what each of its pixels has: all, if it is the first of the largest, or 0."""
    taken, shares = jnp.zeros(pooled.shape, bool), []
    for pixel in pixels:
        first = (pixel == pooled) & ~taken
        shares.append(jnp.where(first, gradient, jnp.zeros((), gradient.dtype)))
        taken |= first
    return shares
