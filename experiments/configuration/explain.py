"""The help of a flag: whom it concerns, what it does, and its default, as the methods and their recipes say."""

import dataclasses
import itertools
from typing import Any

from experiments.configuration.recipes import ALWAYS, Rows
from experiments.methods import METHODS


def help_of(field: dataclasses.Field) -> str:
    """The help of a field's flag.

    >>> from experiments.configuration.settings import Request
    >>> for field in dataclasses.fields(Request):
    ...     if field.name in ("keep_fraction", "dropout", "batch_size"):
    ...         print(help_of(field).partition(": ")[2])
    share of units dropped before each fully connected layer, as in the papers. Default: slot machine, learned weights \
and random weights 0.5; edge-popup and supermask 0.
    share of the weights that is kept.
    256 on ImageNet, 60 with Adam, else 128.
    """
    text = field.metadata["explanation"]
    if field.name == "method":
        text += ": " + _enumerated([f"{name} ({method.title})" for name, method in METHODS.items()], "or") + "."
    concerned = [method.title for method in METHODS.values() if field.name in method.flags]
    if concerned:
        text = f"{_enumerated(concerned)}: {text}"
    default = default_of(field.name)
    return text[0].upper() + text[1:] + (f" Default: {default}." if default else "")


def default_of(name: str) -> str:
    """The recipes' values of a setting in words, empty if it is none of theirs.

    >>> default_of("momentum"), default_of("seed")
    ('0.875 on ImageNet, else 0.9', '')
    >>> default_of("schedule").partition("; ")[0]
    'cosine on ImageNet, constant with Adam, else slot machine and learned weights warm_restarts'
    """
    groups: dict[Rows, list[str]] = {}
    for method in METHODS.values():
        if name in method.recipe:
            groups.setdefault(method.recipe[name], []).append(method.title)
    if len(groups) < 2:
        return "".join(map(_words, groups))
    common = tuple(row for row in next(iter(groups)) if row[1] is not ALWAYS and all(row in rows for rows in groups))
    merged: dict[Rows, list[str]] = {}
    for rows, titles in groups.items():
        merged.setdefault(tuple(row for row in rows if row not in common), []).extend(titles)
    own = "; ".join(f"{_enumerated(titles)} {_words(rows)}" for rows, titles in merged.items())
    return f"{_words(common)}, else {own}" if common else own


def _words(rows: Rows) -> str:
    """Values with their conditions, those of one value together; the last without one after `else`."""
    parts: list[str] = []
    for value, same in itertools.groupby(rows, key=lambda row: row[0]):
        conditions = [when.words for _, when in same]
        if "" in conditions:
            parts.append(f"else {_shown(value)}" if parts else _shown(value))
        else:
            parts.append(f"{_shown(value)} {_enumerated(conditions, 'or')}")
    return ", ".join(parts)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _enumerated(words: list[str], last: str = "and") -> str:
    """Words as they stand in a sentence.

    >>> _enumerated(["a", "b", "c"])
    'a, b and c'
    """
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
