"""Trains the network of one cell and writes its line of the ledger."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.components import Inputs
from experiments.papers import ledger, looks
from experiments.papers.cells import figures_of, kept_epochs, names_of
from experiments.papers.cost import flops_per_step
from experiments.papers.grid import Cell, identity, key, scaled
from experiments.recipes import resolve
from experiments.run import run
from experiments.settings import RunOptions, Settings, describe
from experiments.workdir import read_config, read_lines


class Places(NamedTuple):
    """Where runs, ledger and datasets are."""

    runs: Path
    ledger: Path
    data_dir: str | None


def finish(cell: Cell, places: Places) -> None:
    """Trains a cell's network, or goes on with it, and adds its line to the ledger.

    Raises:
        RunError: if it cannot be trained.
        Stopped: if it was interrupted.
    """
    part, workdir = scaled(cell.run, cell.scale), places.runs / key(cell)
    complete = dataclasses.replace(resolve(part.settings), seed=cell.seed)
    settings = dataclasses.replace(complete, init_from=_start(cell, places))
    summary = run(settings, RunOptions(places.data_dir, workdir=str(workdir), keep_epochs=kept_epochs(cell)))
    ledger.append(line_of(cell, settings, summary, workdir), places.ledger)
    jax.clear_caches()


def _start(cell: Cell, places: Places) -> str | None:
    """What a finetuning starts from, trained here if it was not yet."""
    if cell.run.start is None:
        return None
    start = cell._replace(run=cell.run.start)
    workdir, epoch = places.runs / key(start), scaled(cell.run, cell.scale).start_epoch
    if not (workdir / "summary.json").exists():
        finish(start, places)
    return f"{workdir}@{epoch}" if epoch else str(workdir)


def line_of(cell: Cell, settings: Settings, summary: dict[str, Any], workdir: Path) -> ledger.Line:
    """A finished run's line of the ledger."""
    history, config = read_lines(workdir / "metrics.jsonl"), read_config(workdir)
    inputs, papers = config["inputs"], resolve(cell.run.settings).epochs
    cost = flops_per_step(settings, Inputs(tuple(inputs["image_shape"]), inputs["dtype"], inputs["classes"]))
    return {
        "key": key(cell),
        "what": f"{settings.model} on {settings.dataset}, {describe(settings)}, seed {cell.seed}",
        "cells": names_of(cell.run),
        **identity(cell),
        "epochs": settings.epochs,
        "epochs_of_the_paper": papers,
        "epochs_scale": cell.scale,
        **{name: summary[name] for name in _COPIED},
        "flops": cost * history[-1]["step"],
        "curve": {
            "test": [record["test"]["accuracy"] for record in history],
            "changed": [record["changed"] for record in history if "changed" in record],
        },
        **_looks(cell, workdir),
        **{name: config[name] for name in ("hardware", "versions", "commit")},
        "machine": ledger.machine(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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
    kinds = {figure.kind for figure in figures_of(cell.run)} & set(_LOOKS)
    return {kind: _LOOKS[kind](workdir, kept_epochs(cell)) for kind in sorted(kinds)}
