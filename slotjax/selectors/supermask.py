"""Supermasks: one frozen random weight per connection, kept with a probability that is trained."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, signed_kaiming_constant
from slotjax.options.codebook import Codebook, share_ratio
from slotjax.options.generator import Seed, draw_seed, uniform_numbers
from slotjax.options.options import OPTIONS, Initializer, check_options
from slotjax.selectors.masks import check_mask_layout, init_mask, mask_codebook, masked, random_weight
from slotjax.selectors.selector import Method, Selector, check_one_of, make_selector
from slotjax.selectors.tree import Weight, Where, each_named, fold_name, matrices_and_kernels

EVALUATIONS = ("thresholded", "expected", "sampled")


class Supermask(NamedTuple):
    """The arguments of `supermask`."""

    evaluation: str
    rescale: bool
    options: str
    distribution: Distribution | Initializer


def supermask(
    *,
    evaluation: str = "thresholded",
    rescale: bool = False,
    options: str = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where = matrices_and_kernels,
) -> Selector:
    """One frozen random weight per connection, kept with the probability `sigmoid(score)`.

    In training, with a key, the weight of a connection is `w` with probability `p = sigmoid(s)`, else 0, drawn anew in
    every forward pass. The gradient is straight-through, `dL/dp = dL/dW * w`. Only the scores are trained.

    Per selected weight, `variables["params"]` has scores of the weight's shape in float32 or better, and
    `variables["frozen"]` has `{"weight": shape}`, or `{"seed": uint32 (2,)}` if it is seeded, and with
    `evaluation="sampled"` a second seed, `"sample"`.

    Args:
        evaluation: what a connection is when `select` gets no key: `w` if `p >= 1/2` (`"thresholded"`), `p w`
            (`"expected"`, which is no selection, so that there is no ticket of it), or one draw that is the same every
            time (`"sampled"`).
        rescale: whether each weight is multiplied by the number of its connections over the number of those that are
            kept; as a constant, without a gradient.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from, `distributions.signed_kaiming_constant()` unless given.
            Stored ones
            may come from any function of `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf, of two or
            more dimensions.

    Returns:
        A `Selector`; `selection` gives boolean masks, for expected weights the most probable ones.

    Raises:
        ValueError: for arguments outside these ranges; from its functions, as with `slotjax.slot_machine`; from
            `codebooks`, for expected weights.

    Implements section 4 of Zhou et al., "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask" (NeurIPS
    2019); the baseline of both papers. Scores start from `U(-1, 1) / sqrt(fan_in)`.

    >>> selector = slotjax.supermask(evaluation="expected")
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> mask = selector.selection(variables, jax.random.key(1))["kernel"]
    >>> mask.dtype, selector.select(variables, jax.random.key(1))["kernel"].shape
    (dtype('bool'), (8, 4))
    """
    distribution = signed_kaiming_constant() if distribution is None else distribution
    settings = Supermask(evaluation, rescale, options, distribution)
    check_one_of("evaluation", evaluation, EVALUATIONS)
    check_one_of("options", options, OPTIONS)
    check_options(distribution, options)
    method = Method(
        init=lambda key, leaves: each_named(lambda name, leaf: _init_weight(settings, key, name, leaf), leaves),
        choose=lambda weights, key: [_mask(settings, weight, key) for weight in weights],
        values=lambda weights, key: [_weight(settings, weight, key) for weight in weights],
        scores=lambda weights: [weight.trainable for weight in weights],
        codebook=lambda weight: _codebook(settings, weight),
    )
    return make_selector(method, where, settings)


def _init_weight(settings: Supermask, key: PRNGKeyArray, name: str, leaf: Any) -> tuple[Array, dict[str, Array]]:
    scores, frozen = init_mask(key, name, leaf, settings.distribution, settings.options)
    if settings.evaluation == "sampled":
        frozen["sample"] = draw_seed(jax.random.fold_in(fold_name(key, name), 0))
    return scores, frozen


def _weight(settings: Supermask, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
    _check(settings, weight)
    random, probability = random_weight(weight, settings.distribution), jax.nn.sigmoid(weight.trainable)
    if key is None and settings.evaluation == "expected":
        ratio = probability.size / jnp.sum(stop_gradient(probability)) if settings.rescale else 1.0
        return (random.astype(probability.dtype) * probability * ratio).astype(random.dtype)
    mask = _mask(settings, weight, key)
    chosen = masked(random, mask, probability)
    return chosen * share_ratio(mask, chosen.dtype) if settings.rescale else chosen


def _mask(settings: Supermask, weight: Weight, key: PRNGKeyArray | None) -> Bool[Array, "*shape"]:
    _check(settings, weight)
    probability = jax.nn.sigmoid(stop_gradient(weight.trainable))
    if key is not None:
        return _drawn(probability, draw_seed(fold_name(key, weight.name)))
    if settings.evaluation == "sampled":
        return _drawn(probability, weight.frozen["sample"])
    return stop_gradient(weight.trainable) >= 0


def _drawn(probability: Float[Array, "*shape"], seed: Seed) -> Bool[Array, "*shape"]:
    return uniform_numbers(seed, probability.shape, probability.dtype) < probability


def _codebook(settings: Supermask, weight: Weight) -> Codebook:
    if settings.evaluation == "expected":
        raise ValueError(
            "selector: expected weights are weighted by their probabilities, so that no mask stands for them; use "
            "supermask(evaluation='thresholded') or 'sampled'"
        )
    return mask_codebook(weight, settings.distribution, settings.rescale)


def _check(settings: Supermask, weight: Weight) -> None:
    check_mask_layout(weight, settings.options, ("sample",) if settings.evaluation == "sampled" else ())
