"""Edge-popup: one frozen random weight per connection, of which training keeps those with the largest scores."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float

from slotjax.distributions import Distribution, signed_kaiming_constant
from slotjax.options.options import OPTIONS, Initializer, check_options
from slotjax.selection.top_fraction import check_keep_fraction, top_masks
from slotjax.selectors.masks import check_mask_layout, init_mask, mask_codebook, masked, random_weight
from slotjax.selectors.selector import Method, Selector, check_one_of, make_selector
from slotjax.selectors.tree import Weight, Where, each_named, matrices_and_kernels

RANKINGS = ("layer", "global")


class EdgePopup(NamedTuple):
    """The arguments of `edge_popup`."""

    keep_fraction: float
    ranking: str
    options: str
    distribution: Distribution | Initializer


def edge_popup(
    keep_fraction: float = 0.5,
    *,
    ranking: str = "layer",
    options: str = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where = matrices_and_kernels,
) -> Selector:
    """One frozen random weight per connection, of which training keeps a fixed share: those with the largest scores.

    With random weight `w` and score `s`, the weight of a connection is `w` if `|s|` is among the largest of its layer,
    else 0: exactly `round(keep_fraction n)` of n, equal ones in row-major order. The gradient is straight-through,
    `dL/ds = dL/dW * w * sign(s)`. Only the scores are trained. The threshold is found without sorting. Where a score
    is infinite or NaN, so is the weight.

    Per selected weight, `variables["params"]` has scores of the weight's shape in float32 or better, and
    `variables["frozen"]` has `{"weight": shape}`, or `{"seed": uint32 (2,)}` if it is seeded.

    Args:
        keep_fraction: share of the connections that is kept, from 0 to 1.
        ranking: per `"layer"`, or `"global"`, over all selected weights together.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from, `distributions.signed_kaiming_constant()` unless given; the
            paper
            scales it by `distributions.scaled_for(keep_fraction, ...)` on ImageNet. Stored ones may come from any
            function
            of `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf, of two or
            more dimensions.

    Returns:
        A `Selector`; `selection` gives boolean masks, and keys change nothing. Its variables have the form of those of
        `slotjax.supermask`, from which they cannot be told.

    Raises:
        ValueError: for arguments outside these ranges; from its functions, as with `slotjax.slot_machine`.

    Implements section 3.2 of Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?" (CVPR 2020).
    Scores start from `U(-1, 1) / sqrt(fan_in)`, as in their code.

    >>> selector = slotjax.edge_popup(keep_fraction=0.25)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> weights = selector.select(variables)
    >>> print(jnp.count_nonzero(weights["kernel"]), jnp.abs(weights["kernel"]).max())
    8 0.5
    """
    distribution = signed_kaiming_constant() if distribution is None else distribution
    check_keep_fraction(keep_fraction)
    settings = EdgePopup(float(keep_fraction), ranking, options, distribution)
    check_one_of("ranking", ranking, RANKINGS)
    check_one_of("options", options, OPTIONS)
    check_options(distribution, options)

    def init(key, leaves):
        return each_named(lambda name, leaf: init_mask(key, name, leaf, distribution, options), leaves)

    def values(weights, key):
        masks = _masks_of(settings, weights)
        return [
            masked(random_weight(weight, distribution), mask, _magnitude(weight.trainable))
            for weight, mask in zip(weights, masks, strict=True)
        ]

    method = Method(
        init=init,
        choose=lambda weights, key: _masks_of(settings, weights),
        values=values,
        scores=lambda weights: [weight.trainable for weight in weights],
        codebook=lambda weight: mask_codebook(weight, distribution),
    )
    return make_selector(method, where, settings, joint=ranking == "global")


def _magnitude(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`|s|` with the derivative `sign(s)`, which is 0 at 0."""
    return scores * stop_gradient(jnp.sign(scores))


def _masks_of(settings: EdgePopup, weights: list[Weight]) -> list[Bool[Array, "..."]]:
    """What is kept of every weight."""
    for weight in weights:
        check_mask_layout(weight, settings.options)
    scores = [stop_gradient(weight.trainable) for weight in weights]
    if settings.ranking == "global":
        return top_masks(scores, settings.keep_fraction)
    return [top_masks([one], settings.keep_fraction)[0] for one in scores]
