"""Options that are whole multiples of one random value."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from slotjax.options.generator import at_least_float32, rounded
from slotjax.options.options import OneByOne, Options
from slotjax.options.stored import Stored


@dataclasses.dataclass(frozen=True)
class Multiples:
    """0, 1, 2, ..., K - 1 times the random value of each connection; see `Options`.

    Those of half precision are multiplied in float32 and rounded to the nearest.

    Attributes:
        one: 0 and the random value, as of a mask.
        k: options per connection, the zero included.

    >>> options = slotjax.options.Multiples(slotjax.options.Stored(jnp.array([[0.5, -2.0]]), zero=True), k=4)
    >>> print(options.at(jnp.array([3, 2])))
    [ 1.5 -4. ]
    """

    one: Options
    k: int
    zero: bool = True

    @property
    def stored(self) -> Array | None:
        """The random value of each connection, `(1, *shape)`, if it is stored."""
        return self.one.stored

    def description(self) -> dict[str, Any]:
        """What draws the random value again, for JSON."""
        return self.one.description() | {"multiples": True}

    def numbered(self, number: int | Int[Array, ""]) -> Float[Array, "*shape"]:
        """So many times the random value, of every connection."""
        return self._times(jnp.asarray(number, jnp.int32))

    def at(self, index: Int[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The random value of every connection, times its index."""
        return self._times(index)

    def values(self) -> Float[Array, "k *shape"]:
        """All options."""
        return jax.vmap(self._times)(jnp.arange(self.k, dtype=jnp.int32))

    def one_by_one(self, dtype: DTypeLike) -> OneByOne:
        """Slices of all options."""
        return Stored(self.values()).one_by_one(dtype)

    def _times(self, count: Int[Array, "*any"]) -> Float[Array, "*shape"]:
        value = self.one.numbered(1)
        wide = at_least_float32(value.dtype)
        product = rounded(count.astype(wide) * value.astype(wide), value.dtype).astype(value.dtype)
        return jnp.where(count == 0, jnp.zeros_like(product), product)
