"""Selection: which option each connection uses. Pure functions on arrays.

Every array has the options on its first axis. The functions walk over that axis and keep only arrays of the weight's
own shape, because a reduction over a leading axis is what costs time on a CPU (14 ms instead of 2 ms per training step
of LeNet-300-100 with K = 8).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

_UNROLL = 8  # options per loop iteration: K <= 8 fuses into one pass, and compile time does not grow with K


def greedy(scores: Float[Array, "k *shape"]) -> Int[Array, "*shape"]:
    """Greedy selection (GS): the option with the largest score, `k* = argmax_k s_k`.

    Args:
        scores: `(K, *shape)`, any float dtype.

    Returns:
        `int32` indices from 0 to K - 1. A tie goes to the lowest index.

    Implements the arg max of section 3.2 of Aladago & Torresani (2021).

    >>> print(slotjax.greedy(jnp.array([[0.1, 0.5], [0.3, 0.5]])))
    [1 0]
    """

    def visit(carry, k, score):
        best, index = carry
        better = score > best
        return jnp.where(better, score, best), jnp.where(better, k, index)

    first = (scores[0], jnp.zeros(scores.shape[1:], jnp.int32))
    return _fold(visit, first, _indices(scores), scores)[1]


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
    >>> print(slotjax.probabilistic(scores, jax.random.key(0)))
    [0 1]
    """
    # Half precision would lose the options of small probability, and all after the 256th.
    scores = scores if jnp.finfo(scores.dtype).bits >= 32 else scores.astype(jnp.float32)
    shape, dtype = scores.shape[1:], scores.dtype
    largest = _fold(jnp.maximum, scores[0], scores)
    total = _fold(lambda total, score: total + jnp.exp(score - largest), jnp.zeros(shape, dtype), scores)
    threshold = jax.random.uniform(key, shape, dtype) * total

    def visit(carry, score):
        cumulative, index = carry
        cumulative = cumulative + jnp.exp(score - largest)
        return cumulative, index + (threshold >= cumulative).astype(jnp.int32)

    first = (jnp.zeros(shape, dtype), jnp.zeros(shape, jnp.int32))
    return jnp.minimum(_fold(visit, first, scores)[1], scores.shape[0] - 1)


def straight_through(
    scores: Float[Array, "k *shape"], options: Float[Array, "k *shape"], index: Int[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The selected options, with the straight-through gradient for every score.

    Forward, `W = sum_k gate_k W_k` with `gate_k = [k = index] + (s_k - stop_gradient(s_k))`, which is exactly the
    selected option; backward, `dL/ds_k = dL/dW * W_k` for every `k`, selected or not.

    Args:
        scores: `(K, *shape)`, float; only their gradient matters here.
        options: `(K, *shape)`, the frozen random values; they receive no gradient.
        index: `shape`, integers from 0 to K - 1.

    Returns:
        Weights of shape `shape` and the dtype of `options`.

    Implements Eq. 3 of Aladago & Torresani (2021).

    >>> scores, options = jnp.array([0.1, 0.3]), jnp.array([-2.0, 5.0])
    >>> weight = lambda scores: slotjax.straight_through(scores, options, slotjax.greedy(scores))
    >>> print(weight(scores), jax.grad(weight)(scores))
    5.0 [-2.  5.]
    """

    def visit(total, k, score, option):
        # Without these parentheses the sum is rounded, and a weight is no longer exactly its option.
        gate = (index == k).astype(score.dtype) + (score - stop_gradient(score))
        return total + gate * option

    # At least float32, so that each option comes through exactly whatever the dtype of the scores.
    dtype = max((jnp.dtype(jnp.float32), scores.dtype, options.dtype), key=lambda dtype: jnp.finfo(dtype).bits)
    first = jnp.zeros(scores.shape[1:], dtype)
    values = stop_gradient(options).astype(dtype)
    return _fold(visit, first, _indices(scores), scores.astype(dtype), values).astype(options.dtype)


def _fold(visit: Callable[..., Any], first: Any, *arrays: Num[Array, "k *_"]) -> Any:
    """Folds `visit(carry, *slices)` over the first axis of `arrays`."""
    return jax.lax.scan(lambda carry, slices: (visit(carry, *slices), None), first, arrays, unroll=_UNROLL)[0]


def _indices(scores: Float[Array, "k *shape"]) -> Int[Array, " k"]:
    return jnp.arange(scores.shape[0], dtype=jnp.int32)
