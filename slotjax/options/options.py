"""What options are to those who use them, wherever they come from."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from slotjax.options.frozen_share import FrozenShare

Storage = Literal["stored", "seeded"]


@runtime_checkable
class Options(Protocol):
    """The K frozen random values of each connection of one weight.

    `Stored`, `Shared` and `Seeded` are options. Selection asks for all of them or one by one, tickets for what has to
    be written to have them again, analysis for each by its number.
    """

    @property
    def k(self) -> int:
        """Options per connection."""

    @property
    def zero(self) -> bool:
        """Whether option 0 stands for 0 and takes no random value."""

    @property
    def stored(self) -> Array | None:
        """The values, if they are kept as an array; None if a few numbers draw them again."""

    def description(self) -> dict[str, Any]:
        """What draws the values again, as JSON can hold it; `{}` if they are stored."""

    def numbered(self, number: int | Int[Array, ""]) -> Float[Array, "*shape"]:
        """The option of one number, of every connection."""

    def at(self, index: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The option of every connection that its index names."""

    def values(self) -> Float[Array, "k *options"]:
        """All options, `(K, *shape)`, or `(K,)` if all connections share them."""

    def one_by_one(self, dtype: Any) -> "OneByOne":
        """What a loop over the options needs, so that it holds one per connection at a time."""


class OneByOne(NamedTuple):
    """Options that are made one at a time.

    Attributes:
        slices: pytree of arrays with K on their first axis.
        make: of a slice, the one array of the weight's shape, or a scalar, that stands for its option.
        option: `option(index, made)`, the option itself.
        unit: `unit(index, made)`, the option as a multiple of `step`, in the dtype that was asked for.
        step: a scalar, by which a loop need not multiply in every turn.
        nearest: `nearest(value)`, the index of the option nearest to each value and what stands for it, where that
            takes no comparison of all options. Of two as near it is the first, of equal ones either; those of half
            precision are compared before they are rounded.
    """

    slices: PyTree
    make: Callable[[PyTree], Array]
    option: Callable[[Array, Array], Float[Array, "*shape"]]
    unit: Callable[[Array, Array], Float[Array, "*shape"]]
    step: Float[Array, ""]
    nearest: Callable[[Float[Array, "*shape"]], tuple[Array, Array]] | None = None


class Codebook(NamedTuple):
    """What the selection of a weight refers to, of which a ticket is made.

    Attributes:
        options: what an index names; of a mask, 0 and the random weight.
        rescaled: whether the weight is multiplied by its number of connections over that of those that are not 0.
        frozen: which connections are decided for ever, if any.
    """

    options: Options
    rescaled: bool = False
    frozen: FrozenShare | None = None

    def weight_at(self, index: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The weight that an index per connection stands for."""
        weight = self.options.at(index)
        if self.frozen is not None:
            weight = jnp.where(self.frozen.masks(index.shape, index)[0], jnp.zeros_like(weight), weight)
        return weight * kept_ratio(index > 0, weight.dtype) if self.rescaled else weight


def kept_ratio(mask: Array, dtype: Any) -> Float[Array, ""]:
    """The connections of a mask over those that it keeps: the dynamic rescaling of Zhou et al. (2019).

    >>> print(slotjax.options.kept_ratio(jnp.array([True, False]), jnp.float32))
    2.0
    """
    kept = jnp.maximum(mask.sum(dtype=jnp.int32), 1).astype(jnp.float32)
    return (jnp.asarray(mask.size, jnp.float32) / kept).astype(dtype)
