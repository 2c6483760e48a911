"""What the masks of edge-popup and supermasks share: one random weight per connection, one score, keep or zero."""

from typing import Any

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, fans
from slotjax.options import (
    Codebook,
    FromSeed,
    FromWeight,
    Initializer,
    MisfitError,
    Options,
    Source,
    Storage,
    initial_scores,
    sigma_at_init,
)
from slotjax.selectors.initial_scores import scores_dtype
from slotjax.selectors.layout import check_made, check_names
from slotjax.selectors.selector import Weight

NUMBER = 1  # of the option that is the weight, because option 0 is 0


def mask_source(options: Storage, distribution: Distribution | Initializer) -> Source:
    """Where the random weights come from."""
    if isinstance(distribution, Distribution) and options == "seeded":
        return FromSeed(NUMBER + 1, distribution, zero=True)
    return FromWeight(distribution, NUMBER)


def mask_scores(key: PRNGKeyArray, leaf: Any, distribution: Distribution | Initializer) -> Float[Array, "*shape"]:
    """Initial scores, `U(-1, 1) / sqrt(fan_in)`, or `U(-sigma, sigma)` at the own scale."""
    dtype, sigma = scores_dtype(leaf), sigma_at_init(distribution, leaf)
    limit = fans(leaf.shape)[0] ** -0.5 if sigma is None else sigma
    return initial_scores(key, NUMBER + 1, leaf.shape, dtype, 2 * limit)[NUMBER] - jnp.asarray(limit, dtype)


def mask_options(source: Source, weight: Weight) -> Options:
    """Zero and the random weight."""
    return source.options(weight.frozen, weight.trainable)


def random_weight(source: Source, weight: Weight) -> Float[Array, "*shape"]:
    """The frozen random weight."""
    return stop_gradient(mask_options(source, weight).numbered(NUMBER))


def masked(
    random: Float[Array, "*shape"], mask: Bool[Array, "*shape"], gate: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Exactly `random` where the mask is true and 0 elsewhere, with the gradient `dL/dgate = dL/dW * random`."""
    return gated(jnp.where(mask, random, jnp.zeros_like(random)), random, gate)


def gated(
    chosen: Float[Array, "*shape"], random: Float[Array, "*shape"], gate: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Exactly `chosen`, with the gradient `dL/dgate = dL/dW * random`."""
    slope = random.astype(gate.dtype) * (gate - stop_gradient(gate))
    return (chosen.astype(gate.dtype) + slope).astype(random.dtype)


def magnitude(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`|s|` with the derivative `sign(s)`, which is 0 at 0."""
    return scores * stop_gradient(jnp.sign(scores))


def mask_codebook(source: Source, weight: Weight, rescaled: bool = False) -> Codebook:
    """Zero and the random weight, for a ticket."""
    return Codebook(mask_options(source, weight), rescaled)


def check_mask_layout(weight: Weight, source: Source, more: frozenset[str] = frozenset()) -> None:
    """Raises for the variables of another selector."""
    if isinstance(weight.trainable, dict):
        raise MisfitError(f"has {sorted(weight.trainable)}, but a mask has one score array")
    check_made(weight, source, weight.trainable.shape)
    check_names(weight, source.names | more)
    given = weight.frozen.get("weight", weight.trainable)
    if given.shape != weight.trainable.shape:
        raise MisfitError(f"has scores of shape {weight.trainable.shape}, but a random weight of shape {given.shape}")
