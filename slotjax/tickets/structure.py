"""What holds the leaves of a tree, as a node of JSON: dictionaries, lists, tuples, named tuples and NNX states."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx
from jaxtyping import PyTree

from slotjax.selectors import leaf_namer


class _UntoldError(Exception):
    """A tree has a node of another kind."""


def structure(tree: PyTree) -> Any:
    """The node of a tree, as FORMAT.md has it; None if the names of the leaves say it, or no node can."""
    name = leaf_namer(tree)
    names = jax.tree_util.tree_map_with_path(lambda path, _: name(path), tree)
    by_name: Any = jax.tree.structure(nested({name: name for name in jax.tree.leaves(names)}))
    if by_name == jax.tree.structure(names):
        return None
    try:
        return _node(names)
    except _UntoldError:
        return None


def metadata_of(tree: PyTree) -> list[str]:
    """The names of what NNX variables say of themselves, beside what all of them say; a structure does not have it."""
    parts = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, nnx.Variable))
    said = {name for part in parts if isinstance(part, nnx.Variable) for name in part.get_metadata()}
    return sorted(said - set(nnx.Variable(0).get_metadata()))


def keys_lost(tree: PyTree) -> list[str]:
    """The keys of dictionaries that are neither strings nor integers, which neither names nor nodes can say."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    keys = {entry.key for path in paths for entry in path if isinstance(entry, jax.tree_util.DictKey)}
    return sorted(repr(key) for key in keys if type(key) not in (str, int))


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


def _node(names: Any) -> Any:
    if names is None or isinstance(names, str):
        return names
    if type(names) in (list, tuple):
        return {type(names).__name__: [_node(part) for part in names]}
    if type(names) is nnx.State:
        return {"state": _node(dict(names.raw_mapping))}
    if isinstance(names, Mapping):
        return _of_mapping(names)
    if isinstance(names, nnx.Variable):
        (value,) = jax.tree.leaves(names, is_leaf=lambda part: part is not names)
        return {"variable": {"class": _name_of(names), "value": _node(value)}}
    if isinstance(names, tuple) and hasattr(names, "_fields"):
        fields = [[field, _node(part)] for field, part in zip(names._fields, names, strict=True)]
        return {"namedtuple": {"class": _name_of(names), "fields": fields}}
    raise _UntoldError


def _of_mapping(names: Mapping[Any, Any]) -> Any:
    nodes = [[key, _node(part)] for key, part in names.items()]
    if all(type(key) is str for key in names):
        return {"dict": dict(nodes)}
    if all(type(key) in (str, int) for key in names):
        return {"items": nodes}  # because the keys of an object of JSON are strings
    raise _UntoldError


def _name_of(instance: Any) -> list[str]:
    return [type(instance).__module__, type(instance).__qualname__]
