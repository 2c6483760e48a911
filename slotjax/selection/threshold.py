"""The threshold that so many of some integers reach, found in a few passes over them, without sorting.

A pass counts how many entries reach each of three thresholds. Within a narrow bracket, that number falls almost along a
straight line, so the three are where the line puts the threshold that is searched for, and a little below and above.
Counts alone decide what is left of the bracket, so the result is exact whatever the values are and however bad a guess
is. Where a pass leaves more of it than a third, the next one quarters it. Among random scores that takes some 7 passes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Integer

from slotjax.options import explicit_sharding

_MOST = 0.25  # of a bracket's width, between the three thresholds


class Bracket(NamedTuple):
    """Where the threshold of a count is: so many entries or more reach `low`, and fewer reach `high`.

    Attributes:
        low, high: of the type of the entries.
        reach_low, reach_high: how many entries reach them.
    """

    low: Int[Array, ""]
    high: Int[Array, ""]
    reach_low: Int[Array, ""]
    reach_high: Int[Array, ""]


def narrowest(
    keys: list[Int[Array, "..."]], count: int | Int[Array, ""], guess: Int[Array, ""], octave: float
) -> Bracket:
    """The bracket whose `low` exactly `count` entries reach, or else that of the threshold that more of them equal.

    Args:
        keys: integers from 0, and below the largest of their type.
        count: from 1 to one less than there are.
        guess: of the threshold, from 0; it decides how many passes there are, and nothing else.
        octave: a width within which the density of the keys changes little. The first pass looks four of them around.

    Returns:
        A bracket with `reach_low == count`, or with `high == low + 1`.
    """
    dtype, size = keys[0].dtype, sum(key.size for key in keys)
    most = jnp.iinfo(dtype).max
    whole = Bracket(jnp.zeros((), dtype), jnp.asarray(most, dtype), jnp.int32(size), jnp.int32(0))
    spread = jnp.asarray(min(4 * octave, most * _MOST), dtype)

    def is_wide(state):
        bracket = state[0]
        return (bracket.reach_low != count) & (bracket.high - bracket.low > 1)

    def narrow(state):
        bracket, guess, spread = state
        tried = [jnp.clip(one, bracket.low + 1, bracket.high - 1) for one in (guess - spread, guess, guess + spread)]
        left = _left(bracket, jnp.stack(tried), jnp.stack(reached(keys, tried)), count)
        return left, *_next(left, bracket.high - bracket.low, count, octave)

    return jax.lax.while_loop(is_wide, narrow, (whole, guess, spread))[0]


def by_sorting(keys: list[Integer[Array, "..."]], counts: Int[Array, " n"]) -> Bracket:
    """The narrowest brackets of several counts, on their first axis."""
    ordered = jnp.sort(jnp.concatenate([_flat(key) for key in keys]))
    low = ordered[ordered.size - counts]
    reach = jnp.stack(reached(keys, [*low, *(low + 1)]))  # all by one pass
    return Bracket(low, low + 1, reach[: counts.size], reach[counts.size :])


def _flat(key: Integer[Array, "..."]) -> Integer[Array, " n"]:
    sharding = explicit_sharding(key)
    if sharding is not None:  # of which no part of a sorted array knows
        key = jax.sharding.reshard(key, NamedSharding(sharding.mesh, PartitionSpec()))
    return key.ravel()


def _left(bracket: Bracket, tried: Int[Array, " n"], counts: Int[Array, " n"], count: int | Array) -> Bracket:
    """What is left of a bracket, from how many entries reach the thresholds that were tried."""
    low, high, reach_low, reach_high = bracket
    enough = counts >= count
    return Bracket(
        jnp.where(enough, tried, low).max(),
        jnp.where(enough, high, tried).min(),
        jnp.where(enough, counts, reach_low).min(),
        jnp.where(enough, reach_high, counts).max(),
    )


def _next(left: Bracket, before: Array, count: int | Array, octave: float) -> tuple[Array, Array]:
    """The next guess, and how far from it the thresholds beside it are."""
    width, inside = left.high - left.low, (left.reach_low - left.reach_high).astype(jnp.float32)
    share = ((left.reach_low - count).astype(jnp.float32) + 0.5) / inside
    # How far the line may be off: by the curvature of the density, and by chance.
    error = jnp.minimum(width.astype(jnp.float32) * (1 / (16 * octave)) + jax.lax.rsqrt(inside), _MOST)
    failed = width > before // 3
    share, error = jnp.where(failed, 0.5, share), jnp.where(failed, _MOST, error)
    spread = _part(width, error)
    return jnp.clip(left.low + _part(width, share), left.low + spread, left.high - spread), spread


def _part(width: Array, share: Float[Array, ""]) -> Array:
    return (width.astype(share.dtype) * share).astype(width.dtype)


def reached(keys: list[Integer[Array, "..."]], thresholds: list[Array]) -> list[Array]:
    """How many of all entries reach each threshold."""
    return [sum(counts) for counts in zip(*(_counts(key, thresholds) for key in keys), strict=True)]


def _counts(key: Integer[Array, "..."], thresholds: list[Array]) -> list[Array]:
    # One reduction of several operands reads the keys once; several sums would each read them anew. Signed integers,
    # and counting what is below, because these are single instructions of every processor.
    below = [(key < threshold).astype(jnp.int32) for threshold in thresholds]
    zeros = [jnp.int32(0)] * len(below)
    add = lambda some, others: [one + other for one, other in zip(some, others, strict=True)]  # noqa: E731
    return [key.size - few for few in jax.lax.reduce(below, zeros, add, tuple(range(key.ndim)))]
