"""Training one of many cells: whatever is wrong with it must not keep the others from being trained."""

import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
from tqdm import tqdm

from experiments.output import OutputError
from experiments.papers.cells import describe_cell
from experiments.papers.directories import Busy, Directories
from experiments.papers.grid import Cell
from experiments.papers.train_cell import train_cell
from experiments.running.failure import RunError, Stopped
from experiments.running.interruption import Interruption
from slotjax import data

DATASETS = 2  # that stay in memory


class Outcome(NamedTuple):
    """What became of a cell.

    Attributes:
        busy: whether it must be tried again, because another process works on it.
        stopped: whether its training was asked to stop, and did.
        failure: what is wrong with it, if it cannot be trained.
    """

    busy: bool = False
    stopped: bool = False
    failure: str | None = None


def attempt(
    cell: Cell, directories: Directories, interruption: Interruption, load: Callable[..., data.Dataset]
) -> Outcome:
    """Trains a cell's network, and prints what keeps it from being trained."""
    try:
        train_cell(cell, directories, interruption, load)
    except Busy:
        return Outcome(busy=True)
    except Stopped as stopped:
        print(stopped, flush=True)
        return Outcome(stopped=True)
    except OutputError:  # which would be the same for all others
        raise
    except Exception as error:
        if not isinstance(error, RunError | ValueError):
            traceback.print_exc()
        return failed(cell, directories, str(error) or type(error).__name__)
    return Outcome()


def failed(cell: Cell, directories: Directories, reason: str) -> Outcome:
    """Says that a cell cannot be trained, where it is, and why."""
    failure = f"{describe_cell(cell)} ({directories.workdir(cell)}): {reason}"
    tqdm.write(f"error: {failure}", file=sys.stderr)  # above a bar, if there is one
    return Outcome(failure=failure)


def keep_compiled(directory: Path) -> None:
    """Has JAX keep there what it compiles, unless it has a directory for that: runs that differ in a seed are alike."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(directory.resolve()))
        # Where this process was killed as it wrote, JAX compiles anew.
        warnings.filterwarnings("ignore", "Error reading persistent compilation cache")
