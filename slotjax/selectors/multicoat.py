"""Multicoated supermasks: one frozen random weight per connection, kept once for every mask that it is in."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, get_args

from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options import Codebook, Drawn, Initializer, Multiples, Source, Storage, check_distribution, check_one_of
from slotjax.selection import check_keep_fraction, coats
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


def multicoat(
    keep_fractions: Sequence[float] = (0.5, 0.33, 0.17),
    *,
    options: Storage = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where | None = None,
) -> Selector:
    """Random weights times 0 to N, the number of masks that keep them: one mask per fraction, of the largest scores.

    With random weight `w` and score `s`, the weight of a connection is `c w`, where `c` counts the fractions among
    whose largest `|s|` of the layer it is. With a single fraction, this is `slotjax.edge_popup`; how many each keeps,
    and which of equal ones, is as there. The gradient is straight-through, `dL/ds = dL/dW * w * sign(s)`. Only the
    scores are trained. All thresholds are found in one search.

    What `variables` has of each selected weight is as in `slotjax.edge_popup`. A ticket has `ceil(log2(N + 1))` bits
    per connection.

    Args:
        keep_fractions: of each mask, or coat, the share of the connections that it keeps, from 0 to 1, decreasing. The
            example in the paper's code has 0.3, 0.0788 and 0.0315.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from. Default: `distributions.own_scale("signed_constant")`. The
            paper's is `distributions.signed_kaiming_constant()` times `sqrt(1 / k_1)`, and batch norm follows. Where
            none does, `distributions.scaled_for(keep_fractions, ...)` keeps the size of activations. Stored ones may
            come from any function of `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf. Default: as
            `slotjax.slot_machine` does.

    Returns:
        A `Selector`; `selection` gives the number of coats, `int32`, and keys change nothing.

    Raises:
        ValueError: for arguments outside these ranges; from its functions, as with `slotjax.slot_machine`.

    Implements section 3 of Okoshi et al., "Multicoated Supermasks Enhance Hidden Networks" (ICML 2022), but for the
    gradient, which in their code is N times as large. Scores start as in `slotjax.edge_popup`.

    >>> signed = slotjax.distributions.signed_kaiming_constant()
    >>> selector = slotjax.multicoat((0.5, 0.25), distribution=signed)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> print(slotjax.analysis.index_counts(selector.selection(variables), k=3))
    [16  8  8]
    """
    distribution = own_scale("signed_constant") if distribution is None else distribution
    where = default_where(distribution) if where is None else where
    fractions = tuple(keep_fractions) if isinstance(keep_fractions, Iterable) else ()
    for fraction in fractions:
        check_keep_fraction(fraction)
    if not fractions or any(first <= second for first, second in itertools.pairwise(fractions)):
        raise ValueError(f"keep_fractions: {keep_fractions!r} was given, but they must be decreasing, at least one")
    check_one_of("options", options, get_args(Storage))
    check_distribution(distribution, options)
    return make_selector(Multicoat(tuple(map(float, fractions)), options, distribution), where)


@dataclasses.dataclass(frozen=True)
class Multicoat:
    """Random weights times the number of masks that keep them; see `Method`."""

    keep_fractions: tuple[float, ...]
    options: Storage
    distribution: Distribution | Initializer
    name: ClassVar = "multicoat"

    @property
    def source(self) -> Source:
        """Where the random weights come from."""
        return mask_source(self.options, self.distribution)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Float[Array, "*shape"], Drawn]:
        """Scores and the random weight, or its seed."""
        return mask_scores(key, leaf, self.distribution), self.source.init(key, leaf).with_more(made=self._made)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Int[Array, "*shape"]:
        """The number of coats."""
        return coats(stop_gradient(self.scores(weight)), self.keep_fractions)

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """So many times the random weight, with the gradient `dL/ds = dL/dW w sign(s)`."""
        chosen = self.codebook(weight).options.at(self.choose(weight, key))
        return gated(chosen, random_weight(self.source, weight), magnitude(weight.trainable))

    def scores(self, weight: Weight) -> Float[Array, "*shape"]:
        """The scores, whose magnitudes are ranked."""
        check_mask_layout(weight, self.source)
        weight.frozen.check(self._made)
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """0 to N times the random weight."""
        return Codebook(Multiples(mask_options(self.source, weight), len(self.keep_fractions) + 1))

    @property
    def _made(self) -> dict[str, int]:
        return {"coats": len(self.keep_fractions)}
