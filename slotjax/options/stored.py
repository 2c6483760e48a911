"""Options that are kept as arrays: those of each connection, or the same ones for many."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from slotjax.options.options import OneByOne


@dataclasses.dataclass(frozen=True)
class Stored:
    """Each connection's own options; see `Options`.

    Attributes:
        array: `(K, *shape)`; without the zero, if option 0 is 0 by `zero`.
        zero: whether option 0 is 0 and not in the array.

    >>> options = slotjax.options.Stored(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> print(options.at(jnp.array([1, 0])))
    [3. 2.]
    """

    array: Float[Array, "n *shape"]
    zero: bool = False

    @property
    def k(self) -> int:
        """Options per connection."""
        return self.array.shape[0] + self.zero

    @property
    def stored(self) -> Float[Array, "n *shape"]:
        """What a ticket has to hold."""
        return self.array

    def description(self) -> dict[str, Any]:
        """Nothing: the values are stored."""
        return {}

    def numbered(self, number: int | Int[Array, ""]) -> Float[Array, "*shape"]:
        """The option of one number, of every connection."""
        place = jnp.maximum(jnp.asarray(number, jnp.int32) - int(self.zero), 0)
        value = jax.lax.dynamic_index_in_dim(self.array, place, keepdims=False)
        return jnp.where(number == 0, jnp.zeros_like(value), value) if self.zero else value

    def at(self, index: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The option of every connection that its index names."""
        place = jnp.maximum(index - int(self.zero), 0)[None]
        values = jnp.take_along_axis(self.array, place, 0)[0]
        return jnp.where(index == 0, jnp.zeros_like(values), values) if self.zero else values

    def values(self) -> Float[Array, "k *shape"]:
        """All options."""
        return jnp.concatenate([jnp.zeros_like(self.array[:1]), self.array]) if self.zero else self.array

    def one_by_one(self, dtype: DTypeLike) -> OneByOne:
        """Slices of the array."""
        return _slices(self.values(), dtype)


@dataclasses.dataclass(frozen=True)
class Shared:
    """Options that all connections share; see `Options`.

    Attributes:
        array: `(K,)`.
        shape: of the weight.
        zero: never: a zero is in the array.

    >>> options = slotjax.options.Shared(jnp.array([1.0, 3.0]), shape=(2,))
    >>> print(options.at(jnp.array([1, 0])))
    [3. 1.]
    """

    array: Float[Array, " k"]
    shape: tuple[int, ...]
    zero: bool = False

    @property
    def k(self) -> int:
        """Options per connection."""
        return self.array.shape[0]

    @property
    def stored(self) -> Float[Array, " k"]:
        """What a ticket has to hold."""
        return self.array

    def description(self) -> dict[str, Any]:
        """Nothing: the values are stored."""
        return {}

    def numbered(self, number: int | Int[Array, ""]) -> Float[Array, "*shape"]:
        """The option of one number, of every connection."""
        return jnp.full(self.shape, self.array[number])

    def at(self, index: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The option of every connection that its index names."""
        return self.array[index]

    def values(self) -> Float[Array, " k"]:
        """All options."""
        return self.array

    def one_by_one(self, dtype: DTypeLike) -> OneByOne:
        """Entries of the array."""
        return _slices(self.array, dtype)


def _slices(array: Float[Array, "k *options"], dtype: DTypeLike) -> OneByOne:
    return OneByOne(
        slices=jax.lax.stop_gradient(array),
        make=lambda value: value,
        option=lambda index, value: value,
        unit=lambda index, value: value.astype(dtype),
        step=jnp.ones((), dtype),
    )
