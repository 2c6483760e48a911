"""The training program as a user runs it: real processes, real files, real signals."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
FILES = {"config.json", "metrics.jsonl", "curves.png", "summary.json", "checkpoints", "frozen", "tensorboard"}


def command(digits, workdir, *arguments):
    flags = [f"--dataset=npz:{digits}", f"--workdir={workdir}", "--batch_size=64", "--k=4", *arguments]
    return [sys.executable, "-m", "experiments.train", *flags]


def start(*arguments):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*arguments):
    process = start(*arguments)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def metrics(workdir):
    """The lines of metrics.jsonl without the seconds, the only thing that may differ between two runs."""
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "time"} for record in records]


def selections(workdir):
    """The bytes of the final scores, which decide every selection."""
    import orbax.checkpoint as ocp

    last = max((path for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()), key=lambda p: int(p.name))
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(last / "state")
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(restored["params"])]


EPOCHS = "--epochs=25"
STORED = ("--scores=explicit", "--options=stored")


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken") / "run"
    code, output, errors = finish(digits, workdir, EPOCHS, "--keep_epochs=5,10")
    assert code == 0, errors
    return workdir, output, errors


def test_a_run_shows_its_epochs_and_what_it_came_to(unbroken):
    _, output, errors = unbroken
    lines = output.splitlines()
    assert lines[0].startswith("epoch 1/25: loss ")
    assert sum(line.startswith("epoch ") for line in lines) == 25
    table = dict(re.split(r"  +", line, maxsplit=1) for line in lines[25:])
    assert table["connections"] == "266,200, of which 0.00 % are 0"
    assert table["method"] == "greedy slot machine, K = 4"
    assert float(table["test accuracy at that epoch"].split()[0]) > 90
    assert float(table["test accuracy before training"].split()[0]) < 50
    assert table["what was trained"] == "scores only"
    assert table["SHA-256 of what is frozen, after"] == table["SHA-256 of what is frozen, before"] + " (the same)"
    assert errors == ""


def test_a_run_leaves_its_settings_metrics_events_and_picture(unbroken):
    from tensorboardX.proto import event_pb2

    workdir = unbroken[0]
    assert {path.name for path in workdir.iterdir()} == FILES | {".lock"}
    config = json.loads((workdir / "config.json").read_text())
    assert config["settings"]["learning_rate"] == 0.2
    assert config["versions"].keys() >= {"jax", "flax", "slotjax"}
    assert config["hardware"]["platform"] == "cpu"
    records = metrics(workdir)
    assert [record["epoch"] for record in records] == list(range(26))
    assert records[1].keys() == {"epoch", "step", "train", "validation", "test", "changed", "learning_rate"}
    summary = json.loads((workdir / "summary.json").read_text())
    best = max(records[1:], key=lambda record: record["validation"]["accuracy"])
    assert summary["best_epoch"] == best["epoch"]
    assert summary["test_accuracy_at_best_validation"] == best["test"]["accuracy"]
    with Image.open(workdir / "curves.png") as picture:
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
    (events,) = (workdir / "tensorboard").iterdir()
    assert event_pb2.Event.FromString(next(_records(events.read_bytes()))).file_version
    tags = [
        value.tag
        for event in _records(events.read_bytes())
        for value in event_pb2.Event.FromString(event).summary.value
    ]
    assert tags.count("test/accuracy") == 26


def _records(content):
    while content:
        length = int.from_bytes(content[:8], "little")
        yield content[12 : 12 + length]
        content = content[16 + length :]


def test_checkpoints_kept_are_the_latest_the_best_and_the_chosen(unbroken):
    workdir = unbroken[0]
    best = json.loads((workdir / "summary.json").read_text())["best_epoch"]
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    assert {5, 10, 24, 25} <= kept
    assert len(kept) <= 5
    accuracies = {record["epoch"]: record["validation"]["accuracy"] for record in metrics(workdir)[1:]}
    assert max(accuracies[epoch] for epoch in kept) == accuracies[best]


@pytest.mark.slow
def test_the_same_settings_give_bitwise_the_same_run(unbroken, digits, tmp_path):
    assert finish(digits, tmp_path / "run", EPOCHS)[0] == 0
    assert metrics(tmp_path / "run") == metrics(unbroken[0])
    assert selections(tmp_path / "run") == selections(unbroken[0])


def test_a_finished_run_says_so_and_trains_nothing(unbroken, digits):
    workdir = unbroken[0]
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    code, output, _ = finish(digits, workdir, EPOCHS)
    assert code == 0
    assert "is finished; nothing was trained" in output
    assert "epoch 1/" not in output
    assert before == {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_other_settings_in_the_same_workdir_are_an_error_that_names_them(unbroken, digits):
    workdir = unbroken[0]
    code, output, errors = finish(digits, workdir, EPOCHS, "--seed=3", "--momentum=0.5")
    assert code == 1
    assert output == ""
    assert "--momentum=0.9 there and 0.5 here, --seed=0 there and 3 here" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_overwrite_starts_again(digits, tmp_path):
    for arguments in (["--epochs=2"], ["--epochs=3", "--overwrite"]):
        assert finish(digits, tmp_path / "run", *arguments)[0] == 0
    assert len(metrics(tmp_path / "run")) == 4


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(digits, tmp_path):
    code, _, errors = finish(digits, tmp_path / "run", "--epochs=3", "--learning_rate=1e38", "--schedule=constant")
    assert code == 1
    assert errors.startswith("error: the loss is ")
    assert "at step " in errors
    assert "learning rate 1e+38" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("arguments", [["--nonsense=1"], ["--k=many"], ["--k=0"], ["extra"]])
def test_bad_flags_end_with_code_1_or_2(digits, tmp_path, arguments):
    code, output, errors = finish(digits, tmp_path / "run", *arguments)
    assert code in (1, 2)
    assert output == ""
    assert "Traceback" not in errors
    assert arguments[0].lstrip("-").split("=")[0] in errors
    assert not (tmp_path / "run").exists()


def kill_after(process, workdir, lines, delay):
    """Kills the process once metrics.jsonl has so many lines and `delay` seconds have passed."""
    path = workdir / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") >= lines):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def kill_during_save(process, workdir):
    """Kills the process as soon as a half-written checkpoint is there."""
    checkpoints = workdir / "checkpoints"
    while process.poll() is None and not any(checkpoints.glob("*orbax-checkpoint-tmp*")):
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return any(checkpoints.glob("*orbax-checkpoint-tmp*"))


def assert_resumes(digits, workdir, unbroken):
    code, output, errors = finish(digits, workdir, EPOCHS)
    assert code == 0, errors
    assert metrics(workdir) == metrics(unbroken[0])
    assert selections(workdir) == selections(unbroken[0])
    assert not any((workdir / "checkpoints").glob("*tmp*"))
    return output


def test_a_run_that_was_killed_again_and_again_ends_bitwise_as_the_unbroken_one(unbroken, digits, tmp_path):
    workdir, moments = tmp_path / "run", random.Random(0)
    for lines in (3, 12):
        assert kill_after(start(digits, workdir, EPOCHS), workdir, lines, moments.uniform(0, 0.1))
    assert "Resuming after epoch" in assert_resumes(digits, workdir, unbroken)


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
def test_how_scores_and_options_are_held_changes_no_number_at_first(digits, tmp_path):
    """Rounding makes the runs drift apart later, as two runs with other rounding do."""
    for name, arguments in (("factored", ()), ("explicit", STORED)):
        assert finish(digits, tmp_path / name, "--epochs=1", *arguments)[0] == 0
    here, there = metrics(tmp_path / "explicit"), metrics(tmp_path / "factored")
    for name in ("train", "validation", "test"):
        assert here[1][name]["loss"] == pytest.approx(there[1][name]["loss"], rel=2e-2)
    assert here[0]["test"] == there[0]["test"]


@pytest.mark.slow
def test_a_run_that_was_killed_during_a_save_ends_bitwise_as_the_unbroken_one(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    assert kill_during_save(start(digits, workdir, EPOCHS), workdir)
    assert_resumes(digits, workdir, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_fifty_kills_at_random_moments(unbroken, digits, tmp_path, seed):
    workdir = tmp_path / "run"
    process = start(digits, workdir, EPOCHS)
    time.sleep(random.Random(seed).uniform(1.5, 8))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert_resumes(digits, workdir, unbroken)


@pytest.mark.slow
def test_a_second_process_in_the_same_workdir_is_refused(digits, tmp_path):
    first = start(digits, tmp_path / "run", "--epochs=2")
    while not (tmp_path / "run" / "config.json").exists():
        time.sleep(0.01)
    code, _, errors = finish(digits, tmp_path / "run", "--epochs=2")
    assert code == 1
    assert errors == f"error: --workdir: another process is training in {tmp_path / 'run'}\n"
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    assert len(metrics(tmp_path / "run")) == 3


@pytest.mark.slow
def test_a_run_is_not_resumed_on_other_data(digits, tmp_path):
    own, workdir = tmp_path / "own.npz", tmp_path / "run"
    shutil.copy(digits, own)
    assert finish(own, workdir, "--epochs=1")[0] == 0
    (workdir / "summary.json").unlink()
    arrays = dict(np.load(digits))
    np.savez(own, x_train=255 - arrays["x_train"], y_train=arrays["y_train"])
    code, _, errors = finish(own, workdir, "--epochs=1")
    assert code == 1
    assert "--dataset: it does not hold the data that the run" in errors


@pytest.mark.slow
def test_options_that_are_not_the_runs_own_are_refused(digits, tmp_path):
    for name, seed in (("run", 0), ("other", 1)):
        assert finish(digits, tmp_path / name, "--epochs=1", f"--seed={seed}")[0] == 0
    (tmp_path / "run" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "other" / "checkpoints").rename(tmp_path / "run" / "checkpoints")
    code, _, errors = finish(digits, tmp_path / "run", "--epochs=1")
    assert code == 1
    assert "its values are not those that the run started with" in errors


def wait_for_epochs(process, workdir, lines):
    path = workdir / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") >= lines):
        time.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_that_is_asked_to_stop_saves_and_says_where(number, unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    process = start(digits, workdir, EPOCHS, "--checkpoint_every=100")
    wait_for_epochs(process, workdir, 3)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    (epoch,) = re.findall(r"Stopped after epoch (\d+); the same command goes on from there", output)
    assert errors == f"{number.name}: stopping when the running call is done.\n"
    assert len(metrics(workdir)) == int(epoch) + 1
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
