"""Export and evaluation of tickets, and the benchmark, as a user runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.patience import PATIENCE
from tests.programs.in_process import call
from tests.programs.training_process import EPOCHS, flags, metrics

ROOT = Path(__file__).parents[2]
TICKET_SIZE = 266_200 * 2 // 8 + 1_700  # of two bits per connection, what describes the network, and the proof


def start(program, *arguments):
    """The program in a process of its own."""
    command = [sys.executable, "-m", f"experiments.{program}", *map(str, arguments)]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def run(unbroken):
    return unbroken[0]


def test_a_ticket_has_the_accuracy_of_its_run(run, digits, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    code, output, errors = start("export", f"--workdir={run}", f"--out={tmp_path / 'lenet.ticket'}")
    assert code == 0, errors
    assert (
        f"epoch {summary['best_epoch']}, test accuracy {100 * summary['test_accuracy_at_best_validation']:.2f}"
        in output
    )
    name_of_the_dataset = len(str(digits))  # which is in the ticket
    assert (tmp_path / "lenet.ticket").stat().st_size < TICKET_SIZE + name_of_the_dataset
    code, output, errors = start("evaluate", f"--ticket={tmp_path / 'lenet.ticket'}")
    assert code == 0, errors
    lines = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert lines["test"].startswith(f"accuracy {100 * summary['test_accuracy_at_best_validation']:.2f} %")
    assert lines["validation"].startswith(f"accuracy {100 * summary['best_validation_accuracy']:.2f} %")


@pytest.mark.slow
def test_another_epoch_can_be_exported(run, tmp_path):
    code, output, errors = call("export", f"--workdir={run}", f"--out={tmp_path / 't'}", "--epoch=6")
    assert code == 0, errors
    assert "epoch 6, " in output


@pytest.mark.slow
def test_a_selection_is_finetuned(run, digits, tmp_path):
    own = flags(digits, tmp_path / "fine", "--epochs=2", "--method=learned", f"--init_from={run}@6")
    code, output, errors = call("train", *own)
    assert code == 0, errors
    table = dict(re.split(r"  +", line, maxsplit=1) for line in output.splitlines()[2:])
    assert table["method"] == "finetuning"
    assert table["what was trained"] == "weights (kernel)"
    assert table["test accuracy before training"] == f"{100 * metrics(run)[6]['test']['accuracy']:.2f} %"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none", "--init_from: 'none' was given, but none holds no run (no config.json)"),
        ("{run}@1", "--init_from: '{run}@1' was given, but the run in {run} has checkpoints of epochs"),
        ("{run}@best", "it must be WORKDIR or WORKDIR@EPOCH"),
    ],
)
def test_what_cannot_be_finetuned_is_one_sentence(source, message, run, digits, tmp_path):
    own = flags(digits, tmp_path / "fine", EPOCHS, "--method=learned", f"--init_from={source.format(run=run)}")
    code, output, errors = call("train", *own)
    assert (code, output, len(errors.splitlines())) == (1, "", 1), errors
    assert message.format(run=run) in errors
    assert not (tmp_path / "fine").exists()


@pytest.mark.parametrize(
    ("arguments", "trained", "zeros"),
    [
        pytest.param(
            ["--method=edge_popup", "--keep_fraction=0.3", "--scale_for_kept"],
            "scores only",
            "70.00 %",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["--method=supermask", "--evaluation=sampled", "--rescale"], "scores only", None, marks=pytest.mark.slow
        ),
        pytest.param(["--share=layer", "--sparse", "--k=16"], "scores only", None, marks=pytest.mark.slow),
        pytest.param(["--method=random"], "nothing", "0.00 %", marks=pytest.mark.slow),
    ],
)
def test_every_method_is_trained_exported_and_evaluated(arguments, trained, zeros, digits, tmp_path):
    code, output, errors = call("train", *flags(digits, tmp_path / "run", "--epochs=2", *arguments))
    assert code == 0, errors
    table = dict(re.split(r"  +", line, maxsplit=1) for line in output.splitlines()[2:])
    assert table["what was trained"] == trained
    assert table["SHA-256 of all options"].endswith(", before and after")
    assert zeros is None or table["connections"].endswith(f"of which {zeros} are 0")
    code, output, errors = call("export", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'ticket'}")
    assert code == 0, errors
    code, output, errors = call("evaluate", f"--ticket={tmp_path / 'ticket'}")
    assert f"accuracy {table['test accuracy at that epoch']}" in output, errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir: it must be given"),
        (["--workdir={run}"], "--out: it must be given"),
        (["--workdir={tmp}/none", "--out={tmp}/t"], "none holds no run (no config.json)"),
        (["--workdir={run}", "--out={tmp}/t", "--epoch=99"], "--epoch: 99 was given, but the run in"),
        (["--workdir={run}", "--out={tmp}/missing/t"], "--out: "),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(arguments, message, run, tmp_path):
    code, output, errors = call("export", *(argument.format(run=run, tmp=tmp_path) for argument in arguments))
    assert (code, output) == (1, "")
    assert message in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_what_cannot_be_evaluated_is_one_sentence(run, tmp_path):
    np.savez(tmp_path / "small.npz", x_train=np.zeros((40, 8, 8), np.uint8), y_train=np.arange(40) % 10)
    call("export", f"--workdir={run}", f"--out={tmp_path / 't'}")
    damaged = bytearray((tmp_path / "t").read_bytes())
    damaged[-5] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    for arguments, message in (
        ([], "--ticket: it must be given"),
        ([f"--ticket={tmp_path / 'none'}"], "none"),
        ([f"--ticket={tmp_path / 'damaged'}"], "its checksum does not match, so it is damaged"),
        ([f"--ticket={tmp_path / 't'}", f"--dataset=npz:{tmp_path / 'small.npz'}"], "--dataset: it has Inputs("),
    ):
        code, output, errors = call("evaluate", *arguments)
        assert (code, output) == (1, "")
        assert message in errors
        assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_the_benchmark_prints_a_table_and_leaves_json_and_plot(tmp_path):
    code, output, errors = call("benchmark", "--ks=2", "--nomasks", "--rounds=1", f"--out={tmp_path}")
    assert code == 0, errors
    header, *lines = output.splitlines()
    assert header.split()[:3] == ["network", "K", "variant"]
    variants = {line.split("  ")[0].strip() or line for line in lines}
    assert len(lines) >= 4, variants
    rows = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    by_variant = {row["variant"]: row for row in rows}
    assert by_variant["learned"]["ratio"] == 1
    assert by_variant["factored, seeded"]["state_bytes"] == pytest.approx(8, abs=0.01)
    assert by_variant["explicit"]["state_bytes"] == pytest.approx(16, abs=0.01)
    assert (tmp_path / "benchmark.png").stat().st_size > 5000
