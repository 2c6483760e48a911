"""Ordinary training as a selector."""

import dataclasses
from typing import Any, ClassVar

import jax
from jaxtyping import Array, PRNGKeyArray, PyTree

from slotjax.distributions import Distribution
from slotjax.options import Codebook, Initializer, check_distribution, draw_options, dtype_of, sigma_at_init
from slotjax.selectors.checks import check_init, check_variables, check_where
from slotjax.selectors.each import each_named, fold_name
from slotjax.selectors.selector import Frozen, Selector, Variables, Where, default_where
from slotjax.selectors.tree import init_selected


def learned(distribution: Distribution | Initializer | None = None, *, where: Where | None = None) -> Selector:
    """Ordinary training: the weights themselves are trained.

    It lets the baseline, and the finetuning of a selection, take the same path as every other selector: to finetune,
    give `init` the weights that `select` returned. `variables["params"]` are the weights; nothing is frozen.

    Args:
        distribution: what the weights that `where` picks start from. Default: `init` keeps the weights that it
            is given.
        where: `where(name, leaf) -> bool` picks the weights that are drawn, by their name and leaf.

    Returns:
        A `Selector`; its `selection` and `scores` are `None` everywhere.

    Raises:
        ValueError: for something else as distribution; from `init`, if the weights should be kept and only their shapes
            are known.

    >>> machine = slotjax.slot_machine(k=8)
    >>> chosen = machine.select(machine.init(jax.random.key(0), {"kernel": jnp.eye(3, 4) - 0.25}))
    >>> variables = slotjax.learned().init(jax.random.key(0), chosen)
    >>> bool((slotjax.learned().select(variables)["kernel"] == chosen["kernel"]).all())
    True
    """
    if distribution is not None:
        check_distribution(distribution)
    return Learned(distribution, default_where(distribution) if where is None else where)


@dataclasses.dataclass(frozen=True)
class Learned:
    """Nothing is selected; see `Selector`."""

    distribution: Distribution | Initializer | None
    where: Where
    name: ClassVar = "learned"
    joint: ClassVar = False

    def __post_init__(self) -> None:
        check_where(self.where)

    @property
    def settings(self) -> "Learned":
        """The arguments of `learned`."""
        return self

    def init(self, key: PRNGKeyArray, params: PyTree) -> Variables:
        """The weights, drawn or as they are."""
        check_init(key, params)
        if self.distribution is None:
            return init_selected(lambda leaves: {}, lambda *_: False, params)
        return init_selected(lambda leaves: each_named(lambda *one: self._draw(key, *one), leaves), self.where, params)

    def select(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The weights themselves."""
        check_variables(variables)
        if jax.tree.leaves(variables["frozen"]):
            raise ValueError("variables: 'frozen' holds random values, but learned weights have none")
        return variables["params"]

    def selection(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """None everywhere."""
        return jax.tree.map(lambda _: None, self.select(variables))

    def scores(self, variables: Variables) -> PyTree:
        """None everywhere."""
        return self.selection(variables)

    def codebooks(self, variables: Variables) -> dict[str, Codebook]:
        """None at all."""
        return {}

    def _draw(self, key: PRNGKeyArray, name: str, leaf: Any) -> tuple[Array, Frozen]:
        dtype = dtype_of(leaf)
        assert self.distribution is not None, "checked by init"
        sigma = sigma_at_init(self.distribution, leaf)
        return draw_options(fold_name(key, name), 1, leaf.shape, dtype, self.distribution, sigma)[0], {}
