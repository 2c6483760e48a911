"""Leaves that are neither chosen nor trained."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from slotjax.selectors.layout import check_names
from slotjax.selectors.selector import Frozen, Selector, Weight, Where
from slotjax.selectors.tree import make_selector


def every_leaf(name: str, leaf: Any) -> bool:
    """The rule for `where=` that picks all leaves.

    >>> slotjax.selectors.every_leaf("bias", jnp.zeros(2))
    True
    """
    return True


def fixed(*, where: Where = every_leaf) -> Selector:
    """Leaves that stay as `init` is given them: neither chosen nor trained.

    A batch norm whose scale is fixed at 1 and whose bias is fixed at 0 is one without them; otherwise selectors leave
    such parameters to be trained. `variables["params"]` has `{}` in place of a fixed leaf, and `variables["frozen"]`
    has `{"value": shape}`.

    Args:
        where: `where(name, leaf) -> bool` picks the leaves, by their name and leaf. Default: all.

    Returns:
        A `Selector`; its `selection` and `scores` are `None`.

    Raises:
        ValueError: from `init`, for a leaf of which only the shape is known.

    >>> params = {"kernel": jax.random.normal(jax.random.key(1), (3, 4)), "bias": jnp.zeros(4)}
    >>> selector = slotjax.partition({"bias": slotjax.fixed(), ".*": slotjax.edge_popup(0.5)})
    >>> jax.tree.map(jnp.shape, selector.init(jax.random.key(0), params)["params"])
    {'bias': {}, 'kernel': (3, 4)}
    """
    return make_selector(Fixed(), where)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A leaf that stays as `init` is given it; see `Method`."""

    name: ClassVar = "fixed"

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[dict, Frozen]:
        """The leaf itself is frozen."""
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise ValueError("it is to be fixed, so it needs an array, not only a shape")
        return {}, {"value": jnp.array(leaf)}  # a copy, as of leaves that train

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> None:
        """Nothing is chosen."""

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Array:
        """The leaf."""
        check_names(weight, ("value",))
        return jax.lax.stop_gradient(weight.frozen["value"])

    def scores(self, weight: Weight) -> None:
        """There are none."""

    def codebook(self, weight: Weight) -> None:
        """There is none."""
