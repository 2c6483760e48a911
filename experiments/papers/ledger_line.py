"""What the ledger keeps of a finished run."""

import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.configuration.settings import Settings
from experiments.papers import ledger, observations, sizes
from experiments.papers.cells import describe_cell, epochs_of, figures_of, positions_of
from experiments.papers.cost import flops_per_step
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell, Figure, identity, key, settings_of, start_epoch_of
from experiments.running.components import inputs_from
from experiments.running.records import read_lines
from experiments.running.workdir import read_config

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
# Which the summaries of earlier versions lack.
_COPIED_IF_THERE = (
    "untrained_test_loss",
    "test_loss_at_best_validation",
    "last_validation_loss",
    "last_test_loss",
    "parameters",
    "learned_parameters",
)
_OBSERVATIONS = {
    "changes": observations.selection_changes,
    "values": observations.weight_histograms,
    "latent": observations.latent_distances,
    "sizes": sizes.sizes,
    "quantized": sizes.quantized,
}


def ledger_line(cell: Cell, settings: Settings, summary: dict[str, Any], directories: Directories) -> ledger.LedgerLine:
    """A finished run's line of the ledger."""
    workdir = directories.workdir(cell)
    history, config = _history(workdir), read_config(workdir)
    return {
        "key": key(cell),
        "what": describe_cell(cell),
        "cells": positions_of(cell),
        **identity(cell),
        "epochs": settings.epochs,
        "epochs_of_the_paper": settings_of(Cell(cell.run, cell.seed)).epochs,
        "epochs_scale": cell.scale,
        **{name: summary[name] for name in _COPIED},
        **{name: summary[name] for name in _COPIED_IF_THERE if name in summary},
        "proof": summary.get("proof"),
        "dataset_sha256": history[0].get("dataset_sha256"),
        "seconds_per_step": _seconds_per_step(history),
        "flops": _flops(settings, history, config),
        "start_flops": _start_flops(cell, directories),
        "curve": {
            "test": [record["test"]["accuracy"] for record in history],
            "test_loss": [record["test"]["loss"] for record in history],
            "changed": [record["changed"] for record in history if "changed" in record],
        },
        **_observed(cell, directories),
        **{name: config[name] for name in ("hardware", "versions", "commit")},
        "machine": ledger.machine(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _history(workdir: Path) -> list[dict[str, Any]]:
    history = read_lines(workdir / "metrics.jsonl")
    if not history or "step" not in history[-1]:
        raise ValueError(f"--workdir: {workdir / 'metrics.jsonl'} is damaged (it has no epoch that was trained)")
    return history


def _seconds_per_step(history: list[dict[str, Any]]) -> float | None:
    """The median of the epochs after the first, which compiles; evaluation included. None if there are none."""
    times = [record["time"]["seconds"] for record in history[2:]]
    steps = history[-1]["step"] / (len(history) - 1)
    return round(statistics.median(times) / steps, 5) if times else None


def _flops(settings: Settings, history: list[dict[str, Any]], config: dict[str, Any]) -> float:
    return flops_per_step(settings, inputs_from(config["inputs"])) * history[-1]["step"]


def _start_flops(cell: Cell, directories: Directories) -> float:
    """The operations of what a finetuning starts from: up to its epoch, or all, of which the best epoch was chosen."""
    if cell.run.start is None:
        return 0.0
    start, epoch = cell._replace(run=cell.run.start), start_epoch_of(cell)
    workdir = directories.workdir(start)
    history = _history(workdir)[: epoch + 1 if epoch else None]
    return _flops(settings_of(start), history, read_config(workdir)) + _start_flops(start, directories)


def observed_epochs(cell: Cell) -> tuple[int, ...]:
    """The epochs of a cell's run whose checkpoints its line of the ledger is made from."""
    return epochs_of({epoch for figure, _ in _observing(cell) for epoch in figure.epochs}, cell)


def _observed(cell: Cell, directories: Directories) -> dict[str, Any]:
    """What figures show of the run's checkpoints."""
    workdir = directories.workdir(cell)
    figures = {name: figure for figure, name in _observing(cell)}  # several may look at the same
    return {name: _OBSERVATIONS[name](workdir, epochs_of(figure.epochs, cell)) for name, figure in figures.items()}


def _observing(cell: Cell) -> list[tuple[Figure, str]]:
    """The figures that look at a run's checkpoints, each with what it looks at."""
    names = {figure.name: (figure.kind, *figure.observes) for figure in figures_of(cell.run)}
    return [(figure, name) for figure in figures_of(cell.run) for name in names[figure.name] if name in _OBSERVATIONS]
