"""Which method each flag applies to: giving a flag that does nothing is an error, and its value decides nothing."""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, NamedTuple

from experiments.configuration.choices import CHOICES, OWN_SCALES
from experiments.configuration.settings import Settings
from experiments.methods import METHODS
from slotjax import data, models


class Need(NamedTuple):
    """Flags that do something only where another one has one of some values.

    Attributes:
        flags: their names.
        of: the name of the other.
        values: which it must have.
        unless: where they do something all the same.
    """

    flags: tuple[str, ...]
    of: str
    values: tuple[Any, ...]
    unless: Callable[[Settings], bool] = lambda settings: False


_OF_MODELS = ("padding", "width_multiplier", "dropout", "affine")
_OF_STREAMS = ("image_size", "workers", "checkpoint_steps")
_OF_TRAINING = (
    *("learning_rate", "optimizer", "momentum", "nesterov", "weight_decay"),
    *("schedule", "restarts", "warmup_epochs"),
)


def inert(settings: Settings) -> dict[str, Need]:
    """The flags that do nothing in a run with these settings, and what each needs to do something.

    >>> from experiments.flags.resolve import Request, resolve
    >>> sorted(set(inert(resolve(Request()))) & {"k", "keep_fraction", "padding", "restarts"})
    ['keep_fraction', 'padding']
    """
    unmet = [need for need in _needs() if getattr(settings, need.of) not in need.values and not need.unless(settings)]
    return {flag: need for need in reversed(unmet) for flag in need.flags}


def check_given(given: Collection[str], settings: Settings) -> None:
    """Refuses a flag that was given and does nothing.

    Raises:
        ValueError: in one sentence that names what it needs.

    >>> from experiments.flags.resolve import Request, resolve
    >>> check_given(["k"], resolve(Request(k=64)))
    >>> check_given(["k"], resolve(Request(method="learned", k=64)))
    Traceback (most recent call last):
    ValueError: --k: it needs --method=slot_machine, but that is learned
    """
    for name, need in inert(settings).items():
        if name in given:
            raise ValueError(f"--{name}: {_sentence(need, getattr(settings, need.of))}")


def _sentence(need: Need, value: Any) -> str:
    if need.values == (None,):
        return f"it does nothing with --{need.of}, which is {value}"
    return f"it needs --{need.of}={' or '.join(map(str, need.values))}, but that is {value}"


@cache
def _needs() -> tuple[Need, ...]:
    """Of two that concern one flag, the first is named."""
    of_methods = {flag: None for method in METHODS.values() for flag in method.flags}
    kinds = tuple(name for name in CHOICES["distribution"] if not name.startswith(("glorot", "own")))
    trains = tuple(name for name, method in METHODS.items() if method.trains)
    return (
        *(Need((flag,), "method", tuple(n for n, m in METHODS.items() if flag in m.flags)) for flag in of_methods),
        *(Need((flag,), "model", _models_with(flag)) for flag in _OF_MODELS),
        Need(("compute_dtype",), "model", tuple(models.MODELS)),
        Need(("where",), "model", models.TEXT_MODELS),
        Need(("biases_and_scales",), "affine", (True,), unless=lambda settings: settings.model in models.TEXT_MODELS),
        Need(_OF_STREAMS, "dataset", data.STREAMS),
        Need(("data_dir",), "dataset", data.PREPARED),
        Need(_OF_TRAINING, "method", trains, unless=_trains_scales),
        Need(("momentum", "nesterov"), "optimizer", ("sgd",)),
        Need(("restarts",), "schedule", ("warm_restarts",)),
        Need(("score_scale",), "initial", ("uniform",)),
        # What is given to a slot machine has options all the same.
        Need(("distribution", "fan", "scale_factor"), "init_from", (None,), unless=_is_given),
        Need(("scale_factor",), "distribution", OWN_SCALES),
        Need(("fan",), "distribution", kinds),
    )


def _models_with(setting: str) -> tuple[str, ...]:
    return tuple(name for name, make in models.MODELS.items() if hasattr(make(classes=2), setting))


def _is_given(settings: Settings) -> bool:
    return settings.initial == "given"


def _trains_scales(settings: Settings) -> bool:
    return settings.affine and settings.biases_and_scales == "learned"
