"""Options and initial scores that are recomputed from a seed wherever they are used.

A counter-based generator gives 32 bits for every tensor, option and connection, in any order. It works in integers
modulo 2^32 alone, so the bits are the same on every device and in every version of JAX. The two words of a tensor's
seed and the number of a connection are mixed into one word `c` per connection, and the seed and the number of an option
into a multiplier `A` (odd) and an increment `B` per option. Over uniform `A` and `B`, `A c + B` is pairwise independent
(Carter & Wegman, 1979); a xorshift and a multiplication finish it. That is five cheap operations for each of the K n
entries, which is why selection can recompute options instead of reading them.

An option comes from the upper 20 of its bits, its initial score from the upper 20 of a multiple of them. Both become
floats by one multiplication with a constant, so the values are the same on every device.

Options may also be *stratified*: option k of K lies at random in the k-th of K equal parts of the range. They are in
order, so the nearest one is found without drawing the others.
"""

import functools
import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from slotjax.options.placement import explicit_sharding, placed_like

Seed = UInt32[Array, "2"]
Unit = Callable[[UInt32[Array, "*shape"], DTypeLike], Float[Array, "*shape"]]
SCORE_STEP = 2.0**-20  # an initial score is `unit_score(bits, dtype) * (SCORE_STEP * limit)`
STRATIFIED = "stratified"
MOST_STRATA = 2**12  # so that each part has 256 values or more
_FOLD = 2**32 - 1


class OptionWords(NamedTuple):
    """What the generator knows of an option: one odd multiplier and one increment, `uint32`."""

    multiplier: UInt32[Array, "*k"]
    increment: UInt32[Array, "*k"]


def draw_seed(key: PRNGKeyArray) -> Seed:
    """The seed of a tensor, 64 bits.

    >>> slotjax.options.draw_seed(jax.random.key(0)).shape
    (2,)
    """
    return _draw_seed(key)


@functools.partial(jax.jit, inline=True)
def _draw_seed(key: PRNGKeyArray) -> Seed:
    # Folded, because initializers of options use the keys that are folded from 0 upwards.
    return jax.random.bits(jax.random.fold_in(key, _FOLD), (2,), jnp.uint32)


def connection_words(seed: Seed, shape: tuple[int, ...], offset: int = 0, like: Any = None) -> UInt32[Array, "*shape"]:
    """One word per connection, numbered in row-major order; no two of 2^32 neighbours are alike.

    Args:
        seed: of the tensor.
        shape: of the tensor, or of a tile of it.
        offset: number of the first connection, so that a tile has its part of the words of the whole. The upper 32 bits
            of a number are mixed by themselves, and change nothing where they are 0.
        like: an array of that shape, whose sharding the words get.

    >>> slotjax.options.connection_words(jnp.zeros(2, jnp.uint32), (2, 3)).shape
    (2, 3)
    >>> whole = slotjax.options.connection_words(jnp.zeros(2, jnp.uint32), (4,))
    >>> tile = slotjax.options.connection_words(jnp.zeros(2, jnp.uint32), (2,), offset=2)
    >>> bool((tile == whole[2:]).all())
    True
    """
    low, high = _numbers(shape, offset)
    first = seed[1] if high is None else seed[1] ^ mix(high)
    return mix(mix(placed_like(low, like) ^ seed[0]) ^ first)


def _numbers(shape: tuple[int, ...], offset: int) -> tuple[Array, Array | None]:
    """The numbers of connections in two words, of which the upper is None where it is 0 throughout."""
    count = math.prod(shape)
    if offset + count <= 2**32:
        return jnp.uint32(offset) + jax.lax.iota(jnp.uint32, count).reshape(shape), None
    # The place of the first dimension times the size of all others, and the place within these.
    inner = math.prod(shape[1:])
    low, high = _product(jax.lax.iota(jnp.uint32, shape[0]), inner)
    low, high = _sum(low, high, jnp.uint32(offset % 2**32), jnp.uint32(offset >> 32))
    inside, above = _numbers(shape[1:], 0)
    outer = (shape[0],) + (1,) * (len(shape) - 1)
    zero = jnp.zeros((1,) * (len(shape) - 1), jnp.uint32) if above is None else above
    return _sum(low.reshape(outer), high.reshape(outer), inside[None], zero[None])


def _product(word: UInt32[Array, " n"], factor: int) -> tuple[Array, Array]:
    """`word * factor` in two words, from products of 16 bits."""
    low, high = jnp.uint32(factor % 2**16), jnp.uint32(factor >> 16 & 0xFFFF)
    least, middle = (word & 0xFFFF) * low, (word >> 16) * low
    other, most = (word & 0xFFFF) * high, (word >> 16) * high + word * jnp.uint32(factor >> 32)
    carry = ((least >> 16) + (middle & 0xFFFF) + (other & 0xFFFF)) >> 16
    return word * jnp.uint32(factor % 2**32), most + (middle >> 16) + (other >> 16) + carry


def _sum(low: Array, high: Array, other_low: Array, other_high: Array) -> tuple[Array, Array]:
    """The sum of two numbers of two words each."""
    total = low + other_low
    return total, high + other_high + (total < other_low).astype(jnp.uint32)


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


def stratified_bits(
    connection: UInt32[Array, "*shape"], number: UInt32[Array, "*any"], k: int
) -> UInt32[Array, "*shape"]:
    """32 bits for one option of every connection, of which a uniform one lies in the part of its number.

    Numbers may differ from connection to connection. So these bits come from fewer operations than it takes to mix the
    words of an option, which otherwise is done once for all connections.

    Args:
        connection: the words of connections.
        number: of the option, from 0 to k - 1; one, or one per connection.
        k: how many options there are, at most `MOST_STRATA`.

    >>> connections = slotjax.options.connection_words(jnp.zeros(2, jnp.uint32), (3,))
    >>> bits = slotjax.options.stratified_bits(connections, jnp.arange(3, dtype=jnp.uint32), 3)
    >>> print((bits ^ jnp.uint32(2**31)) // jnp.uint32(2**32 // 3))  # which third of the range
    [0 1 2]
    """
    random = mix(connection ^ (number * jnp.uint32(0x9E3779B9)))
    place = ((number << 20) | (random >> 12)) // jnp.uint32(k)
    return (place << 12) ^ jnp.uint32(0x80000000)


def uniform_numbers(seed: Seed, shape: tuple[int, ...], dtype: jnp.dtype, like: Any = None) -> Float[Array, "*shape"]:
    """One number of [0, 1) per connection, in multiples of 2^-24 (float32) or 2^-53 (float64), sharded as `like` is.

    >>> numbers = slotjax.options.uniform_numbers(jnp.zeros(2, jnp.uint32), (2, 3), jnp.dtype("float32"))
    >>> bool(((numbers >= 0) & (numbers < 1)).all())
    True
    """
    bits = connection_words(seed, shape, like=like)
    if jnp.finfo(dtype).bits <= 32:
        return (bits >> 8).astype(dtype) * jnp.asarray(2.0**-24, dtype)
    more = connection_words(seed ^ jnp.uint32(0x9E3779B9), shape, like=like) >> 11
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


def rounded(values: Float[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """float32 values rounded to those of a dtype of half precision, the nearest, even ones in a tie; still float32.

    Two conversions would not do, because XLA may leave both out.

    >>> print(slotjax.options.rounded(jnp.float32(1.01), jnp.bfloat16))
    1.0078125
    """
    info = jnp.finfo(dtype)
    if info.bits >= 32:
        return values
    near = jax.lax.reduce_precision(values, info.nexp, info.nmant)
    step = float(info.smallest_subnormal)  # which reduce_precision would round to 0
    small = jnp.abs(values) < float(info.tiny)
    return jnp.where(small, jnp.round(values * (1 / step)) * step, near) if info.nexp < 8 else near


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
    part = ((bits >> 19) & jnp.uint32(0xFFF)).astype(jnp.int32)
    quantile = jnp.asarray(_half_normal_quantiles(), dtype).at[part].get(out_sharding=explicit_sharding(part))
    return _signed_constant(bits, dtype) * quantile


def _bell(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    # The sum of the four bytes, two at a time.
    pairs = (bits & jnp.uint32(0x00FF00FF)) + ((bits >> 8) & jnp.uint32(0x00FF00FF))
    return ((pairs & jnp.uint32(0xFFFF)) + (pairs >> 16)).astype(jnp.int32).astype(dtype) - 510


def _signed_constant(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return (1 - 2 * (bits >> 31).astype(jnp.int32)).astype(dtype)


def _uniform_sign(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return jnp.sign(_uniform(bits, dtype))


KINDS: dict[str, tuple[Unit, float]] = {
    "uniform": (_uniform, 2.0**-19),
    "normal": (_normal, 1.0),
    "bell": (_bell, 2.0**-9),
    STRATIFIED: (_uniform, 2.0**-19),
    "signed_constant": (_signed_constant, 1.0),
    "uniform_sign": (_uniform_sign, 1.0),
}


@functools.cache
def _half_normal_quantiles() -> np.ndarray:
    """The middle quantile of |N(0, 1)| in 4,096 equally likely parts, in multiples of 2^-16."""
    normal = statistics.NormalDist()
    quantiles = [normal.inv_cdf(0.5 + (part + 0.5) / 8192) for part in range(4096)]
    return np.round(np.array(quantiles) * 2**16) / 2**16


def _signed(bits: UInt32[Array, "*shape"]) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.int32)


def all_bits(seed: Seed, k: int, shape: tuple[int, ...], like: Any = None) -> UInt32[Array, "k *shape"]:
    """The bits of the first k options of every connection."""
    connection = connection_words(seed, shape, like=like)
    return jax.vmap(lambda option: random_bits(connection, option))(option_words(seed, jax.lax.iota(jnp.uint32, k)))


def unit_option(kind: str) -> tuple[Unit, float]:
    """How bits become an option: `unit(bits, dtype) * (step * sigma)`.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} was given, but it must be one of {', '.join(KINDS)}")
    return KINDS[kind]
