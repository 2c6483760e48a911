"""The largest entries of arrays, without sorting: an exact search for the threshold, bit by bit.

Non-negative floats are ordered as the integers that have the same bits. So the count-th largest is the largest integer
that at least `count` of them reach, and two bits of it are found by one pass that counts against three candidates: 16
passes over float32, 8 over bfloat16, whatever the values are. Of many thresholds at once, a pass finds one bit of each.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

_FEW = 2  # thresholds of which a pass finds two bits each; of more, twice as many passes for one bit take less time


def top_fraction(scores: Float[Array, "*shape"], keep_fraction: float) -> Bool[Array, "*shape"]:
    """The mask of the entries with the largest magnitude: exactly `kept_count(n, keep_fraction)` of n.

    Entries of equal magnitude are kept in row-major order. The time is that of reading the scores some ten times.

    Args:
        scores: any shape, and any float dtype of 16 bits or more.
        keep_fraction: share that is kept, from 0 to 1.

    Returns:
        True for what is kept.

    Raises:
        ValueError: for a share outside 0 to 1, another dtype, and for NaN or infinite scores where their values are
            known, which is outside `jax.jit`.

    Implements `h` in Eq. 4 of Ramanujan et al. (2020).

    >>> print(slotjax.selection.top_fraction(jnp.array([0.1, -0.4, 0.3, 0.3]), 0.5))
    [False  True  True False]
    """
    check_keep_fraction(keep_fraction)
    scores = jnp.asarray(scores)
    if not jnp.issubdtype(scores.dtype, jnp.floating) or jnp.finfo(scores.dtype).bits < 16:
        raise ValueError(f"scores: they are {scores.dtype}, but must be floating-point numbers of 16 bits or more")
    if not isinstance(scores, jax.core.Tracer) and not bool(jnp.isfinite(scores).all()):
        raise ValueError("scores: they must be finite, but some are infinite or NaN")
    return top_masks([scores], keep_fraction)[0]


def check_keep_fraction(keep_fraction: float) -> None:
    """Raises unless `0 <= keep_fraction <= 1`.

    >>> slotjax.selection.check_keep_fraction(0.5)
    """
    if not 0 <= keep_fraction <= 1:
        raise ValueError(f"keep_fraction: {keep_fraction!r} was given, but it must be from 0 to 1")


def kept_count(size: int, keep_fraction: float) -> int:
    """How many of `size` entries a fraction keeps: `size - floor((1 - keep_fraction) size)`, in float64.

    That is the rule of the released code of edge-popup and biprop. It rounds up, so that a small layer keeps one entry
    at least, unless the fraction is 0; and 0.9 of 100 are 91, because 1 - 0.9 is a little less than 0.1.

    >>> [slotjax.selection.kept_count(n, share) for n, share in ((35, 0.3), (49, 0.01), (100, 0.9), (100, 0.5))]
    [11, 1, 91, 50]
    """
    kept = size - math.floor((1 - keep_fraction) * size)
    return max(kept, min(size, 1)) if keep_fraction else kept


def top_masks(scores: list[Float[Array, "..."]], keep_fraction: float) -> list[Bool[Array, "..."]]:
    """`top_fraction` of all entries of several arrays together; equal magnitudes are kept in the order of the list.

    >>> one, two = slotjax.selection.top_masks([jnp.array([0.1, 0.4]), jnp.array([0.3])], 2 / 3)
    >>> print(one, two)
    [False  True] [ True]
    """
    return [masks[0] for masks in _largest(scores, [keep_fraction])]


def coats(scores: Float[Array, "*shape"], keep_fractions: Sequence[float]) -> Int[Array, "*shape"]:
    """In how many of the masks of several fractions each entry is, 0 to N, `int32`; one search finds all thresholds.

    >>> print(slotjax.selection.coats(jnp.array([0.1, -0.4, 0.3, 0.2]), (0.75, 0.25)))
    [0 2 1 1]
    """
    return sum((mask.astype(jnp.int32) for mask in _largest([scores], keep_fractions)[0]), start=jnp.int32(0))


def _largest(scores: list[Float[Array, "..."]], keep_fractions: Sequence[float]) -> list[list[Bool[Array, "..."]]]:
    """Of every array, the masks of all fractions."""
    size = sum(array.size for array in scores)
    wanted = [kept_count(size, fraction) for fraction in keep_fractions]
    searched = sorted({count for count in wanted if 0 < count < size})
    masks = {count: [jnp.full(array.shape, count > 0) for array in scores] for count in wanted}
    if searched:
        masks |= dict(zip(searched, _masks_of(scores, searched, size), strict=True))
    return [[masks[count][place] for count in wanted] for place in range(len(scores))]


def _masks_of(scores: list[Float[Array, "..."]], counts: Sequence[int], size: int) -> list[list[Bool[Array, "..."]]]:
    """For each of the counts, from 1 to one less than there are, the masks of so many."""
    widest = max((array.dtype for array in scores), key=lambda dtype: jnp.finfo(dtype).bits)
    keys = [_magnitude(array.astype(widest)) for array in scores]
    thresholds = _nth_largest(keys, counts, jnp.finfo(widest).bits)
    both = [key for threshold in thresholds for key in (threshold, threshold + jnp.asarray(1, threshold.dtype))]
    reached = _reached(keys, both)
    found = zip(thresholds, reached[::2], reached[1::2], counts, strict=True)
    return [_reaching(keys, *one, size) for one in found]


def _reaching(
    keys: list[UInt[Array, "..."]], threshold: UInt[Array, ""], reaching: Array, above: Array, count: int, size: int
) -> list[Bool[Array, "..."]]:
    """The masks of the `count` largest, of which so many reach a threshold, and so many are above it.

    Rarely do more reach it than are needed, and only then the order of those that are equal to it matters.
    """

    def in_order():
        equal = _first([key == threshold for key in keys], count - above, size)
        return [(key > threshold) | first for key, first in zip(keys, equal, strict=True)]

    return jax.lax.cond(reaching > count, in_order, lambda: [key >= threshold for key in keys])


def _first(masks: list[Bool[Array, "..."]], count: Array, size: int) -> list[Bool[Array, "..."]]:
    """The first `count` true entries, in the order of the list and of the rows."""
    keys, start = [], size
    for mask in masks:
        order = jnp.uint32(start) - jax.lax.iota(jnp.uint32, mask.size).reshape(mask.shape)
        keys.append(jnp.where(mask, order, jnp.uint32(0)))
        start -= mask.size
    (threshold,) = _nth_largest(keys, [count], bits=32)
    return [(key >= threshold) & mask for key, mask in zip(keys, masks, strict=True)]


def _nth_largest(
    keys: list[UInt[Array, "..."]], counts: Sequence[int | Array], bits: int
) -> tuple[UInt[Array, ""], ...]:
    """For each of the counts, at least 1, the `count`-th largest of all entries, integers of so many bits."""
    dtype, width = keys[0].dtype, 2 if len(counts) <= _FEW else 1
    steps = [jnp.asarray(step, dtype) for step in range(1, 2**width)]

    def some_bits(number, thresholds):
        shift = (bits - width * (1 + number)).astype(dtype)
        candidates = [threshold + (step << shift) for threshold in thresholds for step in steps]
        reached = iter(_reached(keys, candidates))
        return tuple(
            threshold + (sum((next(reached) >= count).astype(dtype) for _ in steps) << shift)
            for threshold, count in zip(thresholds, counts, strict=True)
        )

    return jax.lax.fori_loop(0, bits // width, some_bits, (jnp.zeros((), dtype),) * len(counts))


def _reached(keys: list[UInt[Array, "..."]], candidates: list[UInt[Array, ""]]) -> list[Array]:
    """How many of all entries reach each candidate."""
    return [sum(counts) for counts in zip(*(_counts(key, candidates) for key in keys), strict=True)]


def _counts(key: UInt[Array, "..."], candidates: list[UInt[Array, ""]]) -> list[Array]:
    # One reduction of several operands reads the scores once; several sums would each read them anew.
    reached = [(key >= candidate).astype(jnp.int32) for candidate in candidates]
    zeros = [jnp.int32(0)] * len(reached)
    add = lambda some, others: [one + other for one, other in zip(some, others, strict=True)]  # noqa: E731
    return jax.lax.reduce(reached, zeros, add, tuple(range(key.ndim)))


def _magnitude(scores: Float[Array, "..."]) -> UInt[Array, "..."]:
    """Integers in the order of the magnitudes, of 32 bits for half precision as well, which are faster to compare."""
    unsigned = {16: jnp.uint16, 32: jnp.uint32, 64: jnp.uint64}[jnp.finfo(scores.dtype).bits]
    key = jax.lax.bitcast_convert_type(jnp.abs(scores), unsigned)
    return key.astype(jnp.uint32) if unsigned == jnp.uint16 else key
