"""Runs over ImageNet's stream: interrupted within an epoch, with unreadable records, and their tickets."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from experiments import evaluate, export
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.running import run
from slotjax import data
from tests.programs.training_process import ROOT, metrics, selections
from tests.small_imagenet import DAMAGED

# TFDS and Grain use what NumPy and protobuf deprecate.
pytestmark = pytest.mark.filterwarnings("default")

BATCH, STEPS, EPOCHS = 16, 12, 2  # of 198 training examples
EXPLICIT = {"k": 2, "scores": "explicit", "options": "stored"}  # which are compiled soonest


def settings(**others):
    given = {"model": "lenet", "dataset": "imagenet2012", "image_size": 8, "batch_size": BATCH, "epochs": EPOCHS}
    return resolve(Request(**given | EXPLICIT | others))


def execution(prepared, workdir):
    return Execution(data_dir=str(prepared), workdir=str(workdir), workers=0, checkpoint_steps=5)


@pytest.fixture(scope="module")
def unbroken(prepared, tmp_path_factory):
    workdir, errors = tmp_path_factory.mktemp("unbroken") / "run", io.StringIO()
    with contextlib.redirect_stderr(errors):
        summary = run.run(settings(), execution(prepared, workdir))
    return workdir, summary, errors.getvalue()


class InterruptedRunError(Exception):
    """What ends a run in the middle of an epoch."""


@pytest.mark.slow
@pytest.mark.parametrize("step", [*(pytest.param(step, marks=pytest.mark.slow) for step in (4, 8, 12)), 23])
def test_a_run_that_is_interrupted_within_an_epoch_ends_as_an_unbroken_one(
    step, prepared, unbroken, tmp_path, monkeypatch, capsys
):
    load = data.load_imagenet

    def interrupted(*arguments):
        stream = load(*arguments)

        def train(seed, first_step, last_step, batch_size, **reading):
            batches = stream.train(seed, first_step, last_step, batch_size, **reading)
            for number in range(first_step, last_step):
                if number == step:
                    raise InterruptedRunError
                yield next(batches)

        return stream._replace(train=train)

    monkeypatch.setattr(data, "load_imagenet", interrupted)
    with pytest.raises(InterruptedRunError):
        run.run(settings(), execution(prepared, tmp_path / "run"))
    monkeypatch.setattr(data, "load_imagenet", load)
    capsys.readouterr()
    run.run(settings(), execution(prepared, tmp_path / "run"))
    # Two batches are placed ahead of the one that is taken, so that the interruption comes before them.
    saved = [at for at in range(5, step - 1, 5) if at > step // STEPS * STEPS]
    assert re.findall(r"Resuming after step (\d+)", capsys.readouterr().out) == [str(at) for at in saved[-1:]]
    assert metrics(tmp_path / "run") == metrics(unbroken[0])
    assert selections(tmp_path / "run") == selections(unbroken[0])


def test_unreadable_records_are_named_and_counted(unbroken):
    workdir, _, errors = unbroken
    named = re.findall(r"Record (\d+) of the split train cannot be read", errors)
    epochs = [record["skipped"] for record in metrics(workdir)[1:]]
    # Some may be held out for validation, and 6 examples of an epoch fill no batch.
    assert {int(record) for record in named} <= DAMAGED
    in_training = len(named) - (1 + EPOCHS) * epochs[-1]["validation"]  # which is also validated before training
    assert sum(skipped["train"] for skipped in epochs) == in_training > 0
    assert all(skipped["train"] > 0 == skipped["test"] for skipped in epochs)


def test_a_batch_without_a_readable_record_ends_the_run(prepared, tmp_path, monkeypatch):
    load = data.load_imagenet

    def unreadable(*arguments):
        stream = load(*arguments)

        def train(*which, **reading):
            return (batch._replace(valid=batch.valid & False) for batch in stream.train(*which, **reading))

        return stream._replace(train=train)

    monkeypatch.setattr(data, "load_imagenet", unreadable)
    with pytest.raises(
        run.RunError, match=r"--dataset: none of the records \[\d+, .*\] of its split train can be read"
    ):
        run.run(settings(), execution(prepared, tmp_path / "run"))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_data_that_cannot_be_read_any_more_is_not_said_of_the_workdir(workers, prepared, tmp_path, monkeypatch):
    own, load = tmp_path / "data", data.load_imagenet
    shutil.copytree(prepared, own)

    def then_gone(*arguments):
        stream = load(*arguments)

        def train(*which, **reading):
            shutil.rmtree(own)
            return stream.train(*which, **reading)

        return stream._replace(train=train)

    monkeypatch.setattr(data, "load_imagenet", then_gone)
    with pytest.raises(run.RunError, match=r"^--dataset: it cannot be read \("):
        run.run(settings(), replace(execution(own, tmp_path / "run"), workers=workers))


@pytest.mark.slow
def test_the_ticket_of_a_run_has_its_accuracy(prepared, unbroken, tmp_path):
    workdir, summary, _ = unbroken
    export.export(workdir, tmp_path / "ticket")
    accuracy = evaluate.evaluate(tmp_path / "ticket", data_dir=str(prepared))["test"]["accuracy"]
    assert accuracy == summary["test_accuracy_at_best_validation"]


@pytest.mark.slow
def test_checkpoints_of_another_epoch_are_deleted(prepared, unbroken, tmp_path):
    from slotjax import training

    with training.Checkpoints(tmp_path / "run" / "partial", best=0) as checkpoints:
        checkpoints.save(1000, {"scores": np.ones(2)}, [])
    (tmp_path / "run" / "config.json").write_text((unbroken[0] / "config.json").read_text())
    run.run(settings(), execution(prepared, tmp_path / "run"))
    assert metrics(tmp_path / "run") == metrics(unbroken[0])


def latest_step(workdir):
    steps = [int(path.name) for path in (workdir / "partial").glob("*") if path.name.isdigit()]
    return max(steps, default=0)


@pytest.mark.slow
def test_sigkill_within_an_epoch(prepared, unbroken, tmp_path):
    workdir = tmp_path / "run"
    flags = [f"--data_dir={prepared}", f"--workdir={workdir}", "--image_size=8", "--dataset=imagenet2012"]
    flags += [f"--batch_size={BATCH}", f"--epochs={EPOCHS}", "--checkpoint_steps=1", "--workers=2"]
    flags += [f"--{name}={value}" for name, value in EXPLICIT.items()]
    command = [sys.executable, "-m", "experiments.train", *flags]
    # Compiled like the unbroken run, which is one of this process.
    flags_here = os.environ.get("SLOTJAX_XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "4", "XLA_FLAGS": flags_here}
    for step in (3, 17):
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            while latest_step(workdir) < step and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert metrics(workdir) == metrics(unbroken[0])
    assert selections(workdir) == selections(unbroken[0])
