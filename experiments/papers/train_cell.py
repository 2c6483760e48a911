"""Trains the network of one cell, and writes its line of the ledger."""

import dataclasses
from collections.abc import Callable

import jax
from jax.sharding import Mesh

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from experiments.papers import ledger
from experiments.papers.cells import describe_cell, kept_epochs
from experiments.papers.checkpoint_removal import (
    has_checkpoints,
    remove_directory,
    remove_unneeded_checkpoints,
)
from experiments.papers.directories import Directories, locked
from experiments.papers.grid import Cell, key, settings_of, start_epoch_of
from experiments.papers.ledger_line import ledger_line, observed_epochs
from experiments.running.interruption import Interruption
from experiments.running.run import run
from slotjax import data, training


def train_cell(
    cell: Cell,
    directories: Directories,
    interruption: Interruption | None = None,
    load: Callable[..., data.Dataset] | None = None,
) -> None:
    """Trains a cell's network, or goes on with it, and adds its line to the ledger.

    What a finetuning starts from is trained first, if it was not on this machine. Checkpoints that nothing needs any
    more are removed. `load` reads datasets, by default `slotjax.data.load`.

    Raises:
        Busy: if another process works on it, or on what it starts from.
        RunError: if it cannot be trained.
        Stopped: if it was interrupted.
    """
    start = cell.run.start and cell._replace(run=cell.run.start)
    with locked(cell, directories):
        if key(cell) in ledger.read_here(directories.ledger) and directories.is_finished(cell):
            return
        if observed := observed_epochs(cell):
            _forget_without_checkpoints(cell, observed, directories)
        if start:
            epoch = start_epoch_of(cell)
            with locked(start, directories):
                if not directories.is_finished(cell):
                    _forget_without_checkpoints(start, (epoch,) if epoch else (), directories)
            if not directories.is_finished(start):
                train_cell(start, directories, interruption, load)
        print(f"== {describe_cell(cell)}", flush=True)
        settings = dataclasses.replace(settings_of(cell), init_from=_source(cell, directories))
        execution = Execution(
            data_dir=directories.data_dir, workdir=str(directories.workdir(cell)), keep_epochs=kept_epochs(cell)
        )
        try:
            summary = run(settings, execution, interruption, _mesh(settings), load)
            ledger.append(ledger_line(cell, settings, summary, directories), directories.ledger)
        finally:
            jax.clear_caches()
    for finished in (cell, start):
        if finished:
            remove_unneeded_checkpoints(finished, directories)


def _forget_without_checkpoints(cell: Cell, epochs: tuple[int, ...], directories: Directories) -> None:
    """Forgets a finished run whose checkpoints of these epochs were removed, so that it is trained again."""
    workdir = directories.workdir(cell)
    if directories.is_finished(cell) and not has_checkpoints(workdir, epochs):
        print(
            f"{describe_cell(cell)}: its checkpoints were removed and are needed, so it is trained again.", flush=True
        )
        remove_directory(workdir)


def _source(cell: Cell, directories: Directories) -> str | None:
    """What a finetuning starts from, as `--init_from` takes it."""
    if cell.run.start is None:
        return None
    workdir = directories.workdir(cell._replace(run=cell.run.start))
    epoch = start_epoch_of(cell)
    return f"{workdir}@{epoch}" if epoch else str(workdir)


def _mesh(settings: Settings) -> Mesh:
    """As many devices as the batch can be split over: the batches of 60 that Adam has cannot over 8."""
    devices, size = jax.devices(), settings.batch_size
    return training.data_mesh(devices[: max(n for n in range(1, len(devices) + 1) if size % n == 0)])
