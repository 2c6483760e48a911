"""The names of arrays in a ticket, and dtypes that NumPy does not know."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from slotjax.selectors import is_array, kind_of, leaf_namer, named_leaves
from slotjax.tickets.reader import NATIVE, Leaf, check_stored
from slotjax.tickets.structure import structure


def arrays_of(tree: PyTree, argument: str) -> PyTree:
    """The tree with JAX's arrays for leaves.

    Raises:
        ValueError: if a leaf is not an array; the message names the argument.
    """
    _check_arrays(tree, argument)
    return jax.tree.map(jnp.asarray, tree)


def _check_arrays(tree: PyTree, argument: str) -> None:
    for name, leaf in named_leaves(tree).items():
        if not is_array(leaf) and not isinstance(leaf, int | float | complex):
            raise ValueError(
                f"{argument}: {name or 'it'!r} is {kind_of(leaf)}, but it must be an array; of an Equinox model, "
                "give eqx.filter(model, eqx.is_array)"
            )


def checked_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by name.

    Raises:
        ValueError: if two leaves have one name, or if a key contains `/` and no node can say the structure, so that it
            could not be told from another.
    """
    paths, name = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)], leaf_namer(tree)
    names = list(map(name, paths))
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"variables: {twice} name two leaves each, which a ticket cannot tell from each other")
    with_slash = [name(path) for path in paths if any("/" in name((entry,)) for entry in path)]
    if with_slash and structure(tree) is None:
        raise ValueError(
            f"variables: {with_slash[0]!r} has a key that contains '/', which a ticket cannot tell from a path"
        )
    return named_leaves(tree)


def shaped_like(like: PyTree, named: dict[str, Any]) -> PyTree:
    """The leaves in the structure of another tree."""
    _check_arrays(like, "like")
    given = {name: (jnp.shape(leaf), jnp.result_type(leaf)) for name, leaf in checked_leaves(like).items()}
    there = {name: (leaf.shape, leaf.dtype) for name, leaf in named.items()}
    differing = sorted(name for name in given | there if given.get(name) != there.get(name))
    if differing:
        raise ValueError(f"`like` has another shape or dtype for {differing}")
    name = leaf_namer(like)
    return jax.tree_util.tree_map_with_path(lambda path, _: named[name(path)], like)


def plain(array: Any) -> np.ndarray:
    """An array of a dtype that a ticket has: bits for bfloat16 and its like.

    Raises:
        ValueError: for another dtype.
    """
    array = np.asarray(array)
    plain = array if array.dtype.name in NATIVE else array.view(f"u{array.dtype.itemsize}")
    check_stored(array.dtype.name, plain)
    return plain


def typed(leaf: Leaf) -> jax.Array:
    """The array of a leaf, in its own dtype."""
    dtype = jnp.dtype(leaf.dtype)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f"it holds {dtype}, which needs jax_enable_x64")
    # A copy of what is a part of the file, so that the file does not stay in memory.
    values = leaf.values() if leaf.entry else leaf.data.copy()
    return jax.device_put(values.view(dtype))
