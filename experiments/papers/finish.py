"""Trains the network of one cell, and writes its line of the ledger."""

import contextlib
import dataclasses
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from experiments.configuration.recipes import resolve
from experiments.configuration.settings import RunOptions, Settings, describe
from experiments.papers import ledger, looks
from experiments.papers.cells import epochs_of, figures_of, kept_epochs, names_of
from experiments.papers.cost import flops_per_step
from experiments.papers.grid import Cell, Run, identity, key, run_to_train
from experiments.running.components import Inputs
from experiments.running.interruption import Interruption
from experiments.running.run import run
from experiments.running.workdir import read_config, read_lines
from slotjax import training


class Places(NamedTuple):
    """Where runs, ledger and datasets are."""

    runs: Path
    ledger: Path
    data_dir: str | None


class Busy(Exception):  # noqa: N818 (no error)
    """Another process on this machine works on the cell."""


def finish(cell: Cell, places: Places, interruption: Interruption | None = None) -> None:
    """Trains a cell's network, or goes on with it, and adds its line to the ledger.

    What a finetuning starts from is trained first, if it was not on this machine.

    Raises:
        Busy: if another process works on it, or on what it starts from.
        RunError: if it cannot be trained.
        Stopped: if it was interrupted.
    """
    with locked(cell, places):
        workdir = _workdir(cell, places)
        if key(cell) in ledger.read(places.ledger) and _is_finished(workdir):
            return
        start = cell.run.start and cell._replace(run=cell.run.start)
        if start and not _is_finished(_workdir(start, places)):
            finish(start, places, interruption)
        print(f"== {what(cell)}", flush=True)
        settings = dataclasses.replace(_complete(cell), init_from=_source(cell, places))
        options = RunOptions(places.data_dir, workdir=str(workdir), keep_epochs=kept_epochs(cell))
        try:
            summary = run(settings, options, interruption, _mesh(settings))
            ledger.append(line_of(cell, settings, summary, places), places.ledger)
        finally:
            jax.clear_caches()


@contextlib.contextmanager
def locked(cell: Cell, places: Places) -> Iterator[None]:
    """Keeps other processes on this machine from the cell.

    Raises:
        Busy: if one of them does the same.
    """
    places.runs.mkdir(parents=True, exist_ok=True)
    with (places.runs / f"{key(cell)}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield


def what(cell: Cell) -> str:
    """A cell in words.

    >>> from experiments.papers.grid import Run
    >>> what(Cell(Run(Settings(k=2)), 3))
    'lenet on mnist_sample, greedy slot machine, K = 2, seed 3'
    >>> what(Cell(Run(Settings(method="learned", width_multiplier=0.5)), 0))
    'lenet on mnist_sample, learned weights, width_multiplier=0.5, seed 0'
    """
    settings = cell.run.settings
    varied = [f"{name}={value}" for name in _VARIED if (value := getattr(settings, name)) != getattr(Settings(), name)]
    method = _finetuning(cell.run) if cell.run.start else describe(settings)
    return ", ".join([f"{settings.model} on {settings.dataset}", method, *varied, f"seed {cell.seed}"])


def _finetuning(run: Run) -> str:
    return "finetuning" + (f" from epoch {run.start_epoch}" if run.start_epoch else "")


# By what runs of the papers differ, beside what `describe` says.
_VARIED = ("width_multiplier", "padding", "distribution", "scale_for_kept", "optimizer", "evaluation", "rescale")


def _mesh(settings: Settings) -> Mesh:
    """As many devices as the batch can be split over: the batches of 60 that Adam has cannot over 8."""
    devices, size = jax.devices(), settings.batch_size or 1
    return training.data_mesh(devices[: max(n for n in range(1, len(devices) + 1) if size % n == 0)])


def _complete(cell: Cell) -> Settings:
    return dataclasses.replace(resolve(run_to_train(cell).settings), seed=cell.seed)


def _workdir(cell: Cell, places: Places) -> Path:
    return places.runs.resolve() / key(cell)


def _is_finished(workdir: Path) -> bool:
    return (workdir / "summary.json").exists()


def _source(cell: Cell, places: Places) -> str | None:
    if cell.run.start is None:
        return None
    workdir = _workdir(cell._replace(run=cell.run.start), places)
    epoch = run_to_train(cell).start_epoch
    return f"{workdir}@{epoch}" if epoch else str(workdir)


def line_of(cell: Cell, settings: Settings, summary: dict[str, Any], places: Places) -> ledger.Line:
    """A finished run's line of the ledger."""
    workdir = _workdir(cell, places)
    history, config = read_lines(workdir / "metrics.jsonl"), read_config(workdir)
    return {
        "key": key(cell),
        "what": what(cell),
        "cells": names_of(cell),
        **identity(cell),
        "epochs": settings.epochs,
        "epochs_of_the_paper": resolve(cell.run.settings).epochs,
        "epochs_scale": cell.scale,
        **{name: summary[name] for name in _COPIED},
        "flops": _flops(settings, history, config),
        "start_flops": _start_flops(cell, places),
        "curve": {
            "test": [record["test"]["accuracy"] for record in history],
            "changed": [record["changed"] for record in history if "changed" in record],
        },
        **_looks(cell, workdir),
        **{name: config[name] for name in ("hardware", "versions", "commit")},
        "machine": ledger.machine(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _flops(settings: Settings, history: list[dict[str, Any]], config: dict[str, Any]) -> float:
    inputs = config["inputs"]
    seen = Inputs(tuple(inputs["image_shape"]), inputs["dtype"], inputs["classes"])
    return flops_per_step(settings, seen) * history[-1]["step"]


def _start_flops(cell: Cell, places: Places) -> float:
    """The operations of what a finetuning starts from: up to its epoch, or all, of which the best epoch was chosen."""
    if cell.run.start is None:
        return 0.0
    start, epoch = cell._replace(run=cell.run.start), run_to_train(cell).start_epoch
    workdir = _workdir(start, places)
    history = read_lines(workdir / "metrics.jsonl")[: epoch + 1 if epoch else None]
    return _flops(_complete(start), history, read_config(workdir)) + _start_flops(start, places)


_COPIED = (
    "connections",
    "sparsity",
    "trained",
    "untrained_test_accuracy",
    "best_epoch",
    "best_validation_accuracy",
    "test_accuracy_at_best_validation",
    "last_test_accuracy",
    "seconds",
)
_LOOKS = {"changes": looks.changes, "values": looks.values}


def _looks(cell: Cell, workdir: Path) -> dict[str, Any]:
    figures = [figure for figure in figures_of(cell.run) if figure.kind in _LOOKS]
    return {figure.kind: _LOOKS[figure.kind](workdir, epochs_of(figure.epochs, cell)) for figure in figures}
