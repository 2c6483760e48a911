"""Which settings are allowed."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from typing import Any, get_args

import slotjax
from experiments.configuration.settings import DISTRIBUTIONS, METHODS, OPTIMIZERS, REST, RunOptions, Settings
from slotjax import data, models, training


def check(settings: Settings, options: RunOptions) -> None:
    """Raises ValueError, in one sentence that names the flag, for a value that is not allowed."""
    values = dataclasses.asdict(settings) | dataclasses.asdict(options)
    for name, (allowed, sentence) in _RULES.items():
        if not allowed(values[name]):
            raise ValueError(f"--{name}: {values[name]!r} was given, but it must be {sentence}")
    if (settings.warmup_epochs or 0) >= (settings.epochs or 0):
        raise ValueError(f"--warmup_epochs: {settings.warmup_epochs} was given, but --epochs is {settings.epochs}")
    if settings.init_from and settings.method != "learned":
        raise ValueError(f"--init_from: it needs --method=learned, but that is {settings.method}")
    if settings.sparse and settings.k < 2:
        raise ValueError("--sparse: it needs a --k of at least 2, but 1 was given")
    if settings.nesterov and not settings.momentum:
        raise ValueError("--nesterov: it needs a --momentum above 0, but 0 was given")
    if settings.nesterov and settings.optimizer == "adam":
        raise ValueError("--nesterov: it is of sgd's momentum, but --optimizer is adam")
    if settings.optimizer == "adam" and settings.method == "slot_machine" and settings.scores == "factored":
        raise ValueError("--optimizer: adam is not linear, so it needs --scores=explicit")
    if settings.train_on_all and settings.dataset in data.STREAMS:
        raise ValueError(f"--train_on_all: it is not for {settings.dataset}, of which 1 % stays held out")
    if any(epoch > (settings.epochs or 0) for epoch in options.keep_epochs):
        raise ValueError(f"--keep_epochs: {options.keep_epochs} was given, but --epochs is {settings.epochs}")


_DATASETS = (*data.DATASETS, *data.STREAMS)


def _one_of(names: Iterable[str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _is_dataset(name: str) -> bool:
    return name.startswith("npz:") or (name in _DATASETS and ":" not in name)


def _is_ascending(epochs: tuple[int, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise((0, *epochs)))


_POSITIVE = (lambda value: value >= 1, "at least 1")
_RATE = (lambda value: value is None or 0 <= value <= 1e38, "finite in float32 and not negative")
_EPOCHS = (_is_ascending, "ascending epochs from 1")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": _one_of(models.MODELS),
    "padding": _one_of(("SAME", "VALID")),
    "width_multiplier": (lambda value: 0 < value <= 1000, "above 0 and at most 1000"),
    "dropout": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "augmentation": _one_of(data.AUGMENTATIONS),
    "warmup_epochs": (lambda value: value >= 0, "at least 0"),
    "label_smoothing": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "compute_dtype": _one_of(("float32", "bfloat16")),
    "dataset": (_is_dataset, f"one of {', '.join(_DATASETS)}"),
    "examples": (lambda value: value is None or value >= 1, "at least 1"),
    "image_size": _POSITIVE,
    "method": _one_of(METHODS),
    "biases_and_scales": _one_of(REST),
    "share": _one_of(get_args(slotjax.selectors.Share)),
    "initial": _one_of(get_args(slotjax.selectors.Initial)),
    "ranking": _one_of(get_args(slotjax.selectors.Ranking)),
    "evaluation": _one_of(get_args(slotjax.selectors.Evaluation)),
    "fan": _one_of(get_args(slotjax.distributions.Fan)),
    "keep_fraction": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
    "k": (lambda value: 1 <= value <= 2**16, "from 1 to 65536"),
    "selection": _one_of(get_args(slotjax.selectors.Selection)),
    "scores": _one_of(get_args(slotjax.selectors.Scores)),
    "options": _one_of(get_args(slotjax.options.Storage)),
    "distribution": _one_of(DISTRIBUTIONS),
    "score_scale": _RATE,
    "epochs": _POSITIVE,
    "batch_size": _POSITIVE,
    "learning_rate": _RATE,
    "optimizer": _one_of(OPTIMIZERS),
    "momentum": (lambda value: 0 <= value < 1, "from 0 to less than 1"),
    "weight_decay": _RATE,
    "schedule": _one_of(training.SCHEDULES),
    "restarts": _EPOCHS,
    "seed": (lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
    "workers": (lambda value: value is None or value >= 0, "at least 0"),
    "checkpoint_every": _POSITIVE,
    "checkpoint_steps": _POSITIVE,
    "keep_epochs": _EPOCHS,
}
