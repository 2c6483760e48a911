"""Settings of a run: what decides its numbers, what does not, their flags, and the papers' recipes."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from absl import flags

import slotjax
from slotjax import data, models, training

DISTRIBUTIONS = {
    "glorot_uniform": slotjax.glorot_uniform,
    "glorot_deviation": slotjax.glorot_deviation,
    "glorot_normal": slotjax.glorot_normal,
    "signed_kaiming_constant": slotjax.signed_kaiming_constant,
}


def _flag(default: Any, define: Callable[..., Any], explanation: str) -> Any:
    return dataclasses.field(default=default, metadata={"define": define, "help": explanation})


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run: the same settings on the same machine give bitwise the same metrics."""

    model: str = _flag("lenet", flags.DEFINE_string, f"Network: {', '.join(models.MODELS)}.")
    dataset: str = _flag(
        "mnist_sample",
        flags.DEFINE_string,
        "mnist_sample (5,000 real digits that come with an installed package), mnist (prepared by TFDS, see "
        "--data_dir) or npz:PATH (arrays x_train, y_train, optionally x_validation, y_validation, x_test, y_test).",
    )
    k: int = _flag(8, flags.DEFINE_integer, "Options per connection.")
    selection: str = _flag("greedy", flags.DEFINE_string, "How an option is chosen: greedy or probabilistic.")
    scores: str = _flag(
        "factored",
        flags.DEFINE_string,
        "How scores are held: factored (two numbers per connection, whatever K is) or explicit (K, as in the paper). "
        "Both train alike.",
    )
    options: str = _flag(
        "seeded",
        flags.DEFINE_string,
        "Where options are: seeded (recomputed from a seed wherever used) or stored. Both are the same values.",
    )
    distribution: str = _flag(
        "glorot_uniform",
        flags.DEFINE_string,
        "What options are drawn from: glorot_uniform (the limit, as in the paper's code), glorot_deviation (uniform up "
        "to the standard deviation, as in the paper's text), glorot_normal or signed_kaiming_constant.",
    )
    score_scale: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Lambda: initial scores are U(0, lambda sigma). Unless given, 0.1 for dense and 1 for convolutional layers.",
    )
    epochs: int = _flag(200, flags.DEFINE_integer, "Passes over the training split.")
    batch_size: int = _flag(128, flags.DEFINE_integer, "Examples per step, over all devices.")
    learning_rate: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Rate of SGD. Unless given, the paper's: greedy 0.2 for K up to 8 and 0.1 above, probabilistic 25.",
    )
    momentum: float = _flag(0.9, flags.DEFINE_float, "Momentum of SGD, from 0 to less than 1.")
    nesterov: bool = _flag(False, flags.DEFINE_bool, "Use Nesterov's momentum.")
    weight_decay: float | None = _flag(
        None,
        flags.DEFINE_float,
        "L2 penalty on what trains. Unless given, the paper's: greedy 1e-4, probabilistic 0.",
    )
    schedule: str = _flag(
        "warm_restarts", flags.DEFINE_string, f"Learning rate schedule: {', '.join(training.SCHEDULES)}."
    )
    restarts: tuple[int, ...] = _flag((25, 75), flags.DEFINE_list, "Epochs at which warm_restarts restarts.")
    seed: int = _flag(0, flags.DEFINE_integer, "Seed of options, initial scores, shuffling and sampling.")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What may differ between two runs with the same numbers."""

    data_dir: str | None = _flag(
        None, flags.DEFINE_string, "Where datasets are prepared. Unless given, TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    workdir: str | None = _flag(
        None,
        flags.DEFINE_string,
        "Where everything is written; an unfinished run there is resumed. Unless given, runs/...",
    )
    overwrite: bool = _flag(False, flags.DEFINE_bool, "Delete the run in --workdir and start again.")
    checkpoint_every: int = _flag(1, flags.DEFINE_integer, "Epochs from one checkpoint to the next.")
    keep_epochs: tuple[int, ...] = _flag(
        (), flags.DEFINE_list, "Epochs whose checkpoints are kept, beside the latest 2 and the best 1."
    )


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag per field; to be called before `app.run`."""
    for field in (*dataclasses.fields(Settings), *dataclasses.fields(RunOptions)):
        default = [str(item) for item in field.default] if isinstance(field.default, tuple) else field.default
        field.metadata["define"](field.name, default, field.metadata["help"], flag_values=values)


def from_flags(values: flags.FlagValues) -> tuple[Settings, RunOptions]:
    """Settings, resolved and checked, and options of parsed flags.

    Raises:
        ValueError: for a value that is not allowed, in one sentence that names the flag.
    """
    settings = resolve(Settings(**_values(values, Settings)))
    options = RunOptions(**_values(values, RunOptions))
    check(settings, options)
    workdir = options.workdir or default_workdir(settings)
    return settings, dataclasses.replace(options, workdir=workdir)


def resolve(settings: Settings) -> Settings:
    """The settings with the paper's learning rate and L2 penalty (section 4.1) where none is given.

    >>> resolve(Settings(k=64)).learning_rate, resolve(Settings(selection="probabilistic")).weight_decay
    (0.1, 0.0)
    """
    learning_rate, weight_decay = recipe(settings)
    return dataclasses.replace(settings, learning_rate=learning_rate, weight_decay=weight_decay)


def recipe(settings: Settings) -> tuple[float, float]:
    """Learning rate and L2 penalty: those given, else the paper's (section 4.1)."""
    greedy = (0.2 if settings.k <= 8 else 0.1), 1e-4
    paper = greedy if settings.selection == "greedy" else (25.0, 0.0)
    given = settings.learning_rate, settings.weight_decay
    learning_rate, weight_decay = (p if g is None else g for g, p in zip(given, paper, strict=True))
    return learning_rate, weight_decay


def default_workdir(settings: Settings) -> str:
    """A directory named after the settings that vary most."""
    dataset = Path(settings.dataset).stem if settings.dataset.startswith("npz:") else settings.dataset
    return f"runs/{dataset}-{settings.model}-{settings.selection}-k{settings.k}-seed{settings.seed}"


def check(settings: Settings, options: RunOptions) -> None:
    """Raises ValueError, in one sentence that names the flag, for a value that is not allowed."""
    values = dataclasses.asdict(settings) | dataclasses.asdict(options)
    for name, (allowed, sentence) in _RULES.items():
        if not allowed(values[name]):
            raise ValueError(f"--{name}: {values[name]!r} was given, but it must be {sentence}")
    if settings.nesterov and not settings.momentum:
        raise ValueError("--nesterov: it needs a --momentum above 0, but 0 was given")
    if any(epoch > settings.epochs for epoch in options.keep_epochs):
        raise ValueError(f"--keep_epochs: {options.keep_epochs} was given, but --epochs is {settings.epochs}")


def _one_of(names: Iterable[str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _is_dataset(name: str) -> bool:
    return name.startswith("npz:") or (name in data.DATASETS and ":" not in name)


def _is_ascending(epochs: tuple[int, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise((0, *epochs)))


_POSITIVE = (lambda value: value >= 1, "at least 1")
_RATE = (lambda value: value is None or 0 <= value <= 1e38, "finite in float32 and not negative")
_EPOCHS = (_is_ascending, "ascending epochs from 1")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": _one_of(models.MODELS),
    "dataset": (_is_dataset, f"one of {', '.join(data.DATASETS)}"),
    "k": (lambda value: 1 <= value <= 2**16, "from 1 to 65536"),
    "selection": _one_of(slotjax.SELECTIONS),
    "scores": _one_of(slotjax.SCORES),
    "options": _one_of(slotjax.OPTIONS),
    "distribution": _one_of(DISTRIBUTIONS),
    "score_scale": _RATE,
    "epochs": _POSITIVE,
    "batch_size": _POSITIVE,
    "learning_rate": _RATE,
    "momentum": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "weight_decay": _RATE,
    "schedule": _one_of(training.SCHEDULES),
    "restarts": _EPOCHS,
    "seed": (lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
    "checkpoint_every": _POSITIVE,
    "keep_epochs": _EPOCHS,
}


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
