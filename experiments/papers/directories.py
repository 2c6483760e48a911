"""Where the runs of cells are, and which of them another process works on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.files import open_locked
from experiments.papers.grid import Cell, key


class Directories(NamedTuple):
    """Where runs, ledger and datasets are."""

    runs: Path
    ledger: Path
    data_dir: str | None

    @property
    def compiled(self) -> Path:
        """What JAX compiled for the runs."""
        return self.runs / "compiled"

    def workdir(self, cell: Cell) -> Path:
        """The directory of a cell's run."""
        return self.runs.resolve() / key(cell)

    def is_finished(self, cell: Cell) -> bool:
        """Whether its run is finished here, whatever is left of its checkpoints."""
        return (self.workdir(cell) / "summary.json").exists()


class Busy(Exception):  # noqa: N818 (no error)
    """Another process on this machine works on the cell."""


@contextlib.contextmanager
def locked(cell: Cell, directories: Directories) -> Iterator[None]:
    """Keeps other processes on this machine from the cell.

    Raises:
        Busy: if one of them does the same.
        ValueError: if the directory of all runs cannot be written.
    """
    try:
        directories.runs.mkdir(parents=True, exist_ok=True)
        lock = open_locked(directories.runs / f"{key(cell)}.lock")
    except BlockingIOError:
        raise Busy from None
    except OSError as error:
        place = error.filename or directories.runs
        raise ValueError(f"--runs: {place} cannot be written ({error.strerror})") from error
    with lock:
        yield
