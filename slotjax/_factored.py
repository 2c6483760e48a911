"""Factored scores: any K for two numbers per connection in training.

An optimizer that is linear in gradients and parameters moves all K scores of a connection along one line,
`s_k = a s_k(0) + u W_k`, with one `u` per connection and one `a` per weight tensor. `u` is trained exactly as an
ordinary weight would be, with the gradient of the weight itself, and `a` as a parameter whose gradient is 0. Options
`W_k` and initial scores `s_k(0)` are either stored, or recomputed from a seed while the options are compared.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from slotjax._generator import Seed, connection_words, option_words, random_bits
from slotjax._options import SCORE_STEP, unit_option, unit_score
from slotjax._selection import Candidates

Trainable = dict[str, Float[Array, "..."]]


def init_factored(shape: tuple[int, ...], dtype: jnp.dtype) -> Trainable:
    """`u = 0` and `a = 1`: the scores are the initial ones."""
    return {"u": jnp.zeros(shape, dtype), "a": jnp.ones((), dtype)}


def is_factored(leaf: Any) -> bool:
    """Whether a node of a pytree of trainable values holds the factored scores of a weight."""
    return isinstance(leaf, dict) and set(leaf) == {"u", "a"} and np.shape(leaf["a"]) == ()


def stored_candidates(
    trainable: Trainable, options: Float[Array, "k *shape"], scores: Float[Array, "k *shape"]
) -> Candidates:
    """Triples of index, option and initial score, read from arrays."""
    u, a = stop_gradient(trainable["u"]), stop_gradient(trainable["a"])
    index = jnp.arange(options.shape[0], dtype=jnp.int32)
    return Candidates(
        (index, stop_gradient(options), stop_gradient(scores)),
        candidate=lambda triple: triple,
        score=lambda triple: a * triple[2].astype(u.dtype) + u * triple[1].astype(u.dtype),
        option=lambda triple: triple[1],
    )


def seeded_candidates(trainable: Trainable, seed: Seed, k: int, kind: str, scale: float, limit: float) -> Candidates:
    """Pairs of index and random bits, recomputed. The bits are option and initial score in one array."""
    u, a = stop_gradient(trainable["u"]), stop_gradient(trainable["a"])
    # Without the barrier, XLA would see that the bits are the same in every training step and keep all K n of them.
    u, seed = jax.lax.optimization_barrier((u, seed))
    connection = connection_words(seed, u.shape)
    unit, unit_step = unit_option(kind)
    step = jnp.asarray(scale * unit_step, u.dtype)
    latent, initial = u * step, a * jnp.asarray(limit * SCORE_STEP, u.dtype)
    return Candidates(
        (jnp.arange(k, dtype=jnp.int32), option_words(seed, jax.lax.iota(jnp.uint32, k))),
        candidate=lambda slices: (slices[0], random_bits(connection, slices[1])),
        score=lambda pair: initial * unit_score(pair[1], u.dtype) + latent * unit(pair[1], u.dtype),
        option=lambda pair: unit(pair[1], u.dtype) * step,
    )


def all_scores(candidates: Candidates) -> Float[Array, "k *shape"]:
    """The scores of all candidates at once."""
    return jax.vmap(lambda slices: candidates.score(candidates.candidate(slices)))(candidates.slices)


def straight_through_latent(u: Float[Array, "*shape"], weight: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Exactly `weight`, with the gradient of the weight for `u`."""
    exact = stop_gradient(weight).astype(u.dtype)
    return (exact + (u - stop_gradient(u))).astype(weight.dtype)
