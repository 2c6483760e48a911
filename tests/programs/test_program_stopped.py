"""Runs that are killed, asked to stop or short of disk: the same command goes on, bitwise."""

import os
import random
import re
import signal
import subprocess
import time

import pytest

from tests.patience import PATIENCE
from tests.programs.in_process import call
from tests.programs.training_process import (
    EPOCHS,
    ROOT,
    STORED,
    assert_resumes,
    command,
    finish,
    flags,
    kill_after,
    kill_during_save,
    metrics,
    selections,
    start,
    wait_for_epochs,
)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(digits, tmp_path):
    own = flags(digits, tmp_path / "run", "--method=learned", "--learning_rate=1e38", "--schedule=constant")
    code, _, errors = call("train", *own)
    assert code == 1
    assert errors.startswith("error: the loss is ")
    assert "at step " in errors
    assert "learning rate 1e+38" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_run_that_was_killed_and_then_asked_to_stop_ends_bitwise_as_the_unbroken_one(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    assert kill_after(start(digits, workdir, EPOCHS), workdir, 3, 0.05)
    epoch = stop(digits, workdir, signal.SIGTERM, 5)
    assert f"Resuming after epoch {epoch}." in assert_resumes(digits, workdir, unbroken)


def stop(digits, workdir, number, lines):
    """Asks a run to stop when metrics.jsonl has so many lines; returns the epoch after which it says that it did."""
    process = start(digits, workdir, EPOCHS, "--checkpoint_every=100")
    wait_for_epochs(process, workdir, lines)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    (epoch,) = re.findall(r"Stopped after epoch (\d+); the same command goes on from there", output)
    assert errors == f"{number.name}: stopping when the running call is done.\n"
    assert len(metrics(workdir)) == int(epoch) + 1
    return epoch


@pytest.mark.slow
def test_a_run_with_explicit_scores_and_stored_options_resumes_bitwise(digits, tmp_path):
    assert finish(digits, tmp_path / "unbroken", "--epochs=6", *STORED)[0] == 0
    workdir = tmp_path / "run"
    assert kill_after(start(digits, workdir, "--epochs=6", *STORED), workdir, 3, 0)
    code, _, errors = finish(digits, workdir, "--epochs=6", *STORED)
    assert code == 0, errors
    assert metrics(workdir) == metrics(tmp_path / "unbroken")
    assert selections(workdir) == selections(tmp_path / "unbroken")


@pytest.mark.slow
def test_a_run_that_was_killed_during_a_save_ends_bitwise_as_the_unbroken_one(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    assert kill_during_save(start(digits, workdir, EPOCHS), workdir)
    assert_resumes(digits, workdir, unbroken)


@pytest.mark.slow
def test_kills_at_random_moments(unbroken, digits, tmp_path):
    workdir, moments = tmp_path / "run", random.Random(0)
    for _ in range(2):
        process = start(digits, workdir, EPOCHS)
        time.sleep(moments.uniform(1.5, 8))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert_resumes(digits, workdir, unbroken)


@pytest.mark.slow
def test_ctrl_c_is_as_well_heard(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    epoch = stop(digits, workdir, signal.SIGINT, 3)
    assert f"Resuming after epoch {epoch}." in assert_resumes(digits, workdir, unbroken)


def test_a_second_sigint_ends_the_run_at_once(digits, tmp_path):
    process = start(digits, tmp_path / "run", "--epochs=100000", "--batch_size=1")
    wait_for_epochs(process, tmp_path / "run", 1)  # then the first epoch is compiled and takes seconds
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "SIGINT: stopping when the running call is done.\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_touches_no_earlier_checkpoint(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    process = start(digits, workdir, EPOCHS)
    wait_for_epochs(process, workdir, 3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    before = {path: path.read_bytes() for path in (workdir / "checkpoints").rglob("*") if path.is_file()}
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    full = subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *command(digits, workdir, EPOCHS)],  # 100 or 200 kB a file
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert full.returncode == 1
    # Above it, threads of TensorStore may complain that nobody waits for their write since another one failed.
    sentences = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert re.fullmatch(r"error: --workdir: .* cannot be written .*File too large.*", sentences[0])
    assert len(sentences) == 1
    assert before == {path: path.read_bytes() for path in before}
    assert_resumes(digits, workdir, unbroken)
