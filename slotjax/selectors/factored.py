"""Factored scores: any K for two numbers per connection in training.

An optimizer that is linear in gradients and parameters moves all K scores of a connection along one line,
`s_k = a s_k(0) + u W_k`, with one `u` per connection and one `a` per weight tensor. `u` is trained exactly as an
ordinary weight would be, with the gradient of the weight itself, and `a` as a parameter whose gradient is 0. Options
`W_k` and initial scores `s_k(0)` are either stored, or recomputed from a seed while the options are compared.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from slotjax.options.generator import Seed, connection_words, option_words, random_bits
from slotjax.options.options import SCORE_STEP, numbered_option, unit_option, unit_score
from slotjax.selection.candidates import Candidates

CENTRE = 2**31 - 1  # the number of the draw that initial scores are nearest to, past all options
Trainable = dict[str, Float[Array, "..."]]


def init_factored(shape: tuple[int, ...], dtype: jnp.dtype) -> Trainable:
    """`u = 0` and `a = 1`: the scores are the initial ones."""
    return {"u": jnp.zeros(shape, dtype), "a": jnp.ones((), dtype)}


def is_factored(leaf: Any) -> bool:
    """Whether a node of a pytree of trainable values holds the factored scores of a weight."""
    return isinstance(leaf, dict) and set(leaf) == {"u", "a"} and np.shape(leaf["a"]) == ()


def stored_candidates(
    trainable: Trainable, options: Float[Array, "k *options"], scores: Float[Array, "k *shape"]
) -> Candidates:
    """Triples of index, option and initial score, read from arrays; options may be shared by all connections."""
    u, a = stop_gradient(trainable["u"]), stop_gradient(trainable["a"])
    index = jnp.arange(options.shape[0], dtype=jnp.int32)
    return Candidates(
        (index, stop_gradient(options), stop_gradient(scores)),
        candidate=lambda triple: triple,
        score=lambda triple: a * triple[2].astype(u.dtype) + u * triple[1].astype(u.dtype),
        option=lambda triple: triple[1],
    )


class Draws(NamedTuple):
    """How the options and the initial scores of a weight are recomputed.

    Attributes:
        seed: of the weight.
        k: options per connection.
        kind: the kind of their distribution.
        scale: its sigma.
        limit: the largest initial score, if they are uniform; None if they make the nearest option the first choice.
        table: the options themselves, `(K,)`, if all connections share them.
        zero: whether option 0 is 0.
    """

    seed: Seed
    k: int
    kind: str
    scale: float | Float[Array, ""]
    limit: float | Float[Array, ""] | None
    table: Float[Array, " k"] | None
    zero: bool


def seeded_candidates(trainable: Trainable, draws: Draws) -> Candidates:
    """Pairs of index and random bits, recomputed; the bits are option and initial score in one array.

    Shared options stand third.
    """
    u, a = stop_gradient(trainable["u"]), stop_gradient(trainable["a"])
    # Without the barrier, XLA would see that the bits are the same in every training step and keep all K n of them.
    u, seed = jax.lax.optimization_barrier((u, draws.seed))
    connection = connection_words(seed, u.shape)
    tables = () if draws.table is None else (stop_gradient(draws.table).astype(u.dtype),)
    unit_of_bits, unit_step = unit_option(draws.kind)
    step = jnp.asarray(1.0 if tables else draws.scale * unit_step, u.dtype)

    def unit(candidate):
        index, bits, *shared = candidate
        value = shared[0] if shared else unit_of_bits(bits, u.dtype)
        return jnp.where(index == 0, jnp.zeros_like(value), value) if draws.zero else value

    return Candidates(
        (jnp.arange(draws.k, dtype=jnp.int32), option_words(seed, jax.lax.iota(jnp.uint32, draws.k)), *tables),
        candidate=lambda slices: (slices[0], random_bits(connection, slices[1]), *slices[2:]),
        score=_score(u, a, seed, draws, unit, step),
        option=lambda candidate: unit(candidate) * step,
    )


def _score(u: Array, a: Array, seed: Seed, draws: Draws, unit: Any, step: Array) -> Callable[[tuple], Array]:
    """The score of a candidate, with everything that does not depend on the option computed beforehand."""
    if draws.limit is not None:
        latent, initial = u * step, a * jnp.asarray(draws.limit * SCORE_STEP, u.dtype)
        return lambda candidate: initial * unit_score(candidate[1], u.dtype) + latent * unit(candidate)
    latent = (u + a * numbered_option(seed, CENTRE, u.shape, u.dtype, draws.kind, draws.scale)) * step
    curvature = a * step * step / 2

    def nearest(candidate):
        value = unit(candidate)
        return value * (latent - curvature * value)

    return nearest


def nearest_scores(centre: Float[Array, "*shape"], options: Float[Array, "k *options"]) -> Float[Array, "k *shape"]:
    """`c W - W^2 / 2`: the score is largest for the option nearest to `c`, and stays so for `c + u / a` in training."""
    return jax.vmap(lambda option: option * (centre - option / 2))(options.astype(centre.dtype))


def all_scores(candidates: Candidates) -> Float[Array, "k *shape"]:
    """The scores of all candidates at once."""
    return jax.vmap(lambda slices: candidates.score(candidates.candidate(slices)))(candidates.slices)


def straight_through_latent(u: Float[Array, "*shape"], weight: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Exactly `weight`, with the gradient of the weight for `u`."""
    exact = stop_gradient(weight).astype(u.dtype)
    return (exact + (u - stop_gradient(u))).astype(weight.dtype)
