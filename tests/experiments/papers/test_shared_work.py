"""Cells share what was read and compiled for another."""

import warnings

import jax
import pytest

from experiments.papers import train_cell as module
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell, key
from experiments.papers.slot_machines import greedy
from experiments.reproduce import keep_compiled, train_missing
from slotjax import data


@pytest.fixture
def read(monkeypatch):
    """The names of the datasets that are read from now on."""
    names = []

    def load(name, data_dir, examples):
        names.append((name, examples))
        return object()

    monkeypatch.setattr(data, "load", load)
    return names


def test_a_dataset_is_read_once(read, monkeypatch, tmp_path):
    given = []

    def run(settings, execution, interruption, mesh, load):
        given.append(load(settings.dataset, execution.data_dir, settings.examples))
        return {}

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "ledger_line", lambda cell, *_: {"key": key(cell), "finished": "2026-01-01"})
    cells = [Cell(greedy(model), trial) for trial in (0, 1) for model in ("lenet", "conv2", "conv4")]
    assert train_missing(cells, Directories(tmp_path / "runs", tmp_path / "ledger", None), None) == {}
    assert len(given) == len(cells)
    assert read == [("mnist", None), ("cifar10", None)]
    assert len(set(map(id, given))) == 2


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_what_is_compiled_is_kept_with_the_runs_unless_the_user_said_where(given, tmp_path):
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        jax.config.update("jax_compilation_cache_dir", given)
        with warnings.catch_warnings():
            keep_compiled(tmp_path / "runs" / "compiled")
        assert jax.config.values["jax_compilation_cache_dir"] == (given or str(tmp_path / "runs" / "compiled"))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
