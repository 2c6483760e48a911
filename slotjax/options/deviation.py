"""The own scale of a weight: the deviation of the values that its model's initializer drew; and sums that are exact."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, UInt32

from slotjax.options.generator import at_least_float32

_BITS = 15  # of the values while they are added up
_SIGNIFICANT = 8  # bits of a deviation
_WORD = 23  # bits of a magnitude that are added up at once
_ADDENDS = 2**23  # bytes whose sum is below 2^31


def own_sigma(leaf: Any, factor: float = 1.0) -> Float[Array, ""]:
    """The standard deviation of a weight's values in 8 significant bits, times a factor, `float32`.

    It is found in integers, whose sums do not depend on the order, so it is the same for any sharding, under `jit` and
    without, and on every platform.

    Args:
        leaf: the values, any float dtype.
        factor: what the rounded deviation is multiplied by.

    Raises:
        ValueError: for a shape without values, and for values that are all equal or not finite; where they are not
            known, under `jit`, the deviation of these is NaN.

    >>> print(slotjax.options.own_sigma(jnp.array([[0.1, -0.1], [0.3, -0.3]])))
    0.22363281
    """
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ValueError(
            "only its shape is known, but its own scale is measured from its values; give the weights that the model's "
            "init draws, or distribution=, such as slotjax.distributions.glorot_uniform()"
        )
    sigma = _rounded_deviation(jnp.asarray(leaf)) * jnp.float32(factor)
    if not isinstance(sigma, jax.core.Tracer) and not np.isfinite(np.asarray(sigma)):
        raise ValueError(
            "its values are all equal or not finite, so it has no scale of its own; give distribution=, or leave it "
            "out by `where`"
        )
    return sigma


def varies_about_zero(leaf: Any) -> Bool[Array, ""]:
    """Whether values differ, and their mean is smaller than their deviation: an initializer's, not a gain of ones.

    The mean of fewer than 30 values may be larger, because chance makes it so: up to `5.4 / sqrt(n)` deviations.

    >>> print(slotjax.options.varies_about_zero(jnp.ones((2, 3))))
    False
    """
    return _varies(jnp.asarray(leaf))


def total_magnitude(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """The sum of `|values|` where the mask is true, the same for any sharding, program and platform.

    Like a deviation it is found in integers: in multiples of 2^-23 of the largest magnitude, in float64 of 2^-46.

    Args:
        values: any float dtype, finite.
        mask: which of them count.

    Returns:
        A scalar, in the dtype of the values, or float32 for half precision.

    >>> print(slotjax.options.total_magnitude(jnp.array([0.5, -2.0, 1.0]), jnp.array([True, True, False])))
    2.5
    """
    values = jnp.abs(values.astype(at_least_float32(values.dtype)))
    _, exponent = jnp.frexp(jnp.maximum(values.max(initial=0), jnp.asarray(1e-37, values.dtype)))
    rest = _scaled(jnp.where(mask, values, jnp.zeros_like(values)), _WORD - exponent)
    total = jnp.zeros((), values.dtype)
    words = 1 if values.dtype == jnp.float32 else 2
    for word in range(words):
        whole = jnp.round(rest) if word == words - 1 else jnp.floor(rest)
        total += _sum(whole.astype(jnp.uint32), 3, values.dtype) * 2.0 ** (-_WORD * word)
        rest = (rest - whole) * 2.0**_WORD
    return _scaled(total, exponent - _WORD)


@jax.jit
def _varies(values: Float[Array, "*shape"]) -> Bool[Array, ""]:
    values = values.astype(jnp.float32)
    by_chance = max(1.0, 5.4 / max(values.size, 1) ** 0.5)
    return (values.min() < values.max()) & (jnp.abs(values.mean()) < by_chance * values.std())


@jax.jit
def _rounded_deviation(values: Float[Array, "*shape"]) -> Float[Array, ""]:
    values = values.astype(jnp.float32)
    least, greatest = values.min(), values.max()
    values = values - (least + greatest) * 0.5
    _, exponent = jnp.frexp(jnp.maximum(greatest - least, jnp.float32(1e-37)))
    whole = jnp.round(_scaled(values, _BITS - exponent)).astype(jnp.int32)
    above, below = (_sum(jnp.maximum(part, 0).astype(jnp.uint32), 2) for part in (whole, -whole))
    squares = _sum((whole * whole).astype(jnp.uint32), 4)
    count = jnp.float32(math.prod(values.shape))
    # Rounded by itself, because a multiplication fused with the subtraction would not be.
    square = jax.lax.optimization_barrier(jnp.square((above - below) / count))
    deviation = jnp.sqrt(jnp.maximum(squares / count - square, 0.0))
    mantissa, more = jnp.frexp(deviation)
    rounded = jnp.round(mantissa * 2.0**_SIGNIFICANT)
    sigma = _scaled(rounded, more - _SIGNIFICANT + exponent - _BITS)
    usable = jnp.isfinite(greatest - least) & (least < greatest)
    return jnp.where(usable, sigma, jnp.nan)


def _scaled(values: Float[Array, "*shape"], exponent: Int[Array, ""]) -> Float[Array, "*shape"]:
    """`values * 2^exponent`, without the power per value of `jnp.ldexp`, in two factors, since one might overflow."""
    half = exponent // 2
    return values * _power_of_2(half, values.dtype) * _power_of_2(exponent - half, values.dtype)


def _power_of_2(exponent: Int[Array, ""], dtype: DTypeLike) -> Float[Array, ""]:
    """Made of its bits, since no processor promises that the function is exact."""
    limits = jnp.finfo(dtype)
    integer = jnp.int64 if limits.bits == 64 else jnp.int32
    return jax.lax.bitcast_convert_type((exponent.astype(integer) + (limits.maxexp - 1)) << limits.nmant, dtype)


def _sum(words: UInt32[Array, "*shape"], size: int, dtype: DTypeLike = jnp.float32) -> Float[Array, ""]:
    """The sum of all words, each of so many bytes, which are added up one by one."""
    parts = [words >> (8 * place) & 0xFF for place in range(size)]
    while parts[0].ndim:
        axes = range(parts[0].ndim)
        parts = _carried(_sums(parts, axes if parts[0].size <= _ADDENDS else axes[-1:]))
    total = jnp.zeros((), dtype)
    for part in reversed(parts):
        total = total * 256 + part.astype(dtype)
    return total


def _sums(parts: Sequence[UInt32[Array, "*shape"]], axes: Sequence[int]) -> Sequence[UInt32[Array, "..."]]:
    """Each summed over some axes, all in one pass."""
    zeros = (jnp.uint32(0),) * len(parts)
    return jax.lax.reduce(tuple(parts), zeros, lambda sums, more: tuple(map(jnp.add, sums, more)), tuple(axes))


def _carried(sums: Sequence[UInt32[Array, "*shape"]]) -> list[UInt32[Array, "*shape"]]:
    """Bytes of the number whose places in base 256 are these sums, each below 2^31."""
    parts, carry = [], jnp.zeros_like(sums[0])
    for sum_ in sums:
        parts.append((sum_ + carry) & 0xFF)
        carry = (sum_ + carry) >> 8
    return parts + [carry >> (8 * place) & 0xFF for place in range(3)]
