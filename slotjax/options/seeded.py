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
    STRATIFIED,
    OptionWords,
    Seed,
    at_least_float32,
    connection_words,
    option_words,
    random_bits,
    rounded,
    stratified_bits,
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
        connection = self._connections()
        unit, unit_step = unit_option(self.kind)
        step = jnp.asarray(self.sigma * unit_step, dtype)
        if jnp.finfo(self.dtype).bits < 32:
            unit, step = self._halves(unit, step), jnp.ones((), dtype)

        def unit_at(index, bits):
            values = unit(bits, dtype)
            return jnp.where(index == 0, jnp.zeros_like(values), values) if self.zero else values

        return OneByOne(
            slices=self._words(jax.lax.iota(jnp.uint32, self.k)),
            make=lambda words: self._bits(connection, words),
            option=lambda index, bits: (unit_at(index, bits) * step).astype(self.dtype),
            unit=unit_at,
            step=step,
            nearest=self._nearest if self.kind == STRATIFIED and not self.zero else None,
        )

    def _nearest(self, value: Float[Array, "*shape"]) -> tuple[Array, Array]:
        """Of stratified options: that of the value's own part, or its neighbour on the other side of the value."""
        connection, last = self._connections(), self.k - 1
        unit, step = unit_option(self.kind)
        place = value / jax.lax.optimization_barrier(jnp.asarray(self.sigma * step, value.dtype))
        part = jnp.floor((place * step + 1) * (self.k / 2))
        # Written so that it is 0 for NaN.
        part = jnp.where(part > 0, jnp.minimum(part, last), 0).astype(jnp.int32)
        bits = self._bits(connection, part.astype(jnp.uint32))
        option = unit(bits, value.dtype)
        beside = jnp.clip(jnp.where(option > place, part - 1, part + 1), 0, last)
        other = self._bits(connection, beside.astype(jnp.uint32))
        distance, others = jnp.abs(place - option), jnp.abs(place - unit(other, value.dtype))
        nearer = (others < distance) | ((others == distance) & (beside < part))
        return jnp.where(nearer, beside, part), jnp.where(nearer, other, bits)

    def _connections(self) -> UInt32[Array, "*shape"]:
        return connection_words(self.seed, self.shape, like=self.like)

    def _words(self, number: UInt32[Array, "*any"]) -> OptionWords | UInt32[Array, "*any"]:
        """What is computed of options before the connections are known."""
        return number if self.kind == STRATIFIED else option_words(self.seed, number)

    def _bits(self, connection: UInt32[Array, "*shape"], words: Any) -> UInt32[Array, "*shape"]:
        if self.kind == STRATIFIED:
            return stratified_bits(connection, words, self.k)
        return random_bits(connection, words)

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
    values = options._floats(options._bits(options._connections(), options._words(index.astype(jnp.uint32))))
    return jnp.where(index == 0, jnp.zeros_like(values), values) if options.zero else values


@_compiled
def _values(**fields: Any) -> Float[Array, "k *shape"]:
    options = Seeded(**fields)
    connection, words = options._connections(), options._words(jax.lax.iota(jnp.uint32, options.k))
    values = options._floats(jax.vmap(lambda one: options._bits(connection, one))(words))
    return values.at[0].set(0) if options.zero else values


def limit_of(kind: str, deviation: Float[Array, ""]) -> Float[Array, ""]:
    """The scale of a distribution of that kind and deviation: the limit of one that has a limit.

    That is `sqrt(3)` deviations if it is uniform, and `sqrt(12)` if it is a bell. Stratified options have the range of
    a bell of that deviation.

    >>> print(slotjax.options.limit_of("uniform", jnp.float32(1)))
    1.7320508
    """
    square = {"uniform": 3, "bell": 12, STRATIFIED: 12}.get(kind)
    return deviation * jnp.asarray(math.sqrt(square), deviation.dtype) if square else deviation
