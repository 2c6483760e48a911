"""The record of a run, epoch by epoch: `metrics.jsonl` and TensorBoard events."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensorboardX import SummaryWriter

from experiments.running.workdir import append_line, remove_directory, write_lines


class Logs:
    """Writes one record of metrics per epoch; a context manager.

    Both files are written anew from the history on opening, so that after an interruption they hold each epoch once.
    """

    def __init__(self, workdir: Path, history: list[dict[str, Any]]) -> None:
        self._path = workdir / "metrics.jsonl"
        write_lines(self._path, history)
        remove_directory(workdir / "tensorboard")
        self._events = SummaryWriter(str(workdir / "tensorboard"))
        for record in history:
            self._add_events(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()

    def write(self, record: dict[str, Any]) -> None:
        """Writes the metrics of one more epoch."""
        append_line(self._path, record)
        self._add_events(record)

    def _add_events(self, record: dict[str, Any]) -> None:
        for name, number in scalars(record).items():
            self._events.add_scalar(name, number, record["epoch"])
        self._events.flush()


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record under flat names.

    >>> scalars({"epoch": 3, "train": {"loss": 0.5}, "frozen_sha256": "ab"})
    {'epoch': 3, 'train/loss': 0.5}
    """
    nested = {name: value if isinstance(value, dict) else {"": value} for name, value in record.items()}
    flat = {f"{name}/{part}".rstrip("/"): number for name, parts in nested.items() for part, number in parts.items()}
    return {name: number for name, number in flat.items() if isinstance(number, int | float)}
