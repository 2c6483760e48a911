"""A checksum of an array, computed where the array is, and the same however it is split over devices."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped, UInt32

from slotjax.options.generator import connection_words, mix

_SEEDS = np.array([[1, 2], [3, 4]], np.uint32)  # one word of a checksum from each


def checksum(array: Shaped[Array, "..."]) -> UInt32[Array, "2"]:
    """64 bits of an array of any dtype, keys among them.

    It is a sum over the array's words, each mixed with its position by a bijection, modulo 2^32 and in two ways. A
    change within one word of 32 bits is always found, any other with a probability of 1 - 2^-64.

    >>> one, other = (slotjax.options.checksum(jnp.array(values)) for values in ([1.0, 2.0], [2.0, 1.0]))
    >>> bool((one == other).all())
    False
    """
    bits = _bits(array)
    return jnp.stack([_word(bits, jnp.asarray(seed)) for seed in _SEEDS])


def _word(bits: UInt32[Array, "*shape"], seed: UInt32[Array, "2"]) -> UInt32[Array, ""]:
    return mix(bits ^ connection_words(seed, bits.shape, like=bits)).sum(dtype=jnp.uint32)


def _bits(array: Shaped[Array, "..."]) -> UInt32[Array, "..."]:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    unsigned = jnp.dtype(f"uint{8 * min(array.dtype.itemsize, 4)}")
    return jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.uint32)
