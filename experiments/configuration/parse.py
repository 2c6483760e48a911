"""From flags to settings: defined, parsed, completed by the recipes, and checked."""

import dataclasses
from typing import Any

from absl import flags

from experiments.configuration.recipes import resolve
from experiments.configuration.rules import check
from experiments.configuration.settings import RunOptions, Settings, default_workdir


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag per field; to be called before `app.run`."""
    for field in (*dataclasses.fields(Settings), *dataclasses.fields(RunOptions)):
        default = [str(item) for item in field.default] if isinstance(field.default, tuple) else field.default
        field.metadata["define"](field.name, default, field.metadata["help"], flag_values=values)


def from_flags(values: flags.FlagValues) -> tuple[Settings, RunOptions]:
    """Settings, completed and checked, and options of parsed flags.

    Raises:
        ValueError: for a value that is not allowed, in one sentence that names the flag.
    """
    settings, options = Settings(**_values(values, Settings)), RunOptions(**_values(values, RunOptions))
    settings = resolve(settings)
    check(settings, options)
    return settings, dataclasses.replace(options, workdir=options.workdir or default_workdir(settings))


def _values(values: flags.FlagValues, kind: Any) -> dict[str, Any]:
    return {field.name: _value(values, field) for field in dataclasses.fields(kind)}


def _value(values: flags.FlagValues, field: dataclasses.Field) -> Any:
    value: Any = values[field.name].value
    if not isinstance(field.default, tuple):
        return value
    try:
        return tuple(int(item) for item in value)
    except ValueError:
        raise ValueError(f"--{field.name}: {','.join(value)!r} was given, but it must be whole numbers") from None
