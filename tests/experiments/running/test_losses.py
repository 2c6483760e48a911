"""A run whose directory, checkpoints or results are lost: it says so, and the same command or the one named goes on."""

import contextlib
import json
import os
import re
import shutil
import sys

import jax
import pytest

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.output import Output, OutputError
from experiments.program import one_sentence
from experiments.running.losses import check_checkpoints_left
from experiments.running.run import RunError, run
from slotjax import training
from tests.programs.training_process import metrics

EPOCHS = 4


def train(digits, workdir, interruption=None, epochs=EPOCHS, **others):
    settings = resolve(Request(dataset=f"npz:{digits}", method="learned", batch_size=560, epochs=epochs))
    mesh = training.data_mesh(jax.devices()[:1])
    return run(settings, Execution(workdir=str(workdir), **others), interruption, mesh)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("losses") / "run"
    train(digits, workdir)
    return workdir


@pytest.fixture
def unfinished(trained, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    (workdir / "summary.json").unlink()
    return workdir


class Removing:
    """Asked after every epoch whether to stop, it removes the directory."""

    def __init__(self, workdir):
        self._workdir = workdir

    def __bool__(self):
        if (self._workdir / "metrics.jsonl").is_file():
            shutil.rmtree(self._workdir)
        return False


def test_a_directory_that_is_removed_under_a_run_is_not_half_made_again(digits, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(RunError, match=r"^--workdir: .*run was removed while the run trained; remove what is left"):
        train(digits, workdir, Removing(workdir))
    assert not workdir.exists()


def test_a_directory_that_is_removed_during_a_save_is_named_as_removed(digits, tmp_path, monkeypatch):
    workdir = tmp_path / "run"

    def save(checkpoints, epoch, state, history):
        shutil.rmtree(workdir)
        (workdir / "checkpoints").mkdir(parents=True)  # as a save that has begun may make it again
        raise OSError("a checkpoint cannot be written")

    monkeypatch.setattr(training.Checkpoints, "save", save)
    with pytest.raises(RunError, match=r"^--workdir: .*run was removed while the run trained; remove what is left"):
        train(digits, workdir)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_left_of_a_run_names_a_way_on(overwrite, digits, unfinished):
    (unfinished / "config.json").unlink()
    with pytest.raises(RunError, match=r"is not empty and holds no run.*; name another$"):
        train(digits, unfinished, overwrite=overwrite)


@pytest.mark.parametrize("remove", [shutil.rmtree, lambda path: [shutil.rmtree(one) for one in path.iterdir()]])
def test_a_run_whose_checkpoints_were_removed_does_not_start_again_by_itself(remove, digits, unfinished):
    before = metrics(unfinished)
    remove(unfinished / "checkpoints")
    with pytest.raises(
        RunError,
        match=r"^--workdir: all checkpoints of the 4 epochs in .* were removed; name another, or give --overwrite",
    ):
        train(digits, unfinished)
    assert metrics(unfinished) == before


MEASURED = {"loss": 0.5, "accuracy": 0.5}
LINES = [json.dumps({"epoch": epoch, "validation": MEASURED, "test": MEASURED}) for epoch in range(3)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LINES[:1], ""),
        (LINES[:2], "Nothing was saved of .* before it ended in epoch 2; starting again"),
        (LINES[:3], "Nothing was saved of .* before it ended in epoch 3"),
        ([*LINES[:2], '{"epo'], "Nothing was saved of .* before it ended in epoch 2"),
        (["[]"], ""),
    ],
)
def test_a_run_that_had_saved_nothing_says_that_it_starts_again(content, said, tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text("\n".join(content))
    check_checkpoints_left(tmp_path, lambda epoch: True)
    assert re.match(said, capsys.readouterr().out)


def test_a_damaged_summary_is_made_again(digits, unfinished, trained, capsys):
    (unfinished / "summary.json").write_text('{"connections": ')
    (unfinished / "partial" / "3").mkdir(parents=True)
    train(digits, unfinished)
    assert capsys.readouterr().err.count("summary.json is damaged") == 1
    assert (unfinished / "summary.json").read_text() == (trained / "summary.json").read_text()
    assert {path.name for path in unfinished.iterdir()} == {path.name for path in trained.iterdir()}


@contextlib.contextmanager
def unreadable(monkeypatch):
    """Standard output whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stdout", Output(stream))
        yield


def test_output_that_cannot_be_written_is_not_blamed_on_the_workdir(digits, unfinished, monkeypatch):
    shutil.rmtree(unfinished / "checkpoints" / "4")
    sentence = r"^what is printed cannot be written \(Broken pipe\)$"
    with unreadable(monkeypatch), pytest.raises(OutputError, match=sentence):
        print("Resuming", flush=True)
    with unreadable(monkeypatch), pytest.raises(OutputError, match=sentence):
        train(digits, unfinished)


def test_a_program_ends_with_a_sentence_if_its_last_line_cannot_be_printed(monkeypatch):
    sentence = r"^error: what is printed cannot be written \(Broken pipe\)$"
    with unreadable(monkeypatch), pytest.raises(SystemExit, match=sentence), one_sentence():
        print("not flushed yet")
