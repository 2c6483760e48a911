"""The leaves of a ticket in the structure that it describes, with no class but those that are already imported."""

import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from flax import nnx
from jaxtyping import PyTree


def rebuilt(node: Any, named: dict[str, Any]) -> PyTree:
    """The leaves in the structure that `structure` described.

    A named tuple whose class is not there, or is another one, becomes a dictionary of its fields, with a warning.

    Raises:
        ValueError: if it is of other leaves.
    """
    used = list(_leaves(node))
    if sorted(used) != sorted(named):
        raise ValueError(f"a structure has the leaves {sorted(used)}, but they must be {sorted(named)}")
    return _rebuilt(node, named)


def _leaves(node: Any) -> Iterator[str]:
    """The names of the leaves."""
    if isinstance(node, str):
        yield node
    elif node is not None:
        ((kind, content),) = node.items()
        for part in _PARTS[kind](content):
            yield from _leaves(part)


def _rebuilt(node: Any, named: dict[str, Any]) -> PyTree:
    if node is None:
        return None
    if isinstance(node, str):
        return named[node]
    ((kind, content),) = node.items()
    return _MAKERS[kind](content, [_rebuilt(part, named) for part in _PARTS[kind](content)])


# The nodes within one of each kind, and what is made of the content of the node and of the trees of these nodes.
_PARTS: dict[str, Callable[[Any], list[Any]]] = {
    "list": list,
    "tuple": list,
    "dict": lambda content: list(content.values()),
    "items": lambda content: [node for _, node in content],
    "state": lambda content: [content],
    "variable": lambda content: [content["value"]],
    "namedtuple": lambda content: [node for _, node in content["fields"]],
}
_MAKERS: dict[str, Callable[[Any, list[Any]], PyTree]] = {
    "list": lambda _, trees: trees,
    "tuple": lambda _, trees: tuple(trees),
    "dict": lambda content, trees: _dictionary(list(content), trees),
    "items": lambda content, trees: _dictionary([key for key, _ in content], trees),
    "state": lambda _, trees: nnx.State({**trees[0]}),
    "variable": lambda content, trees: _variable(content["class"])(trees[0]),
    "namedtuple": lambda content, trees: _named_tuple(content["class"], [name for name, _ in content["fields"]], trees),
}


def _named_tuple(names: Any, fields: list[str], trees: list[Any]) -> Any:
    found = _imported(*names)
    if found is not None and issubclass(found, tuple) and getattr(found, "_fields", None) == tuple(fields):
        return tuple.__new__(found, trees)  # past whatever a class of that name does when it is called
    _warn(names, f"a named tuple with the fields {fields}", "a dictionary of its fields")
    return _dictionary(fields, trees)


def _dictionary(keys: list[Any], trees: list[Any]) -> dict[Any, Any]:
    if any(type(key) not in (str, int) for key in keys) or len(set(keys)) != len(keys):
        raise ValueError(f"a structure has the keys {keys}, but they must be strings or integers, each one once")
    return dict(zip(keys, trees, strict=True))


def _variable(names: Any) -> Any:
    found = _imported(*names)
    if found is not None and issubclass(found, nnx.Variable) and found.__init__ is nnx.Variable.__init__:
        return found
    _warn(names, "a variable of NNX", "an nnx.Variable")
    return nnx.Variable


def _imported(module: str, qualified: str) -> type | None:
    """A class that is already imported; a file that comes from anywhere must not have anything imported or run."""
    found: Any = sys.modules.get(module)
    for name in qualified.split("."):
        if not isinstance(found, type | ModuleType):
            return None
        found = vars(found).get(name)  # not getattr, by which modules import more of themselves
    return found if isinstance(found, type) else None


def _warn(names: Any, what: str, instead: str) -> None:
    warnings.warn(
        f"ticket: {'.'.join(names)} is not imported or not {what}, so what was one comes back as {instead}; import it "
        "before, or give `like`",
        stacklevel=2,
    )
