"""The untrained network as a selector."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options import Codebook, Drawn, FromWeight, Initializer, MisfitError, check_distribution
from slotjax.selectors.layout import check_names
from slotjax.selectors.selector import Selector, Weight, Where, default_where
from slotjax.selectors.tree import make_selector


def random_selection(distribution: Distribution | Initializer | None = None, *, where: Where | None = None) -> Selector:
    """The untrained network: every connection has one frozen random value, and nothing of it is trained.

    To pick one of K independent options at random is to draw one, so there is no K. `variables["params"]` has `{}` in
    place of a selected weight, and `variables["frozen"]` has `{"weight": shape}`.

    Args:
        distribution: what weights are drawn from. Default: `slotjax.distributions.own_scale()`.
        where: `where(name, leaf) -> bool` picks the weights, by their name and leaf. Default: as in
            `slotjax.slot_machine`.

    Returns:
        A `Selector`; its `selection` is 0 everywhere, and its `scores` are `None`.

    Raises:
        ValueError: for something else as distribution; from its functions, as with `slotjax.slot_machine`.

    The baseline "random weights" of Figure 2 of Aladago & Torresani (2021).

    >>> selector = slotjax.random_selection(slotjax.distributions.glorot_uniform())
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((3, 4))})
    >>> variables["params"], selector.select(variables)["kernel"].shape
    ({'kernel': {}}, (3, 4))
    """
    distribution = own_scale() if distribution is None else distribution
    check_distribution(distribution)
    return make_selector(RandomSelection(distribution), default_where(distribution) if where is None else where)


@dataclasses.dataclass(frozen=True)
class RandomSelection:
    """One frozen random value; see `Method`."""

    distribution: Distribution | Initializer
    name: ClassVar = "random_selection"

    @property
    def source(self) -> FromWeight:
        """Where the value comes from."""
        return FromWeight(self.distribution, 0)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[dict, Drawn]:
        """Nothing trains."""
        return {}, self.source.init(key, leaf)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Int[Array, "*shape"]:
        """The only option."""
        return jnp.zeros(self.value(weight, key).shape, jnp.int32)

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """The random value."""
        if jax.tree.leaves(weight.trainable):
            raise MisfitError("was made by another kind of selector than a random selection")
        check_names(weight, self.source.names)
        return weight.frozen["weight"]

    def scores(self, weight: Weight) -> None:
        """There are none."""

    def codebook(self, weight: Weight) -> Codebook:
        """The only option."""
        value = self.value(weight, None)
        return Codebook(self.source.options(weight.frozen, value))
