"""Options and initial scores that are recomputed from a seed wherever they are used.

A counter-based generator gives 32 bits for every tensor, option and connection, in any order. It works in integers
modulo 2^32 alone, so the bits are the same on every device and in every version of JAX. The two words of a tensor's
seed and the number of a connection are mixed into one word `c` per connection, and the seed and the number of an option
into a multiplier `A` (odd) and an increment `B` per option. Over uniform `A` and `B`, `A c + B` is pairwise independent
(Carter & Wegman, 1979); a xorshift and a multiplication finish it. That is five cheap operations for each of the K n
entries, which is why selection can recompute options instead of reading them.

An option comes from the upper 20 of its bits, its initial score from the upper 20 of a multiple of them. Both become
floats by one multiplication with a constant, so the values are the same on every device.
"""

import dataclasses
import functools
import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from slotjax.options.options import OneByOne

Seed = UInt32[Array, "2"]
Unit = Callable[[UInt32[Array, "*shape"], DTypeLike], Float[Array, "*shape"]]
SCORE_STEP = 2.0**-20  # an initial score is `unit_score(bits, dtype) * (SCORE_STEP * limit)`
_MOST_CONNECTIONS = 2**32
_FOLD = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Seeded:
    """Options that are drawn again from a seed; see `Options`.

    Attributes:
        seed: of the weight, 64 bits.
        k: options per connection.
        kind: the kind of their distribution.
        sigma: its scale.
        shape: of the weight.
        dtype: of the weight.
        zero: whether option 0 is 0.

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

    @property
    def stored(self) -> None:
        """Nothing is stored."""
        return

    def description(self) -> dict[str, Any]:
        """What draws the options again, for JSON."""
        return {"seed": np.asarray(self.seed).tolist(), "kind": self.kind, "scale": float(self.sigma)}

    def numbered(self, number: int) -> Float[Array, "*shape"]:
        """The option of one number, of every connection."""
        return self.at(jnp.uint32(number))

    def at(self, index: Int[Array, "*shape"] | UInt32[Array, ""]) -> Float[Array, "*shape"]:
        """The option of every connection that its index names."""
        words = option_words(self.seed, index.astype(jnp.uint32))
        values = self._floats(random_bits(connection_words(self.seed, self.shape), words))
        return jnp.where(index == 0, jnp.zeros_like(values), values) if self.zero else values

    def values(self) -> Float[Array, "k *shape"]:
        """All options."""
        values = self._floats(all_bits(self.seed, self.k, self.shape))
        return values.at[0].set(0) if self.zero else values

    def one_by_one(self, dtype: DTypeLike) -> OneByOne:
        """The random bits of each option; its initial score comes from the same ones."""
        connection = connection_words(self.seed, self.shape)
        unit, unit_step = unit_option(self.kind)
        step = jnp.asarray(self.sigma * unit_step, dtype)

        def unit_at(index, bits):
            values = unit(bits, dtype)
            return jnp.where(index == 0, jnp.zeros_like(values), values) if self.zero else values

        return OneByOne(
            slices=option_words(self.seed, jax.lax.iota(jnp.uint32, self.k)),
            make=lambda words: random_bits(connection, words),
            option=lambda index, bits: unit_at(index, bits) * step,
            unit=unit_at,
            step=step,
        )

    def _floats(self, bits: UInt32[Array, "*any"]) -> Float[Array, "*any"]:
        compute = at_least_float32(self.dtype)
        unit, step = unit_option(self.kind)
        return (unit(bits, compute) * jnp.asarray(self.sigma * step, compute)).astype(self.dtype)


class OptionWords(NamedTuple):
    """What the generator knows of an option: one odd multiplier and one increment, `uint32`."""

    multiplier: UInt32[Array, "*k"]
    increment: UInt32[Array, "*k"]


def draw_seed(key: PRNGKeyArray) -> Seed:
    """The seed of a tensor, 64 bits.

    >>> slotjax.options.draw_seed(jax.random.key(0)).shape
    (2,)
    """
    # Folded, because initializers of options use the keys that are folded from 0 upwards.
    return jax.random.bits(jax.random.fold_in(key, _FOLD), (2,), jnp.uint32)


def connection_words(seed: Seed, shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """One word per connection, no two alike, numbered in row-major order.

    Raises:
        ValueError: for more than 2^32 connections.

    >>> slotjax.options.connection_words(jnp.zeros(2, jnp.uint32), (2, 3)).shape
    (2, 3)
    """
    count = math.prod(shape)
    if count > _MOST_CONNECTIONS:
        raise ValueError(f"a weight of shape {shape} has more than 2^32 connections, which the generator cannot number")
    number = jax.lax.iota(jnp.uint32, count).reshape(shape)
    return mix(mix(number ^ seed[0]) ^ seed[1])


def option_words(seed: Seed, number: UInt32[Array, "*k"]) -> OptionWords:
    """The words of the options of these numbers, counted from 0.

    >>> slotjax.options.option_words(jnp.zeros(2, jnp.uint32), jnp.uint32(5)).multiplier % 2
    Array(1, dtype=uint32)
    """
    # From another start than the connections, and from no fixed point of the mixing.
    first = 2 * number + jnp.uint32(0x9E3779B9)
    multiplier, increment = (mix(mix((first + jnp.uint32(word)) ^ seed[1]) + seed[0]) for word in (0, 1))
    return OptionWords(multiplier | jnp.uint32(1), increment)


def random_bits(connection: UInt32[Array, "*shape"], option: OptionWords) -> UInt32[Array, "*shape"]:
    """32 random bits for one option of every connection.

    >>> seed = jnp.zeros(2, jnp.uint32)
    >>> connections = slotjax.options.connection_words(seed, (2, 3))
    >>> slotjax.options.random_bits(connections, slotjax.options.option_words(seed, jnp.uint32(0))).shape
    (2, 3)
    """
    word = connection * option.multiplier + option.increment
    word = word ^ (word >> 15)
    return word * jnp.uint32(0x846CA68B)


def uniform_numbers(seed: Seed, shape: tuple[int, ...], dtype: jnp.dtype) -> Float[Array, "*shape"]:
    """One number of [0, 1) per connection, in multiples of 2^-24 (float32) or 2^-53 (float64).

    >>> numbers = slotjax.options.uniform_numbers(jnp.zeros(2, jnp.uint32), (2, 3), jnp.dtype("float32"))
    >>> bool(((numbers >= 0) & (numbers < 1)).all())
    True
    """
    bits = connection_words(seed, shape)
    if jnp.finfo(dtype).bits <= 32:
        return (bits >> 8).astype(dtype) * jnp.asarray(2.0**-24, dtype)
    more = connection_words(seed ^ jnp.uint32(0x9E3779B9), shape) >> 11
    return bits.astype(dtype) * jnp.asarray(2.0**-32, dtype) + more.astype(dtype) * jnp.asarray(2.0**-53, dtype)


def mix(word: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """The bijection `lowbias32` of Wellons (hash-prospector, 2018).

    >>> slotjax.options.mix(jnp.uint32(1))
    Array(1753845952, dtype=uint32)
    """
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def at_least_float32(dtype: DTypeLike) -> jnp.dtype:
    """The dtype itself, or float32 for half precision.

    >>> slotjax.options.at_least_float32(jnp.bfloat16)
    dtype('float32')
    """
    return jnp.dtype(dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32)


def unit_score(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """How bits become an initial score: `unit_score(bits, dtype) * (SCORE_STEP * limit)`.

    >>> print(slotjax.options.unit_score(jnp.uint32(1), jnp.dtype("float32")) * slotjax.options.SCORE_STEP)
    0.6731911
    """
    # A multiplier of L'Ecuyer (1999), with which successive numbers fill the square evenly.
    return ((bits * jnp.uint32(2891336453)) >> 12).astype(jnp.int32).astype(dtype)


def _uniform(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return (_signed(bits) >> 12).astype(dtype)


def _normal(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    quantile = jnp.asarray(_half_normal_quantiles(), dtype)[((bits >> 19) & jnp.uint32(0xFFF)).astype(jnp.int32)]
    return _signed_constant(bits, dtype) * quantile


def _signed_constant(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return (1 - 2 * (bits >> 31).astype(jnp.int32)).astype(dtype)


KINDS: dict[str, tuple[Unit, float]] = {
    "uniform": (_uniform, 2.0**-19),
    "normal": (_normal, 1.0),
    "signed_constant": (_signed_constant, 1.0),
}


@functools.cache
def _half_normal_quantiles() -> np.ndarray:
    """The middle quantile of |N(0, 1)| in 4,096 equally likely parts, in multiples of 2^-16."""
    normal = statistics.NormalDist()
    quantiles = [normal.inv_cdf(0.5 + (part + 0.5) / 8192) for part in range(4096)]
    return np.round(np.array(quantiles) * 2**16) / 2**16


def _signed(bits: UInt32[Array, "*shape"]) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.int32)


def all_bits(seed: Seed, k: int, shape: tuple[int, ...]) -> UInt32[Array, "k *shape"]:
    """The bits of the first k options of every connection."""
    connection = connection_words(seed, shape)
    return jax.vmap(lambda option: random_bits(connection, option))(option_words(seed, jax.lax.iota(jnp.uint32, k)))


def unit_option(kind: str) -> tuple[Unit, float]:
    """How bits become an option: `unit(bits, dtype) * (step * sigma)`.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} was given, but it must be one of {', '.join(KINDS)}")
    return KINDS[kind]
