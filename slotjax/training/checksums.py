"""Checksums of arrays, computed where the arrays are, and the same however they are split over devices."""

import hashlib
import json
from typing import Any

import jax
from jaxtyping import PyTree

from slotjax.options import checksum


def checksums(tree: PyTree) -> dict[str, str]:
    """The checksum of every array by its path: 64 bits in hexadecimal.

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
    return jax.tree.map(checksum, tree)
