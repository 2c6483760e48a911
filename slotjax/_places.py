"""Where the nodes of an NNX module are: in attributes, dictionaries, lists, tuples and other pytrees."""

import threading
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
from flax import nnx

Places = list[tuple[Any, Any, Any]]  # what holds something, under which name, and what that is


class Lock:
    """A lock of one model. To JAX it is a constant, the same in all models; a copy is another lock."""

    def __init__(self) -> None:
        self.held = threading.RLock()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lock)

    def __hash__(self) -> int:
        return hash(Lock)

    def __reduce__(self) -> tuple[type, tuple]:
        return Lock, ()


def places(module: nnx.Module, of: Container[int]) -> Places:
    """Where the nodes with these identities are, each several times if it is tied."""
    nodes = [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Pytree)]
    found = [place for node in nodes for place in _within(node)]
    return [place for place in found if any(id(node) in of for node in nodes_of(place[2]))]


def changed(found: Places, new: Mapping[int, Any]) -> Places:
    """The places with other nodes, which `new` has by the identity of those in whose place they are."""
    return [
        (holder, name, jax.tree.map(lambda node: new.get(id(node), node), value, is_leaf=_is_node))
        for holder, name, value in found
    ]


@contextmanager
def exchanged(module: nnx.Module, new: Mapping[int, Any]) -> Iterator[None]:
    """While it lasts, the module has other nodes, as in `changed`."""
    before = places(module, new)
    meanwhile = changed(before, new)
    try:
        put(meanwhile)
        yield
    finally:
        put(before)


def put(found: Places) -> None:
    """Puts what places have there."""
    # Past NNX's own bookkeeping, which allows no change within a trace; who does so undoes it before anybody looks.
    for holder, name, value in found:
        _entries(holder)[name] = value


def nodes_of(value: Any) -> list[Any]:
    """The nodes and other leaves of a value."""
    return jax.tree.leaves(value, is_leaf=_is_node)


def _within(holder: Any) -> Iterator[tuple[Any, Any, Any]]:
    """All that a node, a dictionary or a list holds."""
    # A dictionary stays the one that it is, in its own order, which JAX would sort.
    for name, value in enumerate(holder) if isinstance(holder, list) else _entries(holder).items():
        if isinstance(value, dict | list):
            yield from _within(value)
        else:
            yield holder, name, value


def _entries(holder: Any) -> Any:
    return vars(holder) if isinstance(holder, nnx.Pytree) else holder


def _is_node(value: Any) -> bool:
    return isinstance(value, nnx.Variable | nnx.Pytree)
