"""Runs what the ledger lacks of the papers' figures and tables.

    python -m experiments.reproduce --list --data_dir=DIR                            what there is, what is missing
    python -m experiments.reproduce --only=slot.figure3 --models=lenet --data_dir=DIR       one plot: hours on a CPU
    python -m experiments.reproduce --examples=32 --epochs_scale=0.001 --trials=1 --data_dir=DIR   everything, a little

Every run is checkpointed in a directory of its own, and can be interrupted, even killed: the same command goes on.
Several such processes on one machine share the work. Checkpoints are removed when a run's line is in the ledger, unless
a finetuning that the ledger lacks starts from it. `python -m experiments.report` draws the figures.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from absl import flags

from experiments.configuration.choices import CHOICES
from experiments.output import OutputError
from experiments.papers import FIGURES, ledger
from experiments.papers.cells import cells_of, chosen_figures, describe_cell, expected_seconds, timed
from experiments.papers.checkpoint_removal import remove_unneeded_checkpoints
from experiments.papers.directories import Busy, Directories, locked
from experiments.papers.grid import Cell, Figure, key
from experiments.papers.train_cell import train_cell
from experiments.program import one_sentence, prepare, start
from experiments.running.failure import RunError, Stopped
from experiments.running.interruption import Interruption
from slotjax import data


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_list(
        "only",
        [],
        f"Figures and tables: slot, hidden, beyond or {', '.join(FIGURES)}. Default: all.",
        flag_values=values,
    )
    flags.DEFINE_list("models", [], "Only runs of these networks. Default: all.", flag_values=values)
    flags.DEFINE_bool("list", False, "Print what is done, running and missing, and train nothing.", flag_values=values)
    flags.DEFINE_float("budget_minutes", None, "Stop after this time, with everything saved.", flag_values=values)
    flags.DEFINE_integer(
        "trials", None, "Seeds, at most as many as the figure has. Default: all of them.", flag_values=values
    )
    flags.DEFINE_float(
        "epochs_scale",
        1.0,
        "Scales the epochs of every run. Such runs fill no cell of a figure.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "examples", None, "Only so many images of every split, in batches of as many. Nor do these.", flag_values=values
    )
    flags.DEFINE_string(
        "runs",
        "runs/reproduce",
        "Where the runs' directories are. Checkpoints of finished runs are removed, unless a finetuning that the "
        "ledger lacks starts from them.",
        flag_values=values,
    )
    flags.DEFINE_string("ledger", str(ledger.DIRECTORY), "Where the ledger is.", flag_values=values)
    flags.DEFINE_string("data_dir", None, "Where datasets are prepared, as for experiments.train.", flag_values=values)


_MOST = {"budget_minutes": 1_000_000, "epochs_scale": 1_000_000, "examples": 2**31 - 1, "trials": 2**31 - 1}
_DATASETS = 2  # that stay in memory
_PATIENCE = 10  # seconds, where all that is left is in other processes' hands


def keep_compiled(directory: Path) -> None:
    """Has JAX keep there what it compiles, unless it has a directory for that: runs that differ in a seed are alike."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(directory.resolve()))
        # Where this process was killed as it wrote, JAX compiles anew.
        warnings.filterwarnings("ignore", "Error reading persistent compilation cache")


def train_missing(cells: list[Cell], directories: Directories, budget_minutes: float | None) -> dict[str, str]:
    """Runs the cells that the ledger lacks, one after another; returns what went wrong, by key.

    Checkpoints that an earlier process did not come to remove are removed first.
    Cells that other processes work on are tried again when all others are done. Datasets are read once.
    """
    failures: dict[str, str] = {}
    load = functools.lru_cache(_DATASETS)(data.load)
    for cell in cells:
        remove_unneeded_checkpoints(cell, directories)
    with Interruption() as interruption, _alarm(budget_minutes):
        while cells and not interruption:
            lines = ledger.read(directories.ledger)
            left = [cell for cell in cells if key(cell) not in lines and key(cell) not in failures]
            cells = [
                cell
                for cell in left
                if not interruption and not _train_unless_busy(cell, directories, interruption, failures, load)
            ]
            if cells and len(cells) == len(left) and not interruption:
                time.sleep(_PATIENCE)
    return failures


def _train_unless_busy(
    cell: Cell,
    directories: Directories,
    interruption: Interruption,
    failures: dict[str, str],
    load: Callable[..., data.Dataset],
) -> bool:
    """Trains a cell's network; returns False if it must be tried again because another process works on it."""
    try:
        train_cell(cell, directories, interruption, load)
    except Busy:
        return False
    except Stopped as stopped:
        print(stopped)
    except OutputError:  # which would be the same for all others
        raise
    # One cell that cannot be trained, for whatever reason, must not keep the others from being so.
    except Exception as error:
        if not isinstance(error, RunError | ValueError):
            traceback.print_exc()
        failures[key(cell)] = f"{describe_cell(cell)} ({directories.runs / key(cell)}): {error or type(error).__name__}"
        print(f"error: {failures[key(cell)]}", file=sys.stderr)
    return True


@contextlib.contextmanager
def _alarm(minutes: float | None) -> Iterator[None]:
    """Asks this process to stop after so many minutes, as SIGTERM does."""
    timer = threading.Timer(60 * (minutes or 0), os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    if minutes is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def overview(figures: list[Figure], directories: Directories, values: flags.FlagValues) -> str:
    """One line per figure: how many of its runs are done, running and missing, and how long the missing ones take."""
    lines = ledger.read(directories.ledger)
    here = timed(line for line in lines.values() if line.get("machine") == ledger.machine())
    rows: list[tuple[str, ...]] = [("", "done", "running", "missing", "hours on this machine")]
    for figure in figures:
        cells = cells_of([figure], *_cell_flags(values))
        states = {cell: _state(cell, lines, directories) for cell in cells}
        counts = Counter(states.values())
        hours = _hours([cell for cell in cells if states[cell] != "done"], here)
        rows.append((figure.name, *(str(counts[name]) for name in rows[0][1:4]), hours))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cell_flags(values: flags.FlagValues) -> tuple[int | None, list[str], float, int | None]:
    return values.trials, values.models, values.epochs_scale, values.examples


def _state(cell: Cell, lines: dict[str, ledger.LedgerLine], directories: Directories) -> str:
    if key(cell) in lines:
        return "done"
    try:
        with locked(cell, directories):
            return "missing"
    except Busy:
        return "running"


def _hours(cells: list[Cell], here: list[ledger.LedgerLine]) -> str:
    seconds = [expected_seconds(cell, here) for cell in cells]
    known = sum(one for one in seconds if one is not None) / 3600
    unknown = seconds.count(None)
    return f"{known:.1f}" + (f" and {unknown} runs of networks not yet run here" if unknown else "")


def main(arguments: list[str]) -> None:
    """Lists, or runs, what the flags ask for."""
    prepare(arguments)
    values = flags.FLAGS
    directories = Directories(Path(values.runs), Path(values.ledger), values.data_dir)
    with one_sentence(ValueError):
        _check(values)
        figures = chosen_figures(values.only)
        if values.list:
            print(overview(figures, directories, values))
            return
        cells = cells_of(figures, *_cell_flags(values))
        keep_compiled(directories.runs / "compiled")
        failures = train_missing(cells, directories, values.budget_minutes)
    if failures:
        sys.exit(f"error: {len(failures)} of the runs could not be finished")


def _check(values: flags.FlagValues) -> None:
    unknown = [name for name in values.models if name not in CHOICES["model"]]
    if unknown:
        raise ValueError(f"--models: {unknown[0]!r} was given, but it must be of {', '.join(CHOICES['model'])}")
    for name, most in _MOST.items():
        value: Any = values[name].value
        if value is not None and not 0 < value <= most:
            raise ValueError(f"--{name}: {value} was given, but it must be above 0 and at most {most}")


if __name__ == "__main__":
    define_flags()
    start(main)
