"""The largest entries of arrays, on a CPU or TPU without sorting.

Non-negative floats are ordered as the integers that have the same bits, so the threshold of the largest magnitudes is
searched for among integers (`threshold.py`).
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from slotjax._numbers import is_number
from slotjax.selection.threshold import Bracket, by_sorting, narrowest, reached

_USUAL = 2.0**-6  # magnitude of scores; where they are larger or smaller, the search takes a pass or two more


def top_fraction(scores: Float[Array, "*shape"], keep_fraction: float) -> Bool[Array, "*shape"]:
    """The mask of the entries with the largest magnitude: exactly `kept_count(n, keep_fraction)` of n.

    Entries of equal magnitude are kept in row-major order. The time is that of reading the scores some seven times.

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
    if not is_number(keep_fraction) or not 0 <= keep_fraction <= 1:
        raise ValueError(f"keep_fraction: {keep_fraction!r} was given, but it must be a number from 0 to 1")


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
    # All or none, but no constant: that would lack the sharding, and XLA leaves out a constant 0 that is added to a -0.
    masks = {count: [~jnp.isnan(array) if count else jnp.isnan(array) for array in scores] for count in wanted}
    if searched:
        masks |= dict(zip(searched, _masks_of(scores, searched, size), strict=True))
    return [[masks[count][place] for count in wanted] for place in range(len(scores))]


def _masks_of(scores: list[Float[Array, "..."]], counts: Sequence[int], size: int) -> list[list[Bool[Array, "..."]]]:
    """For each of the counts, from 1 to one less than there are, the masks of so many."""
    widest = max((array.dtype for array in scores), key=lambda dtype: jnp.finfo(dtype).bits)
    keys, guess = [_magnitude(array.astype(widest)) for array in scores], _magnitude(jnp.asarray(_USUAL, widest))
    wanted = jnp.asarray(counts, jnp.int32)

    def search():
        return jax.lax.map(lambda one: narrowest(keys, one, guess, octave=2.0 ** jnp.finfo(widest).nmant), wanted)

    def sort():
        return by_sorting(keys, wanted)

    # A GPU sorts in a fifth of the time that it takes to start a dozen small passes.
    found = jax.lax.platform_dependent(cuda=sort, rocm=sort, default=search)
    each = [jax.tree.map(lambda leaf, place=place: leaf[place], found) for place in range(len(counts))]
    return [_reaching(keys, bracket, count, size) for bracket, count in zip(each, counts, strict=True)]


def _reaching(keys: list[Int[Array, "..."]], bracket: Bracket, count: int, size: int) -> list[Bool[Array, "..."]]:
    """The masks of the `count` largest.

    Rarely do more reach the threshold than are needed, and only then the order of those that are equal to it matters.
    """
    threshold = bracket.low

    def in_order():
        equal = _first([key == threshold for key in keys], count - bracket.reach_high, size)
        return [(key > threshold) | first for key, first in zip(keys, equal, strict=True)]

    return jax.lax.cond(bracket.reach_low > count, in_order, lambda: [key >= threshold for key in keys])


def _first(masks: list[Bool[Array, "..."]], count: Array, size: int) -> list[Bool[Array, "..."]]:
    """The first `count` true entries, in the order of the list and of the rows."""
    keys, start = [], size
    for mask in masks:
        order = jnp.uint32(start) - jax.lax.iota(jnp.uint32, mask.size).reshape(mask.shape)
        keys.append(jnp.where(mask, order, jnp.uint32(0)))
        start -= mask.size
    passes = (size.bit_length() + 1) // 2

    def two_bits(number, found):
        shift = (2 * (passes - 1 - number)).astype(jnp.uint32)
        counts = reached(keys, [found + (jnp.uint32(step) << shift) for step in (1, 2, 3)])
        return found + (sum((one >= count).astype(jnp.uint32) for one in counts) << shift)

    threshold = jax.lax.fori_loop(0, passes, two_bits, jnp.uint32(0))
    return [(key >= threshold) & mask for key, mask in zip(keys, masks, strict=True)]


def _magnitude(scores: Float[Array, "..."]) -> Int[Array, "..."]:
    """Integers in the order of the magnitudes, of 32 bits for half precision as well, which are faster to compare."""
    integer = {16: jnp.int16, 32: jnp.int32, 64: jnp.int64}[jnp.finfo(scores.dtype).bits]
    key = jax.lax.bitcast_convert_type(jnp.abs(scores), integer)
    return key.astype(jnp.int32) if integer == jnp.int16 else key
