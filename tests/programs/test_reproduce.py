"""Reproducing as a user does it: real processes, interrupted and killed, on a small dataset called mnist."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.papers.cells import cells_of, chosen_figures
from experiments.papers.directories import Directories, locked
from experiments.papers.grid import key
from tests.patience import PATIENCE
from tests.programs.in_process import call

# TFDS, which prepares the dataset, uses what NumPy and protobuf deprecate.
pytestmark = pytest.mark.filterwarnings("default")

ROOT = Path(__file__).parents[2]
EXAMPLES, EPOCHS, SCALE = 256, 10, 0.05
# Untrained, and K = 2 for ten epochs.
ONE = ("--only=slot.figure2", "--models=lenet", f"--epochs_scale={SCALE}", f"--examples={EXAMPLES}")
SHORT = ("--models=lenet", "--epochs_scale=0.01", f"--examples={EXAMPLES}", "--trials=1")
SEVERAL = ("--only=slot.figure2,slot.sparse", *SHORT)


def flags(data_dir, places, *arguments):
    return [f"--data_dir={data_dir}", f"--runs={places / 'runs'}", f"--ledger={places / 'ledger'}", *arguments]


def start(*arguments):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.reproduce", *flags(*arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments):
    process = start(*arguments)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return output


def repeat(*arguments):
    """The output where nothing is left to train: no process of its own is needed for that."""
    code, output, errors = call("reproduce", *flags(*arguments))
    assert code == 0, errors
    return output


def lines(places):
    found = []
    for path in (places / "ledger").glob("*.jsonl"):
        found += [json.loads(text) for text in path.read_text().splitlines()]
    return found


def numbers(places):
    """What may not depend on interruptions, by key."""
    names = ("test_accuracy_at_best_validation", "last_test_accuracy", "curve", "changes", "start", "flops")
    return {line["key"]: {name: line.get(name) for name in names} for line in lines(places)}


@pytest.fixture(scope="module")
def reproduced(prepared_digits, tmp_path_factory):
    places = tmp_path_factory.mktemp("reproduced")
    return places, finish(prepared_digits, places, *ONE, "--trials=1")


def test_what_the_ledger_lacks_is_run(reproduced):
    places, output = reproduced
    assert [text for text in output.splitlines() if text.startswith("== ")] == [
        "== lenet on mnist, random weights, seed 0",
        "== lenet on mnist, greedy slot machine, K = 2, seed 0",
    ]
    found = lines(places)
    assert len(found) == len({line["key"] for line in found}) == 2
    trained = found[1]
    assert (trained["epochs"], trained["epochs_of_the_paper"], trained["epochs_scale"]) == (EPOCHS, 200, 0.05)
    assert trained["settings"]["seed"] == 0
    assert trained["settings"]["k"] == 2
    assert len(trained["curve"]["test"]) == 1 + EPOCHS
    assert trained["test_accuracy_at_best_validation"] > 0.5 > trained["untrained_test_accuracy"]
    assert trained["settings"]["examples"] == EXAMPLES
    steps = EPOCHS * (EXAMPLES // 128)
    # Three products, each of a multiplication and an addition, less the gradient of the images.
    assert 0.7 * steps < trained["flops"] / (3 * 2 * 128 * 266_200) < steps
    assert {"hardware", "versions", "commit", "machine", "seconds", "finished"} <= set(trained)


def test_checkpoints_that_nothing_needs_are_removed(reproduced, prepared_digits, tmp_path):
    places = tmp_path / "copy"
    shutil.copytree(reproduced[0], places)
    workdirs = [places / "runs" / line["key"] for line in lines(places)]
    assert [path.name for workdir in workdirs for path in workdir.glob("*checkpoints*")] == []
    # Also those that a process was killed before removing.
    for workdir in workdirs:
        (workdir / "checkpoints" / "1").mkdir(parents=True)
    assert repeat(prepared_digits, places, *ONE, "--trials=1") == ""
    assert [path.name for workdir in workdirs for path in workdir.glob("*checkpoints*")] == []


def test_what_is_in_the_ledger_is_not_run_again(reproduced, prepared_digits):
    places, before = reproduced[0], lines(reproduced[0])
    assert repeat(prepared_digits, places, *ONE, "--trials=1") == ""
    assert lines(places) == before


def test_a_run_whose_line_was_not_written_any_more_gets_it(reproduced, prepared_digits, tmp_path):
    places = tmp_path / "copy"
    shutil.copytree(reproduced[0], places)
    (file,) = (places / "ledger").iterdir()
    whole = lines(places)
    file.write_text("".join(json.dumps(line) + "\n" for line in whole[:-1]))
    output = repeat(prepared_digits, places, *ONE, "--trials=1")
    assert "is finished; nothing was trained" in output
    assert "epoch 1/" not in output
    without_time = [[{**line, "finished": None} for line in ones] for ones in (whole, lines(places))]
    assert without_time[0] == without_time[1]


@pytest.mark.slow
def test_what_cannot_be_finished_keeps_nothing_else_from_being_so(prepared_digits, tmp_path):
    cells = cells_of(chosen_figures(["slot.figure2"]), 1, ["lenet"], SCALE, EXAMPLES)
    blocked = tmp_path / "runs" / key(cells[0])
    blocked.mkdir(parents=True)
    (blocked / "something.txt").write_text("no run")
    process = start(prepared_digits, tmp_path, *ONE, "--trials=1")
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "is not empty and holds no run" in errors
    assert errors.splitlines()[-1] == "error: 1 of the runs could not be finished"
    assert [line["key"] for line in lines(tmp_path)] == [key(cells[1])], output


@pytest.mark.slow
def test_cells_in_other_hands_are_waited_for(prepared_digits, tmp_path):
    """By a process that does all others, and then waits until it is asked to stop."""
    cells = cells_of(chosen_figures(["slot.figure2"]), 1, ["lenet"], SCALE, EXAMPLES)
    with locked(cells[1], Directories(tmp_path / "runs", tmp_path / "ledger", None)):
        listed = repeat(prepared_digits, tmp_path, *ONE, "--trials=1", "--list").splitlines()[1]
        process = start(prepared_digits, tmp_path, *ONE, "--trials=1")
        while not lines(tmp_path) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert listed.split()[:4] == ["slot.figure2", "0", "1", "1"]
    assert [line["key"] for line in lines(tmp_path)] == [key(cells[0])]


@pytest.mark.slow
def test_a_signal_in_a_runs_last_epoch_is_not_forgotten(prepared_digits, tmp_path):
    """The run ends, and its line is written, but no other is begun."""
    process = start(prepared_digits, tmp_path, *ONE, "--trials=1")
    while "random weights" not in process.stdout.readline() and process.poll() is None:  # which takes one epoch
        pass
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "== " not in rest


def test_the_list_counts_what_is_done_and_missing(reproduced, prepared_digits):
    rows = repeat(prepared_digits, reproduced[0], *ONE, "--trials=1", "--list").splitlines()
    assert rows[0].split() == ["done", "running", "missing", "hours", "on", "this", "machine"]
    assert rows[1].split()[:4] == ["slot.figure2", "2", "0", "0"]
    others = repeat(prepared_digits, reproduced[0], "--only=slot.figure8", "--list").splitlines()
    assert others[1].split()[:4] == ["slot.figure8", "0", "0", "192"]


@pytest.mark.slow
def test_a_budget_ends_it_with_everything_saved(prepared_digits, tmp_path):
    output = finish(prepared_digits, tmp_path, *SEVERAL, "--epochs_scale=100", "--budget_minutes=0.4")
    assert "the same command goes on from there" in output


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--only=slot.figure99", "--only: 'slot.figure99' was given, but it must be of slot, hidden, beyond, "),
        ("--models=alexnet", "--models: 'alexnet' was given, but it must be of lenet, "),
        ("--epochs_scale=0", "--epochs_scale: 0.0 was given, but it must be above 0"),
        ("--epochs_scale=inf", "--epochs_scale: inf was given, but it must be above 0 and at most 1000000"),
        ("--budget_minutes=nan", "--budget_minutes: nan was given, but it must be above 0 and at most 1000000"),
        ("--examples=0", "--examples: 0 was given, but it must be above 0"),
        ("--trials=-1", "--trials: -1 was given, but it must be above 0"),
    ],
)
def test_bad_flags_are_one_sentence(flag, sentence, tmp_path):
    code, output, errors = call("reproduce", *flags(tmp_path, tmp_path, flag))
    assert (code, output) == (1, "")
    assert errors.startswith(f"error: {sentence}")
    assert len(errors.splitlines()) == 1


def test_data_that_is_missing_is_one_sentence_per_run(tmp_path):
    code, _, errors = call("reproduce", *flags(tmp_path, tmp_path, *ONE, "--trials=1"))
    assert code == 1
    assert errors.splitlines()[-1] == "error: 2 of the runs could not be finished"
    assert "dataset: 'mnist' is not prepared in" in errors
    assert "Traceback" not in errors


@pytest.fixture(scope="session")
def shared(prepared_digits, once):
    """What two processes that are started at once leave, and print."""

    def train(directory):
        processes = [start(prepared_digits, directory, *SEVERAL) for _ in range(2)]
        said = [process.communicate(timeout=PATIENCE) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        (directory / "said.json").write_text(json.dumps(said))

    directory = once("shared", train)
    return directory, [output for output, _ in json.loads((directory / "said.json").read_text())]


@pytest.mark.slow
def test_two_processes_share_the_work(shared):
    begun = [text for output in shared[1] for text in output.splitlines() if text.startswith("== ")]
    found = lines(shared[0])
    expected = len(cells_of(chosen_figures(["slot.figure2", "slot.sparse"]), 1, ["lenet"], 0.01))
    assert len(found) == len({line["key"] for line in found}) == expected
    assert all("== " in output for output in shared[1])
    assert len(begun) == len(set(begun)) == expected


@pytest.mark.slow
def test_interruptions_change_nothing(shared, prepared_digits, tmp_path):
    """At random, also while lines are written."""
    moments = random.Random(0)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = start(prepared_digits, tmp_path, *SEVERAL)
        time.sleep(moments.uniform(5, 15))
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    finish(prepared_digits, tmp_path, *SEVERAL)
    found = lines(tmp_path)
    assert len(found) == len({line["key"] for line in found})
    assert numbers(tmp_path) == numbers(shared[0])
    assert list((tmp_path / "runs").glob("*/checkpoints")) == []


@pytest.mark.slow
def test_jobs_find_what_one_process_finds(reproduced, prepared_digits, tmp_path):
    output = finish(prepared_digits, tmp_path, *ONE, "--trials=1", "--jobs=2")
    assert numbers(tmp_path) == numbers(reproduced[0])
    assert len(lines(tmp_path)) == len(lines(reproduced[0])) == output.count("== lenet")
    assert {text[:3] for text in output.splitlines()} == {"1: ", "2: "}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_jobs_stop_together_with_everything_saved(number, prepared_digits, tmp_path):
    given = ("--only=slot.figure2", "--models=lenet", "--epochs_scale=5", f"--examples={EXAMPLES}", "--jobs=2")
    process = start(prepared_digits, tmp_path, *given)
    while "epoch" not in process.stdout.readline() and process.poll() is None:
        pass
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "the same command goes on from there" in output
    assert "Traceback" not in errors
