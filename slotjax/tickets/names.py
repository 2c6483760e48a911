"""The names of arrays in a ticket, and dtypes that NumPy does not know."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from slotjax.selectors import leaf_name, named_leaves
from slotjax.tickets.reader import NATIVE, Leaf, check_stored


def checked_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by name.

    Raises:
        ValueError: if a key contains `/` and the tree is not of dictionaries, lists and tuples alone, so that it could
            not be told from another.
    """
    for path, _ in jax.tree_util.tree_leaves_with_path(tree):
        if any("/" in leaf_name((entry,)) for entry in path) and structure(tree) is None:
            name = leaf_name(path)
            raise ValueError(f"variables: {name!r} has a key that contains '/', which a ticket cannot tell from a path")
    return named_leaves(tree)


def structure(tree: PyTree) -> Any:
    """How dictionaries, lists and tuples hold the leaves of a tree, for JSON; None if names say it, or nothing can.

    A node is `{"dict": {key: node}}`, `{"list": [node]}`, `{"tuple": [node]}`, or the name of a leaf.
    """
    names = jax.tree_util.tree_map_with_path(lambda path, _: leaf_name(path), tree)
    by_name: Any = jax.tree.structure(nested({name: name for name in jax.tree.leaves(names)}))
    return None if by_name == jax.tree.structure(names) else _node(names)


def _node(names: Any) -> Any:
    if type(names) is dict and all(type(key) is str for key in names):
        nodes = {key: _node(value) for key, value in names.items()}
        return None if None in nodes.values() else {"dict": nodes}
    if type(names) in (list, tuple):
        parts = [_node(value) for value in names]
        return None if None in parts else {type(names).__name__: parts}
    return names if isinstance(names, str) else None


def rebuilt(node: Any, named: dict[str, Any]) -> PyTree:
    """The leaves in the structure that `structure` described.

    Raises:
        ValueError: if it is of other leaves.
    """
    tree, used = _rebuilt(node, named)
    if sorted(used) != sorted(named):
        raise ValueError(f"a structure has the leaves {sorted(used)}, but they must be {sorted(named)}")
    return tree


def _rebuilt(node: Any, named: dict[str, Any]) -> tuple[PyTree, list[str]]:
    """The tree, and the names that it has used."""
    if isinstance(node, str):
        return named[node], [node]
    ((kind, nodes),) = node.items()
    if kind == "dict":
        parts = {key: _rebuilt(value, named) for key, value in nodes.items()}
        return {key: tree for key, (tree, _) in parts.items()}, [name for _, used in parts.values() for name in used]
    listed = [_rebuilt(value, named) for value in nodes]
    trees = {"list": list, "tuple": tuple}[kind](tree for tree, _ in listed)
    return trees, [name for _, used in listed for name in used]


def nested(named: dict[str, Any]) -> PyTree:
    """Nested dictionaries of leaves by name."""
    tree: dict[str, Any] = {}
    for name, leaf in named.items():
        if not name:
            return leaf
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def shaped_like(like: PyTree, named: dict[str, Any]) -> PyTree:
    """The leaves in the structure of another tree."""
    given = {name: (jnp.shape(leaf), jnp.result_type(leaf)) for name, leaf in checked_leaves(like).items()}
    there = {name: (leaf.shape, leaf.dtype) for name, leaf in named.items()}
    differing = sorted(name for name in given | there if given.get(name) != there.get(name))
    if differing:
        raise ValueError(f"`like` has another shape or dtype for {differing}")
    return jax.tree_util.tree_map_with_path(lambda path, _: named[leaf_name(path)], like)


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
