"""The straight-through gradient of a selection."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, Num

_UNROLL = 8  # options per loop iteration: K <= 8 fuses into one pass


def straight_through(
    scores: Float[Array, "k *shape"], options: Float[Array, "k *options"], index: Int[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The selected options, with the straight-through gradient for every score.

    Forward, `W = sum_k gate_k W_k` with `gate_k = [k = index] + (s_k - stop_gradient(s_k))`, which is exactly the
    selected option; backward, `dL/ds_k = dL/dW * W_k` for every `k`, selected or not.

    Args:
        scores: `(K, *shape)`, float; only their gradient matters here.
        options: `(K, *shape)`, or `(K,)` if all connections share them; they receive no gradient.
        index: `shape`, integers from 0 to K - 1.

    Returns:
        Weights of shape `shape` and the dtype of `options`.

    Implements Eq. 3 of Aladago & Torresani (2021).

    >>> scores, options = jnp.array([0.1, 0.3]), jnp.array([-2.0, 5.0])
    >>> weight = lambda scores: slotjax.selection.straight_through(scores, options, slotjax.selection.greedy(scores))
    >>> print(weight(scores), jax.grad(weight)(scores))
    5.0 [-2.  5.]
    """

    def visit(total, k, score, option):
        # Without these parentheses the sum is rounded, and a weight is no longer exactly its option.
        gate = (index == k).astype(score.dtype) + (score - stop_gradient(score))
        return total + gate * option

    # At least float32, so that each option comes through exactly whatever the dtype of the scores.
    dtype = max((jnp.dtype(jnp.float32), scores.dtype, options.dtype), key=lambda dtype: jnp.finfo(dtype).bits)
    first = jnp.zeros_like(scores[0], dtype)
    values = stop_gradient(options).astype(dtype)
    return _fold(visit, first, jnp.arange(scores.shape[0], dtype=jnp.int32), scores.astype(dtype), values).astype(
        options.dtype
    )


def _fold(visit: Callable[..., Any], first: Any, *arrays: Num[Array, "k *_"]) -> Any:
    """Folds `visit(carry, *slices)` over the first axis of `arrays`."""
    return jax.lax.scan(lambda carry, slices: (visit(carry, *slices), None), first, arrays, unroll=_UNROLL)[0]
