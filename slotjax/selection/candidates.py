"""Selection: which option each connection uses. Pure functions on arrays.

Every array has the options on its first axis. The functions walk over that axis and keep only arrays of the weight's
own shape, because a reduction over a leading axis is what costs time on a CPU (14 ms instead of 2 ms per training step
of LeNet-300-100 with K = 8). A GPU reduces over it, if K is large, because what is walked over takes XLA too long to
compile for it (`reduced.py`).
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from slotjax.options import draw_seed, uniform_numbers
from slotjax.selection import reduced

# Candidates per loop iteration of a selection, so that compile time does not grow further with K. XLA makes up to two
# groups one pass over the connections, which needs each exponential once (K = 64: about half the time). Four groups in
# one pass were seven times as slow on a CPU as their loop.
_GROUP = 32


class Candidates(NamedTuple):
    """K candidates per connection, made one at a time, so that no array of K entries per connection is needed.

    Attributes:
        slices: pytree of arrays with K on their first axis, of which each candidate is made.
        candidate: `candidate(slice)`, a tuple of its index and of arrays of the weight's shape: what is kept of the
            selected option.
        score: `score(candidate)`, its score per connection.
        option: `option(candidate)`, the weight that it stands for.
        rank: numbers in the order of the scores, if greedy selection may compare these instead.
        best: `best()`, the candidate that greedy selection chooses, if that takes no comparison of all.
    """

    slices: PyTree
    candidate: Callable[[PyTree], tuple]
    score: Callable[[PyTree], Float[Array, "*shape"]]
    option: Callable[[PyTree], Float[Array, "*shape"]]
    rank: Callable[[PyTree], Float[Array, "*shape"]] | None = None
    best: Callable[[], PyTree] | None = None

    @property
    def k(self) -> int:
        """How many candidates each connection has."""
        return jax.tree.leaves(self.slices)[0].shape[0]


def greedy(scores: Float[Array, "k *shape"]) -> Int[Array, "*shape"]:
    """Greedy selection (GS): the option with the largest score, `k* = argmax_k s_k`.

    Args:
        scores: `(K, *shape)`, any float dtype.

    Returns:
        `int32` indices from 0 to K - 1. A tie goes to the lowest index.

    Implements the arg max of section 3.2 of Aladago & Torresani (2021).

    >>> print(slotjax.selection.greedy(jnp.array([[0.1, 0.5], [0.3, 0.5]])))
    [1 0]
    """
    return greedy_candidate(_scored(scores))[0]


def probabilistic(scores: Float[Array, "k *shape"], key: PRNGKeyArray) -> Int[Array, "*shape"]:
    """Probabilistic sampling (PS): option `k` with probability `softmax(scores)_k`, independently per connection.

    One uniform number per connection is compared with the cumulative probabilities in index order; rounding cannot
    lead past the last option.

    Args:
        scores: `(K, *shape)`, any float dtype.
        key: one key; the same key gives the same draw.

    Returns:
        `int32` indices from 0 to K - 1.

    Implements the multinomial selection of section 3.2 of Aladago & Torresani (2021).

    >>> scores = jnp.array([[0.0, -1e9], [-1e9, 0.0]])
    >>> print(slotjax.selection.probabilistic(scores, jax.random.key(0)))
    [0 1]
    """
    # Half precision would lose the options of small probability, and all after the 256th.
    scores = scores if jnp.finfo(scores.dtype).bits >= 32 else scores.astype(jnp.float32)
    return probabilistic_index(_scored(scores), key)


def greedy_candidate(candidates: Candidates) -> PyTree:
    """The candidate of the largest score, the first of several.

    >>> scores = jnp.array([[0.1, 0.5], [0.3, 0.2]])
    >>> candidates = slotjax.selection.Candidates(
    ...     (jnp.arange(2), scores), lambda pair: pair, score=lambda pair: pair[1], option=lambda pair: pair[0]
    ... )
    >>> slotjax.selection.greedy_candidate(candidates)[0]
    Array([1, 0], dtype=int32)
    """
    if candidates.best is not None:
        return candidates.best()
    score_of = candidates.score if candidates.rank is None else candidates.rank

    def by_reducing():
        slices = jax.lax.optimization_barrier(candidates.slices)
        best = reduced.best(lambda one: score_of(candidates.candidate(one)), slices)
        return candidates.candidate(reduced.at(slices, best))

    def visit(best, group):
        # Only the candidate goes from group to group: XLA would compute each of two arrays in a loop of its own.
        best_score = score_of(best)
        for candidate in group:
            score = score_of(candidate)
            better = score > best_score
            best_score = jnp.where(better, score, best_score)
            best = _where(better, candidate, best)
        return best

    return _fastest(by_reducing, lambda: _fold_groups(visit, _first(candidates), candidates), candidates)


def probabilistic_index(candidates: Candidates, key: PRNGKeyArray) -> Int[Array, "*shape"]:
    """An index drawn with the probabilities `softmax(scores)`, by inverse CDF from one number per connection.

    >>> scores = jnp.array([[0.1, 0.5], [0.3, 0.2]])
    >>> candidates = slotjax.selection.Candidates(
    ...     (jnp.arange(2), scores), lambda pair: pair, score=lambda pair: pair[1], option=lambda pair: pair[0]
    ... )
    >>> slotjax.selection.probabilistic_index(candidates, jax.random.key(0)).shape
    (2,)
    """
    first = candidates.score(_first(candidates))
    # Not of JAX's own generator, whose Threefry takes longer than all else here for K = 8.
    number = uniform_numbers(draw_seed(key), first.shape, first.dtype, like=first)

    def by_reducing():
        slices = jax.lax.optimization_barrier(candidates.slices)
        largest = reduced.largest(lambda one: candidates.score(candidates.candidate(one)), slices)
        exponential = _exponential(candidates, largest)
        total = reduced.total(lambda one: exponential(candidates.candidate(one)), slices)
        return _crossing(candidates, exponential, number * total, reduced.GROUP)

    def by_folding():
        def maximum(largest, group):
            return functools.reduce(jnp.maximum, map(candidates.score, group), largest)

        def add(total, group):
            return total + functools.reduce(jnp.add, map(exponential, group))

        exponential = _exponential(candidates, _fold_groups(maximum, first, candidates))
        total = _fold_groups(add, jnp.zeros_like(first), candidates)
        return _crossing(candidates, exponential, number * total, _GROUP)

    return _fastest(by_reducing, by_folding, candidates)


def _exponential(candidates: Candidates, largest: Float[Array, "*shape"]) -> Callable[[PyTree], Float[Array, "*shape"]]:
    return lambda candidate: jnp.exp(candidates.score(candidate) - largest)


def _crossing(
    candidates: Candidates, value: Callable[[PyTree], Array], threshold: Float[Array, "*shape"], size: int
) -> Int[Array, "*shape"]:
    """The first index up to which the sum of the values is above the threshold, or the last one."""

    def cross(rest, group):
        # One array goes from group to group: what is left of the threshold, or, once it was reached, ~index. Within a
        # group the sums that it has not reached are counted, because a chain of subtractions waits for each of them.
        group = list(group)
        sums = list(itertools.accumulate(map(value, group)))
        below = sum((one <= rest).astype(jnp.int32) for one in sums)
        reached = (~(group[0][0] + below)).astype(rest.dtype)
        return jnp.where(rest < 0, rest, jnp.where(sums[-1] > rest, reached, rest - sums[-1]))

    rest = _fold_groups(cross, threshold, candidates, size)
    # Rounding cannot lead past the last option.
    return jnp.where(rest < 0, ~rest.astype(jnp.int32), candidates.k - 1)


def candidate_at(candidates: Candidates, index: Int[Array, "*shape"]) -> PyTree:
    """The candidate with the given index, per connection.

    >>> scores = jnp.array([[0.1, 0.5], [0.3, 0.2]])
    >>> candidates = slotjax.selection.Candidates(
    ...     (jnp.arange(2), scores), lambda pair: pair, score=lambda pair: pair[1], option=lambda pair: pair[0]
    ... )
    >>> print(slotjax.selection.candidate_at(candidates, jnp.array([1, 1]))[1])
    [0.3 0.2]
    """

    def visit(kept, group):
        for candidate in group:
            kept = _where(index == candidate[0], candidate, kept)
        return kept

    return _fastest(
        lambda: candidates.candidate(reduced.at(candidates.slices, index)),
        lambda: _fold_groups(visit, _first(candidates), candidates),
        candidates,
    )


def candidate_values(candidates: Candidates) -> Float[Array, "k *shape"]:
    """The scores of all candidates at once.

    >>> scores = jnp.array([[0.1, 0.5], [0.3, 0.2]])
    >>> candidates = slotjax.selection.Candidates(
    ...     (jnp.arange(2), scores), lambda pair: pair, score=lambda pair: pair[1], option=lambda pair: pair[0]
    ... )
    >>> slotjax.selection.candidate_values(candidates).shape
    (2, 2)
    """
    return jax.vmap(lambda slices: candidates.score(candidates.candidate(slices)))(candidates.slices)


def _scored(scores: Float[Array, "k *shape"]) -> Candidates:
    """Pairs of index and score; their option is not known."""
    return Candidates((_indices(scores), scores), lambda pair: pair, lambda pair: pair[1], lambda pair: pair[0])


def _fastest(by_reducing: Callable[[], Any], by_folding: Callable[[], Any], candidates: Candidates) -> Any:
    """What both return: on a GPU by reducing, unless the candidates are few."""
    if candidates.k <= reduced.GROUP:
        return by_folding()
    return jax.lax.platform_dependent(cuda=by_reducing, rocm=by_reducing, default=by_folding)


def _first(candidates: Candidates) -> PyTree:
    first = candidates.candidate(jax.tree.map(lambda leaf: leaf[0], candidates.slices))
    # Like the score in its sharding too, which the index alone does not have.
    like = candidates.score(first)
    return jax.tree.map(lambda leaf: jnp.full_like(like, leaf, dtype=leaf.dtype), first)


def _fold_groups(
    visit: Callable[[Any, Iterator[PyTree]], Any], first: Any, candidates: Candidates, size: int = _GROUP
) -> Any:
    """Folds `visit(carry, group)` over the candidates in groups, the first of which has what is left over."""
    # Without the barrier, XLA would see that two folds make the same candidates and keep them in between.
    first, slices = jax.lax.optimization_barrier((first, candidates.slices))

    def group(start, size):
        for index in range(size):
            at = lambda leaf, index=index: jax.lax.dynamic_index_in_dim(leaf, start + index, keepdims=False)  # noqa: E731
            yield candidates.candidate(jax.tree.map(at, slices))

    head = (candidates.k - 1) % size + 1
    carry = visit(first, group(0, head))
    # An index and not the slices themselves, because a part of a stored array would be copied.
    starts = jnp.arange(head, candidates.k, size, dtype=jnp.int32)
    return jax.lax.scan(lambda carry, start: (visit(carry, group(start, size)), None), carry, starts)[0]


def _where(condition: Array, tree: PyTree, other: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf, rest: jnp.where(condition, leaf, rest), tree, other)


def _indices(scores: Float[Array, "k *shape"]) -> Int[Array, " k"]:
    return jnp.arange(scores.shape[0], dtype=jnp.int32)
