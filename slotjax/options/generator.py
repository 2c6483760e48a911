"""A counter-based random number generator: 32 bits for every tensor, option and connection, in any order.

It works in integers modulo 2^32 alone, so the bits are the same on every device and in every version of JAX. The two
words of a tensor's seed and the number of a connection are mixed into one word `c` per connection, and the seed and
the number of an option into a multiplier `A` (odd) and an increment `B` per option. Over uniform `A` and `B`,
`A c + B` is pairwise independent (Carter & Wegman, 1979); a xorshift and a multiplication finish it. That is five
cheap operations for each of the K n entries, which is why selection can recompute options instead of reading them.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

Seed = UInt32[Array, "2"]
_MOST_CONNECTIONS = 2**32
_FOLD = 2**32 - 1


class OptionWords(NamedTuple):
    """What the generator knows of an option: one odd multiplier and one increment, `uint32`."""

    multiplier: UInt32[Array, "*k"]
    increment: UInt32[Array, "*k"]


def draw_seed(key: PRNGKeyArray) -> Seed:
    """The seed of a tensor, 64 bits."""
    # Folded, because initializers of options use the keys that are folded from 0 upwards.
    return jax.random.bits(jax.random.fold_in(key, _FOLD), (2,), jnp.uint32)


def connection_words(seed: Seed, shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """One word per connection, no two alike, numbered in row-major order.

    Raises:
        ValueError: for more than 2^32 connections.
    """
    count = math.prod(shape)
    if count > _MOST_CONNECTIONS:
        raise ValueError(f"a weight of shape {shape} has more than 2^32 connections, which the generator cannot number")
    number = jax.lax.iota(jnp.uint32, count).reshape(shape)
    return mix(mix(number ^ seed[0]) ^ seed[1])


def option_words(seed: Seed, number: UInt32[Array, "*k"]) -> OptionWords:
    """The words of the options of these numbers, counted from 0."""
    # From another start than the connections, and from no fixed point of the mixing.
    first = 2 * number + jnp.uint32(0x9E3779B9)
    multiplier, increment = (mix(mix((first + jnp.uint32(word)) ^ seed[1]) + seed[0]) for word in (0, 1))
    return OptionWords(multiplier | jnp.uint32(1), increment)


def random_bits(connection: UInt32[Array, "*shape"], option: OptionWords) -> UInt32[Array, "*shape"]:
    """32 random bits for one option of every connection."""
    word = connection * option.multiplier + option.increment
    word = word ^ (word >> 15)
    return word * jnp.uint32(0x846CA68B)


def uniform_numbers(seed: Seed, shape: tuple[int, ...], dtype: jnp.dtype) -> Float[Array, "*shape"]:
    """One number of [0, 1) per connection, in multiples of 2^-24 (float32) or 2^-53 (float64)."""
    bits = connection_words(seed, shape)
    if jnp.finfo(dtype).bits <= 32:
        return (bits >> 8).astype(dtype) * jnp.asarray(2.0**-24, dtype)
    more = connection_words(seed ^ jnp.uint32(0x9E3779B9), shape) >> 11
    return bits.astype(dtype) * jnp.asarray(2.0**-32, dtype) + more.astype(dtype) * jnp.asarray(2.0**-53, dtype)


def mix(word: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """The bijection `lowbias32` of Wellons (hash-prospector, 2018)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)
