"""What the masks of edge-popup and supermasks share: one random weight per connection, one score, keep or zero."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, fans
from slotjax.options.codebook import Codebook
from slotjax.options.generator import draw_seed
from slotjax.options.options import Initializer, at_least_float32, draw_options, initial_scores, numbered_option
from slotjax.selectors.tree import Weight, fold_name

NUMBER = 1  # of the option that is the weight, because option 0 of a sparse slot machine is 0


def init_mask(
    key: PRNGKeyArray, name: str, leaf: Any, distribution: Distribution | Initializer, options: str
) -> tuple[Array, dict[str, Array]]:
    """Scores and the random weight, or its seed."""
    key, dtype = fold_name(key, name), jax.dtypes.canonicalize_dtype(leaf.dtype)
    scores_dtype = at_least_float32(dtype)
    limit = fans(leaf.shape)[0] ** -0.5  # Kaiming-uniform with a = sqrt 5
    scores = initial_scores(key, NUMBER + 1, leaf.shape, scores_dtype, 2 * limit)[NUMBER] - jnp.asarray(
        limit, scores_dtype
    )
    if options == "stored":
        return scores, {"weight": draw_options(key, NUMBER + 1, leaf.shape, dtype, distribution)[NUMBER]}
    if dtype != scores_dtype:
        raise ValueError(f"seeded options are float32 or float64, but this weight is {dtype}; use options='stored'")
    return scores, {"seed": draw_seed(key)}


def random_weight(weight: Weight, distribution: Distribution | Initializer) -> Float[Array, "*shape"]:
    """The frozen random weight."""
    if "weight" in weight.frozen:
        return stop_gradient(weight.frozen["weight"])
    assert isinstance(distribution, Distribution), "checked by check_options"
    shape, dtype = weight.trainable.shape, weight.trainable.dtype
    return numbered_option(weight.frozen["seed"], NUMBER, shape, dtype, distribution.kind, distribution.scale(shape))


def masked(
    random: Float[Array, "*shape"], mask: Bool[Array, "*shape"], gate: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Exactly `random` where the mask is true and 0 elsewhere, with the gradient `dL/dgate = dL/dW * random`."""
    kept = jnp.where(mask, random, jnp.zeros_like(random)).astype(gate.dtype)
    return (kept + random.astype(gate.dtype) * (gate - stop_gradient(gate))).astype(random.dtype)


def mask_codebook(weight: Weight, distribution: Distribution | Initializer, rescaled: bool = False) -> Codebook:
    """Zero and the random weight."""
    if "weight" in weight.frozen:
        return Codebook(2, weight.frozen["weight"][None], zero=True, rescaled=rescaled)
    assert isinstance(distribution, Distribution), "checked by check_options"
    scale = distribution.scale(weight.trainable.shape)
    return Codebook(2, None, weight.frozen["seed"], distribution.kind, scale, True, rescaled)


def check_mask_layout(weight: Weight, options: str, more: tuple[str, ...] = ()) -> None:
    """Refuses variables of another kind of selector."""
    expected = {"seed" if options == "seeded" else "weight", *more}
    if set(weight.frozen) != expected or isinstance(weight.trainable, dict):
        raise ValueError(
            f"variables: {weight.name!r} has frozen {sorted(weight.frozen)}, but a mask with options={options!r} needs "
            f"{sorted(expected)} and one score per connection"
        )
    given = weight.frozen.get("weight", weight.trainable)
    if given.shape != weight.trainable.shape:
        shapes = f"scores of shape {weight.trainable.shape}, but a random weight of shape {given.shape}"
        raise ValueError(f"variables: {weight.name!r} has {shapes}")
