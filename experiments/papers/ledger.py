"""The ledger: one JSON line per finished run, in a file per machine, so that several merge without conflict."""

import hashlib
import json
import platform
from pathlib import Path
from typing import IO, Any, NotRequired, Required, TypedDict

from experiments.configuration.settings import Request
from experiments.files import open_locked, sync
from experiments.running.environment import processor
from experiments.schema import read_json
from slotjax import data

DIRECTORY = Path(__file__).parents[1] / "results" / "ledger"
LedgerLine = dict[str, Any]


class Curve(TypedDict):
    """Test accuracies and losses per epoch, and shares of selections that changed."""

    test: list[float]
    test_loss: NotRequired[list[Any]]
    changed: list[float]


class Hardware(TypedDict):
    """What a run was trained on."""

    platform: str
    devices: list[str]


class Shown(TypedDict, total=False):
    """What the report shows of a run."""

    cells: Required[list[str]]
    settings: Required[Request]
    start: Required[Any]
    epochs: Required[int]
    epochs_of_the_paper: Required[int]
    epochs_scale: Required[float]
    sparsity: Required[float]
    best_epoch: Required[int]
    test_accuracy_at_best_validation: Required[float]
    last_test_accuracy: Required[float]
    seconds: float
    machine: str
    flops: Required[float]
    start_flops: Required[float]
    proof: str | None
    curve: Required[Curve]
    changes: dict[str, float]
    untrained_test_loss: Any
    last_test_loss: Any
    last_validation_loss: Any
    parameters: int
    learned_parameters: int
    connections: int
    seconds_per_step: float | None
    dataset_sha256: str | None
    sizes: dict[str, int]
    latent: dict[str, float]
    quantized: dict[str, dict[str, float]]
    values: dict[str, dict[str, list[float]]]
    hardware: Hardware
    versions: dict[str, str]


class Line(TypedDict, total=False):
    """A line of the ledger, as far as `experiments.reproduce` reads it."""

    key: Required[str]
    finished: Required[str]
    settings: Request
    epochs: int
    seconds: float
    machine: str
    dataset_sha256: str | None
    versions: dict[str, str]


class Whole(Shown):
    """A line with all that the report shows."""

    key: str
    finished: str


def read(directory: Path = DIRECTORY, whole: bool = False, python: str | None = None) -> dict[str, LedgerLine]:
    """The lines of all machines by the key of their cell; of several for one cell, the one that was finished first.

    That line has under `"on_other_texts"`, by their hashes, those of the same cell on the texts of other Pythons. What
    a killed process left of a line is skipped; the next `append` on that machine removes it.

    Args:
        directory: where its files are.
        whole: whether every line must have all that the report shows.
        python: a version, to leave out runs on the text of any other.

    Raises:
        ValueError: if a file is damaged, or lacks what it must have.
    """
    kind = Whole if whole else Line
    lines = [line for path in sorted(directory.glob("*.jsonl")) for line in _lines(path, kind)]
    found: dict[str, LedgerLine] = {}
    for line in sorted(lines, key=lambda line: line["finished"]):
        if python is None or text_of(line) is None or _python(line) == python:
            first = found.setdefault(line["key"], line)
            if text_of(first) != text_of(line):
                first.setdefault("on_other_texts", {}).setdefault(text_of(line), line)
    return found


def read_here(directory: Path = DIRECTORY) -> dict[str, LedgerLine]:
    """The lines that count for this Python: all but those on the text of another one."""
    return read(directory, python=platform.python_version())


def text_of(line: LedgerLine) -> str | None:
    """The hash of the text that a run was trained on; None of images.

    >>> text_of({"settings": {"dataset": "stdlib"}, "dataset_sha256": "4b38"})
    '4b38'
    """
    return line.get("dataset_sha256") if line.get("settings", {}).get("dataset") in data.TEXTS else None


def _python(line: LedgerLine) -> str | None:
    return line.get("versions", {}).get("python")


def append(line: LedgerLine, directory: Path = DIRECTORY) -> bool:
    """Adds a line to this machine's file, whole or not at all, and returns whether it was not there already."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{machine()}.jsonl"
    with open_locked(path, wait=True) as file:
        _remove_unfinished(file)
        if line["key"] in read(directory, python=_python(line)):
            return False
        file.write(json.dumps(line).encode() + b"\n")
        sync(file)
    return True


def machine() -> str:
    """A short name of this machine, which tells nothing of it.

    The processor is part of it because copies of a virtual machine have one host name and one identifier.

    >>> len(machine())
    8
    """
    known = Path("/etc/machine-id")
    own = known.read_text().strip() if known.is_file() else ""
    return hashlib.sha256(f"{platform.node()} {own} {processor()}".encode()).hexdigest()[:8]


def _remove_unfinished(file: IO[bytes]) -> None:
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)


def _lines(path: Path, kind: Any) -> list[LedgerLine]:
    # As bytes, because what a killed process left may end within a letter.
    finished = path.read_bytes().rpartition(b"\n")[0]
    return [_parsed(text, path, number, kind) for number, text in enumerate(finished.splitlines(), start=1)]


def _parsed(text: bytes, path: Path, number: int, kind: Any) -> LedgerLine:
    try:
        return read_json(text.decode(), kind)
    except ValueError as error:
        raise ValueError(f"--ledger: line {number} of {path} is damaged ({error})") from None
