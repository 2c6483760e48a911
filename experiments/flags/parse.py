"""From flags to settings: defined, parsed, completed by the recipes, and checked."""

import dataclasses
from pathlib import Path
from typing import Any

from absl import flags

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request, Settings
from experiments.flags.concerns import check_given
from experiments.flags.explain import help_of
from experiments.flags.resolve import resolve
from experiments.flags.rules import check
from experiments.methods import method_of


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag per field; to be called before `start`."""
    for field in (*dataclasses.fields(Request), *dataclasses.fields(Execution)):
        default = [str(item) for item in field.default] if isinstance(field.default, tuple) else field.default
        field.metadata["define"](field.name, default, help_of(field), flag_values=values)


def from_flags(values: flags.FlagValues) -> tuple[Settings, Execution]:
    """Settings and execution of parsed flags, completed and checked.

    Raises:
        ValueError: for a value that is not allowed, and for a flag that was given and does nothing, in one sentence
            that names the flag.
    """
    settings, execution = resolve(Request(**_values(values, Request))), Execution(**_values(values, Execution))
    check(settings, execution)
    check_given([name for name in values if values[name].present], settings)
    return settings, dataclasses.replace(execution, workdir=execution.workdir or default_workdir(settings))


def default_workdir(settings: Settings) -> str:
    """A directory named after the settings that vary most.

    >>> default_workdir(resolve(Request())), default_workdir(resolve(Request(method="edge_popup", seed=3)))
    ('runs/mnist_sample-lenet-greedy-k8-seed0', 'runs/mnist_sample-lenet-edge_popup-0.5-seed3')
    """
    dataset = Path(settings.dataset).stem if settings.dataset.startswith("npz:") else settings.dataset
    return f"runs/{dataset}-{settings.model}-{method_of(settings).short(settings)}-seed{settings.seed}"


def _values(values: flags.FlagValues, kind: Any) -> dict[str, Any]:
    return {field.name: _value(values, field) for field in dataclasses.fields(kind)}


def _value(values: flags.FlagValues, field: dataclasses.Field) -> Any:
    value: Any = values[field.name].value
    if not isinstance(field.default, tuple):
        return value
    kind, words = (float, "numbers") if float in map(type, field.default) else (int, "whole numbers")
    try:
        return tuple(map(kind, value))
    except ValueError:
        raise ValueError(f"--{field.name}: {','.join(value)!r} was given, but it must be {words}") from None
