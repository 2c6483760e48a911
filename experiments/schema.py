"""What is read from disk, checked against a declared type, everywhere in one way.

A type is one of `int`, `float` (finite), `str`, `bool`, `None`, `X | Y`, `list[X]`, `tuple[X, ...]` (a list in JSON),
`dict[str, X]`, `Any`, a TypedDict, of which more keys than it declares are ignored, a NamedTuple, or a dataclass, which
may lack fields, as in files of an earlier version, but have no unknown ones.
"""

import dataclasses
import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict


def problems(content: Any, kind: Any, place: str = "") -> Iterator[str]:
    """What is wrong with content that JSON gave, as phrases that begin with where.

    >>> list(problems({"k": [8]}, dict[str, list[int]]))
    []
    >>> list(problems({"k": [8, "8"]}, dict[str, list[int]])), list(problems(float("nan"), float))
    (["k.1 is '8' in place of a whole number"], ['it is nan in place of a finite number'])
    """
    if get_origin(kind) in (Required, NotRequired):
        kind = get_args(kind)[0]
    if kind is Any:
        return
    if (fields := _fields(kind)) is not None:
        yield from _of_fields(content, fields, place)
    elif get_origin(kind) in (list, tuple, dict):
        yield from _of_items(content, get_origin(kind), get_args(kind), place)
    elif isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        if all(any(problems(content, one)) for one in get_args(kind)):
            yield _unlike(content, " or ".join(map(_name, get_args(kind))), place)
    elif not _SCALARS[kind][0](content):
        yield _unlike(content, _name(kind), place)


def read_json(text: str, kind: Any) -> Any:
    """The content of a JSON text, if it is of a type.

    Raises:
        ValueError: with the first thing that is wrong, in a phrase.

    >>> read_json('{"k": 8}', dict[str, int])
    {'k': 8}
    >>> read_json('{"k": null}', dict[str, int])
    Traceback (most recent call last):
    ValueError: k is None in place of a whole number
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    for problem in problems(content, kind):
        raise ValueError(problem)
    return content


class _Fields(NamedTuple):
    hints: dict[str, Any]
    required: frozenset[str]
    closed: bool  # to names that are not declared


def _fields(kind: Any) -> _Fields | None:
    if is_typeddict(kind):
        return _Fields(get_type_hints(kind, include_extras=True), kind.__required_keys__, closed=False)
    if dataclasses.is_dataclass(kind):
        return _Fields(get_type_hints(kind), frozenset(), closed=True)
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return _Fields(hints, frozenset(hints), closed=False)
    return None


def _of_fields(content: Any, fields: _Fields, place: str) -> Iterator[str]:
    if not isinstance(content, dict):
        yield _unlike(content, "an object", place)
        return
    for name in sorted(fields.required - content.keys()):
        yield f"{place or 'it'} has no {name!r}"
    for name, value in content.items():
        if name in fields.hints:
            yield from problems(value, fields.hints[name], _within(place, name))
        elif fields.closed:
            yield f"{place or 'it'} has {name!r}, which this version does not know"


def _of_items(content: Any, origin: Any, arguments: tuple[Any, ...], place: str) -> Iterator[str]:
    wanted, words = (dict, "an object") if origin is dict else (list, "a list")
    if not isinstance(content, wanted):
        yield _unlike(content, words, place)
        return
    item = arguments[1] if origin is dict else arguments[0]
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield from problems(value, item, _within(place, name))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (lambda value: _is_number(value) and isinstance(value, int), "a whole number"),
    float: (lambda value: _is_number(value) and abs(value) <= sys.float_info.max, "a finite number"),
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    types.NoneType: (lambda value: value is None, "null"),
}


def _name(kind: Any) -> str:
    return _SCALARS[kind][1] if kind in _SCALARS else "a list" if get_origin(kind) in (list, tuple) else "an object"


def _unlike(content: Any, wanted: str, place: str) -> str:
    shown = repr(content)
    return f"{place or 'it'} is {shown if len(shown) <= 60 else shown[:57] + '...'} in place of {wanted}"


def _within(place: str, name: Any) -> str:
    return f"{place}.{name}" if place else str(name)
