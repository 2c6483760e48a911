"""Edge-popup: one frozen random weight per connection, of which training keeps those with the largest scores."""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options import Codebook, Drawn, Initializer, Source, Storage, check_distribution, check_one_of
from slotjax.selection import check_keep_fraction, top_masks
from slotjax.selectors.each import Each, each_weight
from slotjax.selectors.masks import (
    check_mask_layout,
    magnitude,
    mask_codebook,
    mask_scores,
    mask_source,
    masked,
    random_weight,
)
from slotjax.selectors.selector import Frozen, Selector, Weight, Where, default_where
from slotjax.selectors.tree import TreeSelector, make_selector

Ranking = Literal["layer", "global"]


def edge_popup(
    keep_fraction: float = 0.5,
    *,
    ranking: Ranking = "layer",
    options: Storage = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where | None = None,
) -> Selector:
    """One frozen random weight per connection, of which training keeps a fixed share: those with the largest scores.

    With random weight `w` and score `s`, the weight of a connection is `w` if `|s|` is among the largest of its layer,
    else 0: exactly `n - floor((1 - keep_fraction) n)` of n (`slotjax.selection.kept_count`), equal ones in row-major
    order. The gradient is straight-through, `dL/ds = dL/dW * w * sign(s)`. Only the scores are trained. The threshold
    is found without sorting. Where a score is infinite or NaN, so is the weight.

    Per selected weight, `variables["params"]` has scores of the weight's shape in float32 or better, and
    `variables["frozen"]` has `{"weight": shape}`, or `{"seed": uint32 (2,)}` if it is seeded, and `"sigma"`, if its
    scale is its own.

    Args:
        keep_fraction: share of the connections that is kept, from 0 to 1.
        ranking: per `"layer"`, or `"global"`, over all selected weights together.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from. Default: `distributions.own_scale("signed_constant")`. The
            paper's are `distributions.signed_kaiming_constant()`, on ImageNet scaled by
            `distributions.scaled_for(keep_fraction, ...)`. Stored ones may come from any function of
            `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf. Default: as
            `slotjax.slot_machine` does.

    Returns:
        A `Selector`; `selection` gives boolean masks, and keys change nothing.

    Raises:
        ValueError: for arguments outside these ranges; from its functions, as with `slotjax.slot_machine`.

    Implements section 3.2 of Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?" (CVPR 2020).
    Scores start from `U(-1, 1) / sqrt(fan_in)`, as in their code, or from `U(-sigma, sigma)` at the own scale.

    >>> signed = slotjax.distributions.signed_kaiming_constant()
    >>> selector = slotjax.edge_popup(keep_fraction=0.25, distribution=signed)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> weights = selector.select(variables)
    >>> print(jnp.count_nonzero(weights["kernel"]), jnp.abs(weights["kernel"]).max())
    8 0.5
    """
    distribution = own_scale("signed_constant") if distribution is None else distribution
    where = default_where(distribution) if where is None else where
    check_keep_fraction(keep_fraction)
    check_one_of("ranking", ranking, get_args(Ranking))
    check_one_of("options", options, get_args(Storage))
    check_distribution(distribution, options)
    method = EdgePopup(float(keep_fraction), ranking, options, distribution)
    if ranking == "global":
        return TreeSelector(GlobalEdgePopup(method, Each(method)), where, method, joint=True)
    return make_selector(method, where)


@dataclasses.dataclass(frozen=True)
class EdgePopup:
    """The weights of each layer with the largest scores; see `Method`."""

    keep_fraction: float
    ranking: Ranking
    options: Storage
    distribution: Distribution | Initializer
    name: ClassVar = "edge_popup"

    @property
    def source(self) -> Source:
        """Where the random weights come from."""
        return mask_source(self.options, self.distribution)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Float[Array, "*shape"], Drawn]:
        """Scores and the random weight, or its seed."""
        return mask_scores(key, leaf, self.distribution), self.source.init(key, leaf)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Bool[Array, "*shape"]:
        """What is kept."""
        return top_masks([stop_gradient(self.scores(weight))], self.keep_fraction)[0]

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """What is kept of the random weight."""
        return self.value_of(weight, self.choose(weight, key))

    def value_of(self, weight: Weight, mask: Bool[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The random weight where it is kept, with the gradient `dL/ds = dL/dW w sign(s)`."""
        return masked(random_weight(self.source, weight), mask, magnitude(weight.trainable))

    def scores(self, weight: Weight) -> Float[Array, "*shape"]:
        """The scores, whose magnitudes are ranked."""
        check_mask_layout(weight, self.source)
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """Zero and the random weight."""
        return mask_codebook(self.source, weight)


class GlobalEdgePopup(NamedTuple):
    """The weights of the whole network with the largest scores; see `JointMethod`."""

    method: EdgePopup
    each: Each

    def init(self, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Frozen]]:
        """Draws every weight with a key of its own."""
        return self.each.init(key, leaves)

    def choose(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Bool[Array, "..."]]:
        """What is kept of every weight."""
        scores = self.scores(weights)
        masks = top_masks([stop_gradient(score) for score in scores.values()], self.method.keep_fraction)
        return dict(zip(scores, masks, strict=True))

    def value(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Float[Array, "..."]]:
        """The kept random weights."""
        masks = self.choose(weights, key)
        return each_weight(lambda name, weight: self.method.value_of(weight, masks[name]), weights)

    def scores(self, weights: dict[str, Weight]) -> dict[str, Any]:
        """The scores of every weight."""
        return self.each.scores(weights)

    def codebooks(self, weights: dict[str, Weight]) -> dict[str, Codebook | None]:
        """Zero and the random weight, of every weight."""
        return self.each.codebooks(weights)
