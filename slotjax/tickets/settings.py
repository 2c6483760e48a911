"""What a ticket says of the selector that made it, and the selector made anew from that."""

import dataclasses
from typing import Any

from slotjax.distributions import AsMatrix, Distribution, FanScale, Multiple, OwnScale
from slotjax.selectors import (
    Partition,
    Selector,
    biprop,
    decided,
    drawn_about_zero,
    edge_popup,
    every_leaf,
    fixed,
    learned,
    matrices_and_kernels,
    multicoat,
    partition,
    partly_frozen,
    random_selection,
    slot_machine,
    supermask,
)

# A ticket names what slotjax has and nothing else, so that reading one runs no code of others.
_MAKERS = (biprop, edge_popup, fixed, learned, multicoat, random_selection, slot_machine, supermask)
_METHODS = {make.__name__: make for make in _MAKERS}
_RULES = {rule.__name__: rule for rule in (drawn_about_zero, matrices_and_kernels, every_leaf)}
_SCALES = {"own": OwnScale, "fan": FanScale, "multiple": Multiple, "matrix": AsMatrix}


def described(selector: Any) -> dict[str, Any]:
    """The method and its arguments; without `where`, for people alone, if `remade` would not give an equal selector."""
    told = _told(selector)
    return told if remade(told) == selector else _for_people(selector.settings)


def remade(told: dict[str, Any]) -> Selector | None:
    """The selector that a ticket describes, or None if the ticket does not say all of it."""
    try:
        selector = _made(told)
        # Arguments that another version knows, or that were forged, must not be passed over.
        return selector if _told(selector) == told else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _told(selector: Any) -> dict[str, Any]:
    if isinstance(selector, Partition):
        # As a list, because JSON with sorted keys would lose the order of the patterns.
        return {"method": "partition", "rules": [[pattern.pattern, _told(one)] for pattern, one in selector.rules]}
    where = getattr(selector, "where", None)
    names = getattr(where, "names", None)
    rule = sorted(names) if isinstance(names, frozenset) else _name_of(where, _RULES)
    return _for_people(selector.settings) | ({} if rule is None else {"where": rule})


def _made(told: dict[str, Any]) -> Selector:
    arguments = dict(told)
    method = arguments.pop("method")
    if method == "partition":
        return partition({pattern: _made(one) for pattern, one in told["rules"]})
    rule = arguments.pop("where")
    if method == "partly_frozen":
        selector = partly_frozen(_made(arguments.pop("selector")), **arguments)
        return decided(selector, rule) if isinstance(rule, list) else selector
    if "distribution" in arguments:
        arguments["distribution"] = _distribution(arguments["distribution"])
    if isinstance(rule, list):  # names that took the place of values
        return decided(_METHODS[method](**arguments, where=drawn_about_zero), rule)
    return _METHODS[method](**arguments, where=_RULES[rule])


def _for_people(settings: Any) -> Any:
    """The name of a method and those of its arguments that JSON can hold and that are not the defaults."""
    if isinstance(settings, dict):
        return {name: _for_people(value) for name, value in settings.items()}
    named, defaults = _arguments(settings)
    values = {name: _told_value(value) for name, value in named.items()}
    simple = {name: value for name, value in values.items() if isinstance(value, str | int | float | dict | list)}
    changed = {name: value for name, value in simple.items() if name not in defaults or value != defaults[name]}
    return {"method": settings.name} | changed


def _arguments(settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a dataclass or a NamedTuple, and their defaults."""
    if hasattr(settings, "_asdict"):
        return settings._asdict(), settings._field_defaults
    fields = dataclasses.fields(settings)
    return {field.name: getattr(settings, field.name) for field in fields}, {
        field.name: field.default for field in fields if field.default is not dataclasses.MISSING
    }


def _told_value(value: Any) -> Any:
    """For JSON: a distribution, None for one with a function of the user's, a tuple as a list, and any other value."""
    if isinstance(value, Distribution):
        scale = _told_scale(value.scale)
        return None if scale is None else {"kind": value.kind, "scale": scale}
    if isinstance(value, Selector):
        return _told(value)
    return list(value) if isinstance(value, tuple) else None if isinstance(value, dict | list) else value


def _told_scale(scale: Any) -> dict[str, Any] | None:
    name = _name_of(type(scale), _SCALES)
    if name is None:
        return None
    fields = {field.name: getattr(scale, field.name) for field in dataclasses.fields(scale)}
    if "scale" in fields:
        fields["scale"] = _told_scale(fields["scale"])
    return None if None in fields.values() else {"name": name, **fields}


def _distribution(told: dict[str, Any]) -> Distribution:
    return Distribution(told["kind"], _scale(told["scale"]))


def _scale(told: dict[str, Any]) -> Any:
    fields = {name: _scale(value) if name == "scale" else value for name, value in told.items() if name != "name"}
    return _SCALES[told["name"]](**fields)


def _name_of(value: Any, named: dict[str, Any]) -> str | None:
    return next((name for name, one in named.items() if one is value), None)
