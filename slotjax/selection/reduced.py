"""Reductions over candidates, for a GPU: kernels whose length does not grow with K.

For a GPU, XLA takes a time that grows with the square of what it could make one kernel: 15 s of a CPU for LeNet with 64
candidates one after another, and 2 s with a loop over groups of them within the kernel. On a CPU it is such reductions
over a first axis that are slow, so `candidates.py` folds there.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from slotjax.options import explicit_sharding

GROUP = 16  # slices one after another in a kernel
_BLOCK = 8  # groups that a kernel loops over; XLA would make an array of each of more of them

Value = Callable[[PyTree], Float[Array, "*shape"]]


def best(score: Value, slices: PyTree) -> Int[Array, "*shape"]:
    """The number of the slice with the largest score, the first of several.

    Args:
        score: `score(slice)`, per connection.
        slices: pytree of arrays with K on their first axis, K at least 1.
    """

    def best_of_group(scores, numbers):
        kept = scores[0], jnp.full_like(scores[0], numbers[0], jnp.int32)
        for one, number in zip(scores[1:], numbers[1:], strict=True):
            # A maximum and not a choice: some compilers repeat a chain of choices for each of its uses.
            kept = jnp.maximum(kept[0], one), jnp.where(one > kept[0], number, kept[1])
        return kept

    def larger(pair, other):
        first = (pair[0] > other[0]) | ((pair[0] == other[0]) & (pair[1] < other[1]))
        return jnp.where(first, pair[0], other[0]), jnp.where(first, pair[1], other[1])

    return _reduce(best_of_group, larger, (-jnp.inf, _count(slices) - 1), score, slices)[1]


def largest(value: Value, slices: PyTree) -> Float[Array, "*shape"]:
    """The largest of the values."""

    def largest_of_group(values, _):
        return (functools.reduce(jnp.maximum, values),)

    return _reduce(largest_of_group, lambda one, other: (jnp.maximum(*one, *other),), (-jnp.inf,), value, slices)[0]


def total(value: Value, slices: PyTree) -> Float[Array, "*shape"]:
    """The sum of the values."""
    k = _count(slices)

    def sum_of_group(values, numbers):
        kept = [jnp.where(number < k, one, 0) for one, number in zip(values, numbers, strict=True)]
        return (functools.reduce(jnp.add, kept),)

    return _reduce(sum_of_group, lambda one, other: (jnp.add(*one, *other),), (0,), value, slices)[0]


def at(slices: PyTree, index: Int[Array, "*shape"]) -> PyTree:
    """Of each connection, the slice that its index names."""

    def chosen(leaf):
        if leaf.ndim == 1:
            return leaf.at[index].get(mode="clip", out_sharding=explicit_sharding(index))
        return jnp.take_along_axis(leaf, index[None], 0, mode="clip")[0]

    return jax.tree.map(chosen, slices)


def _reduce(
    of_group: Callable[[Sequence[Array], Sequence[Array]], tuple],
    combine: Callable[[Any, Any], tuple],
    neutral: tuple,
    value: Value,
    slices: PyTree,
) -> tuple:
    """What `combine` makes of `of_group(values, numbers)` of all groups, which repeat the last slice past the end."""
    k = _count(slices)
    groups = -(-k // GROUP)
    blocks = -(-groups // _BLOCK)
    numbers = jnp.arange(-(-groups // blocks) * blocks * GROUP, dtype=jnp.int32).reshape(blocks, -1, GROUP)

    def reduce_block(numbers):
        made = jax.vmap(functools.partial(_group, of_group, value, slices))(numbers, _words(slices, numbers))
        made = jax.lax.stop_gradient(made)
        first = tuple(jnp.asarray(one, array.dtype) for one, array in zip(neutral, made, strict=True))
        return jax.lax.reduce(made, first, combine, (0,))

    carry = reduce_block(numbers[0])
    return jax.lax.scan(lambda carry, block: (combine(carry, reduce_block(block)), None), carry, numbers[1:])[0]


def _group(of_group: Any, value: Value, slices: PyTree, numbers: Int[Array, " group"], words: PyTree) -> tuple:
    def numbered(leaf, word, index):
        # An index into what is large, of which a part would be copied.
        return word[index] if leaf.ndim == 1 else jax.lax.dynamic_index_in_dim(leaf, numbers[index], keepdims=False)

    each = [jax.tree.map(functools.partial(numbered, index=index), slices, words) for index in range(GROUP)]
    return of_group([value(one) for one in each], list(numbers))


def _words(slices: PyTree, numbers: Int[Array, "..."]) -> PyTree:
    """Of slices that are one number each, those with the given numbers; of others, anything."""
    last = _count(slices) - 1
    return jax.tree.map(lambda leaf: leaf[jnp.minimum(numbers, last)] if leaf.ndim == 1 else numbers, slices)


def _count(slices: PyTree) -> int:
    return jax.tree.leaves(slices)[0].shape[0]
