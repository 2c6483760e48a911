"""The training program as a user runs it: real processes, real files, real signals."""

import json
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from tests.patience import PATIENCE
from tests.programs.in_process import call
from tests.programs.training_process import EPOCHS, STORED, finish, flags, metrics, start

FILES = {"config.json", "metrics.jsonl", "curves.png", "summary.json", "checkpoints", "frozen", "tensorboard"}


def test_a_run_shows_its_epochs_and_what_it_came_to(unbroken):
    _, output, errors = unbroken
    lines = output.splitlines()
    assert lines[0].startswith("epoch 1/8: loss ")
    assert sum(line.startswith("epoch ") for line in lines) == 8
    table = dict(re.split(r"  +", line, maxsplit=1) for line in lines[8:])
    assert table["connections"] == "266,200, of which 0.00 % are 0"
    assert table["method"] == "greedy slot machine, K = 4"
    assert float(table["test accuracy at that epoch"].split()[0]) > 90
    assert float(table["test accuracy before training"].split()[0]) < 50
    assert table["what was trained"] == "scores only"
    assert table["SHA-256 of all options"].endswith(", before and after")
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
    assert [record["epoch"] for record in records] == list(range(9))
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
    assert tags.count("test/accuracy") == 9


def _records(content):
    while content:
        length = int.from_bytes(content[:8], "little")
        yield content[12 : 12 + length]
        content = content[16 + length :]


def test_checkpoints_kept_are_the_latest_the_best_and_the_chosen(unbroken):
    workdir = unbroken[0]
    best = json.loads((workdir / "summary.json").read_text())["best_epoch"]
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    assert {3, 6, 7, 8} <= kept
    assert len(kept) <= 5
    accuracies = {record["epoch"]: record["validation"]["accuracy"] for record in metrics(workdir)[1:]}
    assert max(accuracies[epoch] for epoch in kept) == accuracies[best]


def test_a_finished_run_says_so_and_trains_nothing(unbroken, digits):
    workdir = unbroken[0]
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    code, output, _ = call("train", *flags(digits, workdir, EPOCHS))
    assert code == 0
    assert "is finished; nothing was trained" in output
    assert "epoch 1/" not in output
    assert before == {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_other_settings_in_the_same_workdir_are_an_error_that_names_them(unbroken, digits):
    workdir = unbroken[0]
    code, output, errors = call("train", *flags(digits, workdir, EPOCHS, "--seed=3", "--momentum=0.5"))
    assert code == 1
    assert output == ""
    assert "--momentum=0.9 there and 0.5 here, --seed=0 there and 3 here" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_overwrite_starts_again(digits, tmp_path):
    for arguments in (["--epochs=2"], ["--epochs=3", "--overwrite"]):
        assert call("train", *flags(digits, tmp_path / "run", *arguments))[0] == 0
    assert len(metrics(tmp_path / "run")) == 4


@pytest.mark.parametrize("argument", [pytest.param("--nonsense=1", marks=pytest.mark.slow), "--k=many"])
def test_what_is_no_flag_or_no_value_of_it_ends_with_code_1(argument, digits, tmp_path):
    code, output, errors = finish(digits, tmp_path / "run", argument)
    assert (code, output) == (1, "")
    assert "Traceback" not in errors
    assert argument.split("=")[0].lstrip("-") in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [("--k=0", "--k: 0 was given, but it must be from 1 to 65536"), ("extra", "'extra' is not a flag; see --help")],
)
def test_bad_arguments_are_one_sentence(argument, sentence, digits, tmp_path):
    said = call("train", f"--dataset=npz:{digits}", f"--workdir={tmp_path / 'run'}", argument)
    assert said == (1, "", f"error: {sentence}\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_how_scores_and_options_are_held_changes_no_number_at_first(digits, tmp_path):
    """Rounding makes the runs drift apart later, as two runs with other rounding do."""
    for name, arguments in (("factored", ()), ("explicit", STORED)):
        assert call("train", *flags(digits, tmp_path / name, "--epochs=1", *arguments))[0] == 0
    here, there = metrics(tmp_path / "explicit"), metrics(tmp_path / "factored")
    for name in ("train", "validation", "test"):
        assert here[1][name]["loss"] == pytest.approx(there[1][name]["loss"], rel=2e-2)
    assert here[0]["test"] == there[0]["test"]


@pytest.mark.slow
def test_a_second_process_in_the_same_workdir_is_refused(digits, tmp_path):
    first = start(digits, tmp_path / "run", "--epochs=2")
    while not (tmp_path / "run" / "config.json").exists():
        time.sleep(0.01)
    code, _, errors = call("train", *flags(digits, tmp_path / "run", "--epochs=2"))
    assert code == 1
    assert errors == f"error: --workdir: another process is training in {tmp_path / 'run'}\n"
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    assert len(metrics(tmp_path / "run")) == 3


@pytest.mark.slow
def test_a_run_is_not_resumed_on_other_data(digits, tmp_path):
    own, workdir = tmp_path / "own.npz", tmp_path / "run"
    shutil.copy(digits, own)
    assert call("train", *flags(own, workdir, "--epochs=1"))[0] == 0
    (workdir / "summary.json").unlink()
    arrays = dict(np.load(digits))
    np.savez(own, x_train=255 - arrays["x_train"], y_train=arrays["y_train"])
    code, _, errors = call("train", *flags(own, workdir, "--epochs=1"))
    assert code == 1
    assert "--dataset: it does not hold the data that the run" in errors


@pytest.mark.slow
def test_options_that_are_not_the_runs_own_are_refused(digits, tmp_path):
    for name, seed in (("run", 0), ("other", 1)):
        assert call("train", *flags(digits, tmp_path / name, "--epochs=1", f"--seed={seed}"))[0] == 0
    (tmp_path / "run" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "other" / "checkpoints").rename(tmp_path / "run" / "checkpoints")
    code, _, errors = call("train", *flags(digits, tmp_path / "run", "--epochs=1"))
    assert code == 1
    assert "its values are not those that the run started with" in errors
