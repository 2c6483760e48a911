"""A run of a moment, with what it reads and what is made of it, for all to damage copies of."""

import json
from typing import get_type_hints

import numpy as np
import pytest

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.running.components import Inputs
from experiments.running.records import Summary
from experiments.running.workdir import open_run, write_json, write_lines
from tests.experiments.papers.made_up_ledger import GREEDY, four
from tests.programs.in_process import call


def run_flags(directory):
    """Of the run that is in the directory."""
    paths = (f"--dataset=npz:{directory / 'data.npz'}", f"--workdir={directory / 'run'}")
    return [*paths, "--batch_size=20", "--epochs=2", "--k=2", "--scores=explicit"]


@pytest.fixture(scope="session")
def made(once):
    """A directory with data, a finished run, and its ticket."""

    def make(directory):
        random = np.random.default_rng(0)
        images, labels = random.integers(0, 256, (60, 4, 4)).astype(np.uint8), np.arange(60) % 3
        np.savez(directory / "data.npz", x_train=images, y_train=labels)
        for program, own in (
            ("train", run_flags(directory)),
            ("export", [f"--workdir={directory / 'run'}", f"--out={directory / 'ticket'}"]),
        ):
            code, _, errors = call(program, *own)
            assert code == 0, errors

    return once("fuzz", make)


@pytest.fixture
def workdir(tmp_path):
    """What a finished run leaves as JSON, without its having been trained."""
    workdir, settings = tmp_path / "run", resolve(Request(epochs=2))
    open_run(settings, Execution(workdir=str(workdir)), Inputs((28, 28, 1), "uint8", 10))[1].close()
    measured = {name: {"loss": 0.5, "accuracy": 0.9} for name in ("validation", "test")}
    time = {"seconds": 1.5, "images_per_second": 2.5}
    trained = {"step": 7, "train": measured["test"], "changed": 0.1, "learning_rate": 0.2, "time": time}
    history = [{"epoch": 0, **measured, "frozen_sha256": "ab", "dataset_sha256": "cd", "proof": "ef"}]
    history += [{"epoch": epoch, **measured, **trained} for epoch in (1, 2)]
    write_lines(workdir / "metrics.jsonl", history)
    summary = {
        name: 1 if kind is int else "a" if kind is str else 0.5 for name, kind in get_type_hints(Summary).items()
    }
    write_json(workdir / "summary.json", summary | {"proof": "ef"})
    return workdir


@pytest.fixture
def ledger_lines():
    """Lines that the report shows."""
    lines = four(GREEDY.runs[8], 0.9, 0.8, hardware={"platform": "gpu", "devices": ["a GPU"]})
    return json.loads(json.dumps(list(lines.values())))
