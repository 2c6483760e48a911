"""Which settings are allowed."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import slotjax
from experiments.configuration.choices import CHOICES
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from experiments.methods import METHODS, method_of
from slotjax import data, models

_DATASETS = (*data.DATASETS, *data.STREAMS)
Rule = tuple[Callable[[Any], bool], str]


def _one_of(names: Iterable[str]) -> Rule:
    return lambda value: value in names, f"one of {', '.join(names)}"


def _is_dataset(name: str) -> bool:
    return name.startswith("npz:") or (name in _DATASETS and ":" not in name)


def _is_ascending(epochs: tuple[int, ...]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise((0, *epochs, 2**31)))


def _are_coats(shares: tuple[float, ...]) -> bool:
    return bool(shares) and shares[0] <= 1 and all(one > other for one, other in itertools.pairwise((*shares, 0)))


_COUNT: Rule = (lambda value: 1 <= value < 2**31, "from 1 to 2147483647")
_SHARE: Rule = (lambda value: 0 <= value < 1, "from 0 to less than 1")
_RATE: Rule = (lambda value: value is None or 0 <= value <= 1e38, "finite in float32 and not negative")
_EPOCHS: Rule = (_is_ascending, "ascending epochs from 1")
_RULES: Mapping[str, Rule] = {
    **{name: _one_of(names) for name, names in CHOICES.items()},
    "width_multiplier": (lambda value: 0 < value <= 1000, "above 0 and at most 1000"),
    "dropout": _SHARE,
    "warmup_epochs": (lambda value: value >= 0, "at least 0"),
    "label_smoothing": _SHARE,
    "dataset": (_is_dataset, f"one of {', '.join(_DATASETS)}"),
    "examples": (lambda value: value is None or 1 <= value < 2**31, "from 1 to 2147483647"),
    "image_size": _COUNT,
    "keep_fraction": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
    "pruned": _SHARE,
    "kept": _SHARE,
    "keep_fractions": (_are_coats, "decreasing shares, above 0 and at most 1"),
    "k": (lambda value: 1 <= value <= 2**16, "from 1 to 65536"),
    "score_scale": _RATE,
    "scale_factor": (lambda value: 0 < value <= 1000, "above 0 and at most 1000"),
    "epochs": _COUNT,
    "epoch_steps": (lambda value: value is None or 1 <= value < 2**31, "from 1 to 2147483647"),
    "batch_size": _COUNT,
    "learning_rate": _RATE,
    "momentum": _SHARE,
    "weight_decay": _RATE,
    "restarts": _EPOCHS,
    "init_from": (lambda value: value is None or bool(value.partition("@")[0]), "WORKDIR or WORKDIR@EPOCH"),
    "seed": (lambda value: 0 <= value < 2**32, "from 0 to 4294967295"),
    "workers": (lambda value: value is None or 0 <= value <= 1024, "from 0 to 1024"),
    "checkpoint_every": _COUNT,
    "checkpoint_steps": _COUNT,
    "keep_epochs": _EPOCHS,
}


def check(settings: Settings, execution: Execution) -> None:
    """Raises ValueError, in one sentence that names the flag, for a value that is not allowed."""
    values = dataclasses.asdict(settings) | dataclasses.asdict(execution)
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"--{name}: {value!r} was given, but no name has the character 0")
    for name, (allowed, sentence) in _RULES.items():
        if not allowed(values[name]):
            raise ValueError(f"--{name}: {values[name]!r} was given, but it must be {sentence}")
    _check_method(settings)
    _check_text(settings)
    if settings.distribution == "own_stratified":
        _check_stratified(settings)
    if settings.warmup_epochs >= settings.epochs:
        raise ValueError(f"--warmup_epochs: {settings.warmup_epochs} was given, but --epochs is {settings.epochs}")
    if settings.nesterov and not settings.momentum:
        raise ValueError("--nesterov: it needs a --momentum above 0, but 0 was given")
    if settings.nesterov and settings.optimizer == "adam":
        raise ValueError("--nesterov: it is of sgd's momentum, but --optimizer is adam")
    if settings.train_on_all and settings.dataset in data.STREAMS:
        raise ValueError(f"--train_on_all: it is not for {settings.dataset}, of which 1 % stays held out")
    if settings.epoch_steps and settings.dataset in data.STREAMS:
        raise ValueError(f"--epoch_steps: it is not for {settings.dataset}, whose epochs are whole")
    if any(epoch > settings.epochs for epoch in execution.keep_epochs):
        raise ValueError(f"--keep_epochs: {execution.keep_epochs} was given, but --epochs is {settings.epochs}")


def _check_text(settings: Settings) -> None:
    """A text needs a model of texts, and such a model a text."""
    texts, models_of_texts = " or ".join(data.TEXTS), " or ".join(models.TEXT_MODELS)
    if settings.model in models.TEXT_MODELS and settings.dataset not in data.TEXTS:
        raise ValueError(f"--model: {settings.model} needs --dataset={texts}, but that is {settings.dataset}")
    if settings.dataset in data.TEXTS and settings.model not in models.TEXT_MODELS:
        raise ValueError(f"--dataset: {settings.dataset} needs --model={models_of_texts}, but that is {settings.model}")


def _check_stratified(settings: Settings) -> None:
    """Options that are in order are for the nearest of several."""
    least, most, given = 2, slotjax.options.MOST_STRATA, "with --distribution=own_stratified"
    if settings.method != "slot_machine":
        raise ValueError(f"--distribution: own_stratified needs --method=slot_machine, but that is {settings.method}")
    if settings.initial == "uniform":
        raise ValueError(f"--initial: uniform was given, but {given} it must be nearest or given")
    if settings.sparse:
        raise ValueError(f"--sparse: True was given, but {given} it must be False")
    if not least <= settings.k <= most:
        raise ValueError(f"--k: {settings.k} was given, but {given} it must be from {least} to {most}")


def _check_method(settings: Settings) -> None:
    flags = method_of(settings).flags
    if "pruned" in flags and settings.pruned + settings.kept > slotjax.selectors.MOST_FROZEN:
        raise ValueError(f"--kept: with --pruned={settings.pruned}, {settings.kept} leaves less than 1/32 to be chosen")
    if settings.init_from and "init_from" not in flags:
        needed = " or ".join(name for name, method in METHODS.items() if "init_from" in method.flags)
        raise ValueError(f"--init_from: it needs --method={needed}, but that is {settings.method}")
    if settings.sparse and settings.k < 2:
        raise ValueError("--sparse: it needs a --k of at least 2, but 1 was given")
    given = "initial" in flags and settings.initial == "given"
    if given and not settings.init_from:
        raise ValueError("--initial: given starts from the weights of another run, so it needs --init_from")
    if settings.init_from and "initial" in flags and not given:
        raise ValueError(f"--init_from: it needs --initial=given, but that is {settings.initial}")
