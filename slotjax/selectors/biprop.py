"""Biprop: one frozen random sign per connection, of which training keeps those with the largest scores."""

import dataclasses
import math
from typing import Any, ClassVar, get_args

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options import (
    Codebook,
    Drawn,
    Initializer,
    Options,
    Seeded,
    Source,
    Storage,
    Stored,
    check_distribution,
    check_one_of,
    rounded,
    total_magnitude,
)
from slotjax.selection import check_keep_fraction, top_masks
from slotjax.selectors.masks import (
    check_mask_layout,
    gated,
    magnitude,
    mask_options,
    mask_scores,
    mask_source,
    random_weight,
)
from slotjax.selectors.selector import Selector, Weight, Where, default_where
from slotjax.selectors.tree import make_selector


def biprop(
    keep_fraction: float = 0.5,
    *,
    options: Storage = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where | None = None,
) -> Selector:
    """Binary weights, of which training keeps a fixed share: those with the largest scores.

    With random weight `w` and score `s`, the weight of a connection is `alpha sign(w)` if `|s|` is among the largest of
    its layer, else 0. How many are kept, and which of equal ones, is as in `slotjax.edge_popup`. All kept weights of a
    layer have one magnitude, `alpha = sum |w| / floor(keep_fraction n)`, the sum over those that are kept. The gradient
    is straight-through, `dL/ds = dL/dW * w * sign(s)`, with the random weight itself. Only the scores are trained.

    What `variables` has of each selected weight is as in `slotjax.edge_popup`. `alpha` is not stored: it comes from
    the random weights and the mask, by a sum in integers that is the same on every platform. A ticket holds it.

    Args:
        keep_fraction: share of the connections that is kept, from 0 to 1, of each layer.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from. Default: `distributions.own_scale("normal")`; with a signed
            constant, all `|w|` are equal, and this is edge-popup. The paper's is `distributions.kaiming_normal()`.
            Stored ones may come from any function of `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf. Default: as
            `slotjax.slot_machine` does.

    Returns:
        A `Selector`; `selection` gives boolean masks, and keys change nothing.

    Raises:
        ValueError: for arguments outside these ranges, and for seeded values of the kind `"bell"`; from `init`, for a
            weight so small that `floor(keep_fraction n)` is 0; from its functions, as with `slotjax.slot_machine`.

    Implements Algorithm 1 of Diffenderfer & Kailkhura, "Multi-Prize Lottery Ticket Hypothesis: Finding Accurate Binary
    Neural Networks by Pruning A Randomly Weighted Network" (ICLR 2021), with the divisor of their code. Scores start as
    in `slotjax.edge_popup`.

    >>> selector = slotjax.biprop(keep_fraction=0.25, distribution=slotjax.distributions.kaiming_normal())
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> weights = jnp.abs(selector.select(variables)["kernel"])
    >>> int(jnp.count_nonzero(weights)), len(jnp.unique(weights))
    (8, 2)
    """
    distribution = own_scale("normal") if distribution is None else distribution
    where = default_where(distribution) if where is None else where
    check_keep_fraction(keep_fraction)
    check_one_of("options", options, get_args(Storage))
    check_distribution(distribution, options)
    if options == "seeded" and isinstance(distribution, Distribution) and distribution.kind == "bell":
        raise ValueError(
            "distribution: a bell was given, but the seeded signs of biprop are those of uniform, normal or "
            "signed_constant values; options='stored' takes it"
        )
    return make_selector(Biprop(float(keep_fraction), options, distribution), where)


@dataclasses.dataclass(frozen=True)
class Biprop:
    """Signs of the weights of each layer with the largest scores, times their mean magnitude; see `Method`."""

    keep_fraction: float
    options: Storage
    distribution: Distribution | Initializer
    name: ClassVar = "biprop"

    @property
    def source(self) -> Source:
        """Where the random weights come from."""
        return mask_source(self.options, self.distribution)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Float[Array, "*shape"], Drawn]:
        """Scores and the random weight, or its seed."""
        size = math.prod(leaf.shape)
        if not self._divisor(size):
            raise ValueError(f"keep_fraction: {self.keep_fraction} keeps none of its {size} connections")
        return mask_scores(key, leaf, self.distribution), self.source.init(key, leaf)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Bool[Array, "*shape"]:
        """What is kept."""
        return top_masks([stop_gradient(self.scores(weight))], self.keep_fraction)[0]

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """The signs of what is kept, times alpha, with the gradient `dL/ds = dL/dW w sign(s)`."""
        mask = self.choose(weight, key)
        chosen = self._options(weight, mask).at(mask.astype(jnp.int32))
        return gated(chosen, random_weight(self.source, weight), magnitude(weight.trainable))

    def scores(self, weight: Weight) -> Float[Array, "*shape"]:
        """The scores, whose magnitudes are ranked."""
        check_mask_layout(weight, self.source)
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """Zero and alpha with the sign of the random weight."""
        return Codebook(self._options(weight, self.choose(weight, None)))

    def _divisor(self, size: int) -> int:
        return math.floor(self.keep_fraction * size)

    def _options(self, weight: Weight, mask: Bool[Array, "*shape"]) -> Options:
        random, options = random_weight(self.source, weight), mask_options(self.source, weight)
        total = total_magnitude(random, mask)
        # Unknown to the compiler, which would multiply by a rounded reciprocal in some programs and not in others.
        alpha = total / jax.lax.optimization_barrier(jnp.asarray(self._divisor(mask.size), total.dtype))
        if isinstance(options, Seeded):
            kind = "uniform_sign" if options.kind == "uniform" else "signed_constant"
            return dataclasses.replace(options, kind=kind, sigma=alpha)
        signed = rounded(jnp.sign(random).astype(alpha.dtype) * alpha, random.dtype).astype(random.dtype)
        return Stored(signed[None], zero=True)
