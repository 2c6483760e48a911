"""Runs what the ledger lacks of the papers' figures and tables.

    python -m experiments.reproduce --list --data_dir=DIR                            what there is, what is missing
    python -m experiments.reproduce --only=slot.figure3 --models=lenet --data_dir=DIR       one plot: hours on a CPU
    python -m experiments.reproduce --examples=32 --epochs_scale=0.001 --trials=1 --data_dir=DIR   everything, a little

Every run is checkpointed in a directory of its own, and can be interrupted, even killed: the same command goes on.
Several such processes on one machine share the work; `--jobs=N` starts N. Checkpoints are removed when a run's line is
in the ledger, unless a finetuning that the ledger lacks starts from it. `python -m experiments.report` draws figures.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from experiments.configuration.choices import CHOICES
from experiments.papers import FIGURES, ledger
from experiments.papers.attempt import DATASETS, Outcome, attempt, keep_compiled
from experiments.papers.cells import cells_of, chosen_figures, expected_seconds, timed
from experiments.papers.checkpoint_removal import remove_unneeded_checkpoints
from experiments.papers.directories import Busy, Directories, locked
from experiments.papers.grid import Cell, Figure, key
from experiments.papers.jobs import PATIENCE, train_at_once
from experiments.program import one_sentence, prepare, start
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
        "jobs",
        1,
        "Runs at once, each in a process of its own. An accelerator's memory is shared out among them, unless "
        "XLA_PYTHON_CLIENT_MEM_FRACTION or another variable of JAX says how it is taken.",
        1,
        1024,
        flag_values=values,
    )
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


def train_missing(
    cells: list[Cell], directories: Directories, budget_minutes: float | None, jobs: int = 1
) -> dict[str, str]:
    """Runs the cells that the ledger lacks, so many at once; returns what went wrong, by key.

    Checkpoints that an earlier process did not come to remove are removed first.
    Cells that other processes work on are tried again when all others are done. Datasets are read once per process.
    """
    for cell in cells:
        remove_unneeded_checkpoints(cell, directories)
    with Interruption() as interruption, _alarm(budget_minutes):
        if jobs > 1:
            lines = ledger.read_here(directories.ledger)
            missing = [cell for cell in cells if key(cell) not in lines]
            return train_at_once(missing, directories, jobs, interruption)
        return _one_by_one(cells, directories, interruption)


def _one_by_one(cells: list[Cell], directories: Directories, interruption: Interruption) -> dict[str, str]:
    failures: dict[str, str] = {}
    load = functools.lru_cache(DATASETS)(data.load)
    while cells and not interruption:
        lines = ledger.read_here(directories.ledger)
        left, cells = [cell for cell in cells if key(cell) not in lines], []
        for cell in left:
            outcome = Outcome() if interruption else attempt(cell, directories, interruption, load)
            cells += [cell] * outcome.busy
            if outcome.failure:
                failures[key(cell)] = outcome.failure
        if cells and len(cells) == len(left) and not interruption:
            time.sleep(PATIENCE)
    return failures


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
    lines = ledger.read_here(directories.ledger)
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
        keep_compiled(directories.compiled)
        failures = train_missing(cells, directories, values.budget_minutes, values.jobs)
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
