"""Options that are drawn again from a seed wherever they are used."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt32

from slotjax.options.generator import (
    Seed,
    all_bits,
    at_least_float32,
    connection_words,
    option_words,
    random_bits,
    rounded,
    unit_option,
)
from slotjax.options.options import OneByOne
from slotjax.options.placement import explicit_sharding


@dataclasses.dataclass(frozen=True)
class Seeded:
    """Options that are drawn again from a seed; see `Options`.

    Those of half precision are drawn in float32 and rounded to the nearest.

    Attributes:
        seed: of the weight, 64 bits.
        k: options per connection.
        kind: the kind of their distribution.
        sigma: its scale.
        shape: of the weight.
        dtype: of the weight.
        zero: whether option 0 is 0.
        like: an array of that shape, whose sharding the options get.

    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> options = slotjax.options.Seeded(seed, 4, "uniform", 0.1, (3, 2), jnp.float32)
    >>> bool((options.numbered(2) == options.values()[2]).all())
    True
    """

    seed: Seed
    k: int
    kind: str
    sigma: float | np.number | Float[Array, ""]
    shape: tuple[int, ...]
    dtype: DTypeLike
    zero: bool = False
    like: Any = None

    @property
    def stored(self) -> None:
        """Nothing is stored."""
        return

    def description(self) -> dict[str, Any]:
        """What draws the options again, for JSON."""
        return {"seed": np.asarray(self.seed).tolist(), "kind": self.kind, "scale": float(self.sigma)}

    def numbered(self, number: int | Int[Array, ""]) -> Float[Array, "*shape"]:
        """The option of one number, of every connection."""
        return self.at(jnp.asarray(number, jnp.uint32))

    def at(self, index: Int[Array, "*shape"] | UInt32[Array, ""]) -> Float[Array, "*shape"]:
        """The option of every connection that its index names."""
        return _at(index, **self._fields())

    def values(self) -> Float[Array, "k *shape"]:
        """All options."""
        return _values(**self._fields())

    def one_by_one(self, dtype: DTypeLike) -> OneByOne:
        """The random bits of each option; its initial score comes from the same ones."""
        connection = connection_words(self.seed, self.shape, like=self.like)
        unit, unit_step = unit_option(self.kind)
        step = jnp.asarray(self.sigma * unit_step, dtype)
        if jnp.finfo(self.dtype).bits < 32:
            unit, step = self._halves(unit, step), jnp.ones((), dtype)

        def unit_at(index, bits):
            values = unit(bits, dtype)
            return jnp.where(index == 0, jnp.zeros_like(values), values) if self.zero else values

        return OneByOne(
            slices=option_words(self.seed, jax.lax.iota(jnp.uint32, self.k)),
            make=lambda words: random_bits(connection, words),
            option=lambda index, bits: (unit_at(index, bits) * step).astype(self.dtype),
            unit=unit_at,
            step=step,
        )

    def _fields(self) -> dict[str, Any]:
        like = self.like if explicit_sharding(self.like) else None
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | {"like": like}

    def _halves(self, unit: Any, step: Float[Array, ""]) -> Any:
        """Options themselves in place of units, because rounded options are not multiples of a step."""
        return lambda bits, dtype: rounded(unit(bits, dtype) * step, self.dtype)

    def _floats(self, bits: UInt32[Array, "*any"]) -> Float[Array, "*any"]:
        compute = at_least_float32(self.dtype)
        unit, step = unit_option(self.kind)
        return rounded(unit(bits, compute) * jnp.asarray(self.sigma * step, compute), self.dtype).astype(self.dtype)


# Outside of any other, one program for each instead of one for every operation.
_compiled = functools.partial(jax.jit, static_argnames=("k", "kind", "shape", "dtype", "zero"), inline=True)


@_compiled
def _at(index: Int[Array, "*shape"] | UInt32[Array, ""], **fields: Any) -> Float[Array, "*shape"]:
    options = Seeded(**fields)
    words = option_words(options.seed, index.astype(jnp.uint32))
    values = options._floats(random_bits(connection_words(options.seed, options.shape, like=options.like), words))
    return jnp.where(index == 0, jnp.zeros_like(values), values) if options.zero else values


@_compiled
def _values(**fields: Any) -> Float[Array, "k *shape"]:
    options = Seeded(**fields)
    values = options._floats(all_bits(options.seed, options.k, options.shape, options.like))
    return values.at[0].set(0) if options.zero else values


def limit_of(kind: str, deviation: Float[Array, ""]) -> Float[Array, ""]:
    """The scale of a distribution of that kind and deviation: the limit of one that has a limit.

    That is `sqrt(3)` deviations if it is uniform, and `sqrt(12)` if it is a bell.

    >>> print(slotjax.options.limit_of("uniform", jnp.float32(1)))
    1.7320508
    """
    square = {"uniform": 3, "bell": 12}.get(kind)
    return deviation * jnp.asarray(math.sqrt(square), deviation.dtype) if square else deviation
