"""A hash of arrays, to show that they never changed."""

import hashlib

import jax
import numpy as np
from jaxtyping import PyTree

from slotjax import training


def fingerprint(tree: PyTree) -> str:
    """SHA-256 of all names, dtypes, shapes and bytes of a pytree of arrays, in hexadecimal.

    >>> fingerprint({"a": np.zeros(2)}) == fingerprint({"a": np.zeros(3)})
    False
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array = training.fetch(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
