"""The help of a flag: whom it concerns, what it does, and its default, as the methods and their recipes say."""

import dataclasses
import itertools
import math
from typing import Any

from experiments.configuration.recipes import ALWAYS, Rows
from experiments.methods import METHODS


def help_of(field: dataclasses.Field) -> str:
    """The help of a field's flag.

    >>> from experiments.configuration.settings import Request
    >>> fields = {field.name: field for field in dataclasses.fields(Request)}
    >>> help_of(fields["keep_fraction"])
    'Edge-popup, biprop and partly frozen edge-popup: share of the weights that is kept.'
    >>> help_of(fields["batch_size"]).partition(", else")[0]
    'Examples per step, over all devices. Default: 256 on ImageNet, 16 for char_transformer, 60 with Adam'
    """
    text = field.metadata["explanation"]
    if field.name == "method":
        text += ": " + _enumerated([f"{name} ({method.about})" for name, method in METHODS.items()], "or") + "."
    concerned = [method.title for method in METHODS.values() if field.name in method.flags]
    if concerned:
        text = f"{_enumerated(concerned)}: {text}"
        text = text[0].upper() + text[1:]
    default = default_of(field.name)
    return f"{text} {default}." if default else text


def default_of(name: str) -> str:
    """The recipes' values of a setting in words, empty if it is none of theirs.

    >>> default_of("momentum"), default_of("seed")
    ('Default: 0.875 on ImageNet, else 0.9', '')
    >>> default_of("padding").partition(";")[0]
    'Default of slot machines, learned weights and random weights: VALID'
    >>> default_of("schedule").partition(";")[0].partition(", else that of slot machines and ")[::2]
    ('Default: cosine on ImageNet or for char_transformer, constant with Adam', 'learned weights: warm_restarts')
    """
    every = [method.recipe[name] for method in METHODS.values() if name in method.recipe]
    if len(set(every)) < 2:
        return f"Default: {_words(every[0])}" if every else ""
    common = tuple(row for row in every[0] if row[1] is not ALWAYS and all(row in rows for rows in every))
    titles: dict[Rows, list[str]] = {}
    for method, rows in zip(METHODS.values(), every, strict=True):
        titles.setdefault(tuple(row for row in rows if row not in common), []).append(method.title)
    own = "; ".join(f"of {_enumerated(alike)}: {_words(rows)}" for rows, alike in titles.items())
    return f"Default: {_words(common)}, else that {own}" if common else f"Default {own}"


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
    """A value as the flag takes it, or a power of 2 whose digits would say nothing.

    >>> _shown(200.0), _shown(2**-15), _shown("flip")
    ('200', '2**-15', 'flip')
    """
    if not isinstance(value, float):
        return "all" if value is None else str(value)
    fraction, exponent = math.frexp(value)
    return f"2**{exponent - 1}" if fraction == 0.5 and value != float(f"{value:g}") else f"{value:g}"


def _enumerated(words: list[str], last: str = "and") -> str:
    """Words as they stand in a sentence.

    >>> _enumerated(["a", "b", "c"])
    'a, b and c'
    """
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
