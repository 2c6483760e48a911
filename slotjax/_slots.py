"""One weight of a slot machine: what it starts from, which option it uses, and its scores."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax._factored import (
    all_scores,
    init_factored,
    seeded_candidates,
    stored_candidates,
    straight_through_latent,
)
from slotjax._generator import draw_seed
from slotjax._options import (
    Distribution,
    Initializer,
    at_least_float32,
    draw_options,
    initial_scores,
    options_from_seed,
)
from slotjax._selection import (
    Candidates,
    candidate_at,
    greedy,
    greedy_candidate,
    probabilistic,
    probabilistic_index,
    straight_through,
)
from slotjax._tree import Weight, fold_name


class SlotMachine(NamedTuple):
    """The arguments of `slot_machine`."""

    k: int
    selection: str
    scores: str
    options: str
    distribution: Distribution | Initializer
    score_scale: float | None


def init_weight(settings: SlotMachine, key: PRNGKeyArray, name: str, leaf: Any) -> tuple[Any, dict[str, Array]]:
    """The trainable and the frozen part of the weight called `name`."""
    key, dtype = fold_name(key, name), jax.dtypes.canonicalize_dtype(leaf.dtype)
    scores_dtype = at_least_float32(dtype)
    if settings.options == "seeded" and dtype != scores_dtype:
        raise ValueError(f"seeded options are float32 or float64, but this weight is {dtype}; use options='stored'")
    frozen = {"seed": draw_seed(key)} if settings.options == "seeded" else {}
    if settings.options == "stored":
        frozen["options"] = draw_options(key, settings.k, leaf.shape, dtype, settings.distribution)
    if settings.scores == "factored" and settings.options == "seeded":
        return init_factored(leaf.shape, scores_dtype), frozen
    limit = _lambda(settings, leaf.shape) * _sigma(settings, leaf.shape, frozen.get("options"))
    scores = initial_scores(key, settings.k, leaf.shape, scores_dtype, limit)
    if settings.scores == "explicit":
        return scores, frozen
    return init_factored(leaf.shape, scores_dtype), {**frozen, "scores": scores}


def choose(settings: SlotMachine, weight: Weight, key: PRNGKeyArray | None) -> tuple[Array, Array | None]:
    """The index of the option that each connection uses and, with factored scores, the option itself.

    A key samples where the selection is probabilistic.
    """
    _check_layout(settings, weight)
    key = fold_name(key, weight.name) if key is not None and settings.selection == "probabilistic" else None
    if settings.scores == "explicit":
        scores = jax.lax.stop_gradient(weight.trainable)
        return (greedy(scores) if key is None else probabilistic(scores, key)), None
    candidates = _candidates(settings, weight)
    if key is None:
        chosen = greedy_candidate(candidates)
    else:
        chosen = candidate_at(candidates, probabilistic_index(candidates, key))
    return chosen[0], candidates.option(chosen)


def weight_of(settings: SlotMachine, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
    """The selected weight, with the straight-through gradient for what trains."""
    index, option = choose(settings, weight, key)
    if option is not None:
        return straight_through_latent(weight.trainable["u"], option)
    return straight_through(weight.trainable, _all_options(settings, weight), index)


def scores_of(settings: SlotMachine, weight: Weight) -> Float[Array, "k *shape"]:
    """The scores of all options."""
    _check_layout(settings, weight)
    return weight.trainable if settings.scores == "explicit" else all_scores(_candidates(settings, weight))


def _candidates(settings: SlotMachine, weight: Weight) -> Candidates:
    if settings.options == "stored":
        return stored_candidates(weight.trainable, weight.frozen["options"], weight.frozen["scores"])
    kind, sigma = kind_and_sigma(settings, weight.trainable["u"].shape)
    limit = _lambda(settings, weight.trainable["u"].shape) * sigma
    return seeded_candidates(weight.trainable, weight.frozen["seed"], settings.k, kind, sigma, limit)


def _all_options(settings: SlotMachine, weight: Weight) -> Float[Array, "k *shape"]:
    if settings.options == "stored":
        return weight.frozen["options"]
    shape, dtype = weight.trainable.shape[1:], weight.trainable.dtype
    return options_from_seed(weight.frozen["seed"], settings.k, shape, dtype, *kind_and_sigma(settings, shape))


def _lambda(settings: SlotMachine, shape: tuple[int, ...]) -> float:
    if settings.score_scale is not None:
        return settings.score_scale
    return 0.1 if len(shape) <= 2 else 1.0


def _sigma(settings: SlotMachine, shape: tuple[int, ...], options: Array | None) -> float | Float[Array, ""]:
    """The scale of the options: what the distribution says, or for a plain initializer their root mean square."""
    if isinstance(settings.distribution, Distribution) or options is None:
        return kind_and_sigma(settings, shape)[1]
    return jnp.sqrt(jnp.mean(jnp.square(options.astype(jnp.float32))))


def kind_and_sigma(settings: SlotMachine, shape: tuple[int, ...]) -> tuple[str, float]:
    """Kind and scale of the options of a weight whose options are recomputed from a seed."""
    assert isinstance(settings.distribution, Distribution), "checked by slot_machine"
    return settings.distribution.kind, settings.distribution.scale(shape)


def _check_layout(settings: SlotMachine, weight: Weight) -> None:
    """Refuses variables of another kind of selector, and scores and options that do not belong together."""
    factored = isinstance(weight.trainable, dict)
    if settings.scores == "factored" and not factored:
        raise ValueError(
            f"variables: {weight.name!r} has explicit scores, which cannot be turned into factored ones, because K "
            "trained scores need not lie on the line a s(0) + u W; use slot_machine(scores='explicit'), or `init` anew"
        )
    if settings.scores == "explicit" and factored:
        raise ValueError(
            f"variables: {weight.name!r} has factored scores, but the selector was made with scores='explicit'; "
            "`scores` of the selector that made them gives explicit ones"
        )
    expected = {"seed"} if settings.options == "seeded" else {"options", "scores"} if factored else {"options"}
    if set(weight.frozen) != expected:
        raise ValueError(
            f"variables: {weight.name!r} has frozen {sorted(weight.frozen)}, but a selector with "
            f"options={settings.options!r} and scores={settings.scores!r} needs {sorted(expected)}"
        )
    scores, options = (weight.frozen.get("scores") if factored else weight.trainable), weight.frozen.get("options")
    if scores is not None and options is not None and scores.shape != options.shape:
        raise ValueError(
            f"variables: {weight.name!r} has scores of shape {scores.shape}, but options of shape {options.shape}"
        )
    if factored and options is not None and options.shape[1:] != weight.trainable["u"].shape:
        u = weight.trainable["u"].shape
        raise ValueError(f"variables: {weight.name!r} has u of shape {u}, but options of shape {options.shape}")
