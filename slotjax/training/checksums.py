"""Checksums of arrays, computed where the arrays are, and the same however they are split over devices."""

import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Shaped, UInt32

from slotjax.options import connection_words, mix

_SEEDS = np.array([[1, 2], [3, 4]], np.uint32)  # one word of a checksum from each


def checksums(tree: PyTree) -> dict[str, str]:
    """The checksum of every array by its path: 64 bits in hexadecimal.

    It is a sum over the array's words, each mixed with its position by a bijection, modulo 2^32 and in two ways. A
    change within one word of 32 bits is always found, any other with a probability of 1 - 2^-64.

    Args:
        tree: arrays of any dtype, keys among them.

    >>> before, after = (training.checksums({"a": jnp.array(values)}) for values in ([1.0, 2.0], [2.0, 1.0]))
    >>> list(before), before == after
    (["['a']"], False)
    """
    words = jax.device_get(_words(tree))
    return {
        jax.tree_util.keystr(path): "".join(f"{word:08x}" for word in pair.tolist())
        for path, pair in jax.tree_util.tree_leaves_with_path(words)
    }


def sha256_of(content: Any) -> str:
    """SHA-256 of what JSON can hold, however it is spaced and ordered.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@jax.jit
def _words(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda array: jnp.stack([_word(_bits(array), jnp.asarray(seed)) for seed in _SEEDS]), tree)


def _word(bits: UInt32[Array, "*shape"], seed: UInt32[Array, "2"]) -> UInt32[Array, ""]:
    return mix(bits ^ connection_words(seed, bits.shape)).sum(dtype=jnp.uint32)


def _bits(array: Shaped[Array, "..."]) -> UInt32[Array, "..."]:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    unsigned = jnp.dtype(f"uint{8 * min(array.dtype.itemsize, 4)}")
    return jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.uint32)
