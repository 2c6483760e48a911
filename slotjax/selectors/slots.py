"""One weight of a slot machine: which option it uses, what it is, and its scores."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.options.codebook import Codebook
from slotjax.options.options import options_from_seed
from slotjax.selection.candidates import (
    Candidates,
    candidate_at,
    greedy,
    greedy_candidate,
    probabilistic,
    probabilistic_index,
    straight_through,
)
from slotjax.selectors.factored import (
    Draws,
    all_scores,
    is_factored,
    seeded_candidates,
    stored_candidates,
    straight_through_latent,
)
from slotjax.selectors.slot_init import SlotMachine, kind_and_sigma, limit_of, with_zero
from slotjax.selectors.tree import Weight, fold_name


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


def codebook_of(settings: SlotMachine, weight: Weight) -> Codebook:
    """What the indices of the weight stand for."""
    if "options" in weight.frozen:
        return Codebook(settings.k, weight.frozen["options"])
    kind, sigma = kind_and_sigma(settings, _shape(weight))
    return Codebook(settings.k, None, weight.frozen["seed"], kind, sigma, settings.sparse)


def _candidates(settings: SlotMachine, weight: Weight) -> Candidates:
    frozen = weight.frozen
    if settings.options == "stored":
        return stored_candidates(weight.trainable, frozen["options"], frozen["scores"])
    kind, sigma = kind_and_sigma(settings, _shape(weight))
    sigma, table = frozen.get("sigma", sigma), frozen.get("options")
    limit, zero = limit_of(settings, _shape(weight), sigma), settings.sparse and table is None
    return seeded_candidates(weight.trainable, Draws(frozen["seed"], settings.k, kind, sigma, limit, table, zero))


def _all_options(settings: SlotMachine, weight: Weight) -> Float[Array, "k *options"]:
    if "options" in weight.frozen:
        return weight.frozen["options"]
    shape, dtype, seed = _shape(weight), weight.trainable.dtype, weight.frozen["seed"]
    return with_zero(settings, options_from_seed(seed, settings.k, shape, dtype, *kind_and_sigma(settings, shape)))


def _shape(weight: Weight) -> tuple[int, ...]:
    factored = isinstance(weight.trainable, dict)
    return weight.trainable["u"].shape if factored else weight.trainable.shape[1:]


def _check_layout(settings: SlotMachine, weight: Weight) -> None:
    """Refuses variables of another kind of selector, and scores and options that do not belong together."""
    factored = is_factored(weight.trainable)
    if isinstance(weight.trainable, dict) and not factored:
        raise ValueError(f"variables: {weight.name!r} has no scores, so it was not a slot machine that made them")
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
    if set(weight.frozen) != _expected(settings):
        raise ValueError(
            f"variables: {weight.name!r} has frozen {sorted(weight.frozen)}, but a selector with "
            f"options={settings.options!r}, scores={settings.scores!r} and share={settings.share!r} needs "
            f"{sorted(_expected(settings))}"
        )
    if not factored and weight.trainable.shape[:1] != (settings.k,):
        given = weight.trainable.shape
        raise ValueError(f"variables: {weight.name!r} has scores of shape {given}, but the selector has k={settings.k}")
    options, shape = weight.frozen.get("options"), _shape(weight)
    whole = (settings.k, *shape)
    if options is not None and options.shape != (whole if settings.share == "connection" else whole[:1]):
        what, given = ("u", shape) if factored else ("scores", weight.trainable.shape)
        raise ValueError(
            f"variables: {weight.name!r} has {what} of shape {given}, but options of shape {options.shape}"
        )
    if "scores" in weight.frozen and weight.frozen["scores"].shape != whole:
        given = weight.frozen["scores"].shape
        raise ValueError(f"variables: {weight.name!r} has initial scores of shape {given}, but u of shape {shape}")


def _expected(settings: SlotMachine) -> set[str]:
    """The names of the frozen values of a weight."""
    factored, seeded = settings.scores == "factored", settings.options == "seeded"
    if settings.share != "connection":
        return {"options"} | (({"seed", "sigma"} if seeded else {"scores"}) if factored else set())
    return {"seed"} if seeded else {"options", "scores"} if factored else {"options"}
