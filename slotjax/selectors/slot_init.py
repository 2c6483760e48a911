"""What a weight of a slot machine starts from: its options, and its initial scores or how they are drawn again."""

import statistics
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options.generator import draw_seed
from slotjax.options.options import Initializer, at_least_float32, draw_options, initial_scores, numbered_option
from slotjax.selectors.factored import CENTRE, init_factored, nearest_scores
from slotjax.selectors.tree import each_named, fold_name


class SlotMachine(NamedTuple):
    """The arguments of `slot_machine`."""

    k: int
    selection: str
    scores: str
    options: str
    distribution: Distribution | Initializer
    score_scale: float | None = None
    share: str = "connection"
    sparse: bool = False
    initial: str = "uniform"


def init_weights(settings: SlotMachine, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The trainable and the frozen part of every weight, by name."""
    if settings.share == "network" and leaves:
        kind, scale = _known(settings)
        scales = each_named(lambda _, leaf: scale(leaf.shape), leaves)
        mean = statistics.fmean(scales.values())
        settings = settings._replace(distribution=Distribution(kind, lambda _: mean))
    return each_named(lambda name, leaf: _init_weight(settings, key, name, leaf), leaves)


def limit_of(settings: SlotMachine, shape: tuple[int, ...], sigma: Any) -> Any:
    """The largest initial score, lambda sigma, or None if initial scores are not uniform."""
    if settings.initial == "nearest":
        return None
    default = 0.1 if len(shape) <= 2 else 1.0
    return (default if settings.score_scale is None else settings.score_scale) * sigma


def kind_and_sigma(settings: SlotMachine, shape: tuple[int, ...]) -> tuple[str, float]:
    """Kind and scale of the options of a weight whose options are recomputed from a seed."""
    kind, scale = _known(settings)
    return kind, scale(shape)


def with_zero(settings: SlotMachine, options: Float[Array, "k *shape"]) -> Float[Array, "k *shape"]:
    """The options, the first of which is 0 if the slot machine is sparse."""
    return options.at[0].set(0) if settings.sparse else options


def _init_weight(settings: SlotMachine, key: PRNGKeyArray, name: str, leaf: Any) -> tuple[Any, dict[str, Array]]:
    own_key, dtype = fold_name(key, name), jax.dtypes.canonicalize_dtype(leaf.dtype)
    scores_dtype = at_least_float32(dtype)
    if settings.options == "seeded" and dtype != scores_dtype:
        raise ValueError(f"seeded options are float32 or float64, but this weight is {dtype}; use options='stored'")
    factored, seeded = settings.scores == "factored", settings.options == "seeded"
    frozen: dict[str, Array] = {}
    if settings.share != "connection":
        frozen["options"] = _shared_options(settings, key if settings.share == "network" else own_key, leaf)
        if factored and seeded:
            frozen["sigma"] = jnp.asarray(kind_and_sigma(settings, leaf.shape)[1], scores_dtype)
    elif not seeded:
        frozen["options"] = _own_options(settings, own_key, leaf)
    if seeded and (factored or settings.share == "connection"):
        frozen["seed"] = draw_seed(own_key)
    if factored and seeded:
        return init_factored(leaf.shape, scores_dtype), frozen
    options = frozen["options"] if "options" in frozen else _own_options(settings, own_key, leaf)
    scores = _initial_scores(settings, own_key, leaf.shape, scores_dtype, options)
    return (init_factored(leaf.shape, scores_dtype), frozen | {"scores": scores}) if factored else (scores, frozen)


def _own_options(settings: SlotMachine, key: PRNGKeyArray, leaf: Any) -> Float[Array, "k *shape"]:
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return with_zero(settings, draw_options(key, settings.k, leaf.shape, dtype, settings.distribution))


def _shared_options(settings: SlotMachine, key: PRNGKeyArray, leaf: Any) -> Float[Array, " k"]:
    kind, sigma = kind_and_sigma(settings, leaf.shape)
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return with_zero(settings, draw_options(key, settings.k, (), dtype, Distribution(kind, lambda _: sigma)))


def _initial_scores(
    settings: SlotMachine, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype, options: Array
) -> Float[Array, "k *shape"]:
    if settings.initial == "nearest":
        return nearest_scores(_centre(settings, key, shape, dtype), options)
    limit = limit_of(settings, shape, _sigma(settings, shape, dtype, options))
    return initial_scores(key, settings.k, shape, dtype, limit)


def _centre(
    settings: SlotMachine, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype
) -> Float[Array, "*shape"]:
    if isinstance(settings.distribution, Distribution):
        return numbered_option(draw_seed(key), CENTRE, shape, dtype, *kind_and_sigma(settings, shape))
    return settings.distribution(jax.random.fold_in(key, CENTRE), shape, dtype)


def _sigma(settings: SlotMachine, shape: tuple[int, ...], dtype: jnp.dtype, options: Array) -> float | Float[Array, ""]:
    """The scale of the options: what the distribution says, or for a plain initializer their root mean square."""
    if isinstance(settings.distribution, Distribution):
        sigma = kind_and_sigma(settings, shape)[1]
        return sigma if settings.share == "connection" else jnp.asarray(sigma, dtype)
    drawn = options[1:] if settings.sparse else options
    return jnp.sqrt(jnp.mean(jnp.square(drawn.astype(jnp.float32))))


def _known(settings: SlotMachine) -> Distribution:
    assert isinstance(settings.distribution, Distribution), "checked by slot_machine"
    return settings.distribution
