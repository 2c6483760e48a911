"""What a run leaves as JSON, by its types: what is read again is checked against them."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request, Settings
from experiments.flags.resolve import resolve
from experiments.flags.rules import check
from experiments.running.components import Inputs, inputs_from
from experiments.schema import read_json


class Config(TypedDict):
    """`config.json`. Of `execution`, another version may have more or less, as it decides no number."""

    settings: Request
    execution: dict[str, Any]
    inputs: Inputs
    versions: dict[str, str]
    hardware: dict[str, Any]
    commit: str | None


class Measured(TypedDict):
    """Of one split; losses on data that are not trained on may be infinite."""

    loss: Any
    accuracy: float


class Record(TypedDict):
    """A line of `metrics.jsonl`."""

    epoch: int
    step: NotRequired[int]
    train: NotRequired[Measured]
    validation: Measured
    test: Measured
    changed: NotRequired[float]


class Summary(TypedDict):
    """`summary.json`."""

    connections: int
    sparsity: float
    trained: str
    untrained_test_accuracy: float
    best_epoch: int
    best_validation_accuracy: float
    test_accuracy_at_best_validation: float
    last_test_accuracy: float
    untrained_test_loss: NotRequired[Any]
    test_loss_at_best_validation: NotRequired[Any]
    last_validation_loss: NotRequired[Any]
    last_test_loss: NotRequired[Any]
    parameters: NotRequired[int]
    learned_parameters: NotRequired[int]
    seconds: float
    proof: NotRequired[str | None]


def read(path: Path, kind: Any) -> Any:
    """The content of a JSON file of a run.

    Raises:
        ValueError: if it is not of this type, in a sentence that names the file.
    """
    try:
        return read_json(path.read_text(), kind)
    except ValueError as error:
        raise ValueError(f"--workdir: {path} is damaged ({error})") from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of `metrics.jsonl`.

    Raises:
        ValueError: if one is not of this type, in a sentence that names the file.
    """
    try:
        return [read_json(line, Record) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise ValueError(f"--workdir: {path} is damaged ({error})") from None


def settings_in(config: Any, path: Path) -> Settings:
    """The settings of a run that wrote this content of `config.json`, as they would be given now.

    Raises:
        ValueError: if one has a value that is not allowed, in a sentence that names the file.
    """
    try:
        # As a request, because a run of an earlier version lacks what was added later.
        settings = resolve(Request(**{name: _hashable(value) for name, value in config["settings"].items()}))
        check(settings, Execution())
    except ValueError as error:
        raise ValueError(f"--workdir: {path} is damaged ({error})") from None
    return settings


def inputs_in(config: Any, path: Path) -> Inputs:
    """What the network of that run sees.

    Raises:
        ValueError: if no network can, in a sentence that names the file.
    """
    try:
        return inputs_from(config["inputs"])
    except ValueError as error:
        raise ValueError(f"--workdir: {path} is damaged ({error})") from None


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
