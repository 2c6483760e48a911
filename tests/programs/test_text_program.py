"""A transformer on text, as a user trains, resumes, exports and evaluates it, and starts another from it."""

import json
import re
import shutil

import pytest

from tests.programs.in_process import call
from tests.programs.training_process import metrics

TEXT = ("--model=char_transformer", "--dataset=stdlib", "--optimizer=adam", "--width_multiplier=0.25", "--examples=32")
SHORT = (*TEXT, "--epoch_steps=2", "--batch_size=8", "--k=4")


def table(output):
    rows = (re.split(r"  +", line, maxsplit=1) for line in output.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2}


def summary(workdir):
    return json.loads((workdir / "summary.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs, and what it printed."""
    workdir = tmp_path_factory.mktemp("text") / "run"
    own = ("--initial=nearest", "--epochs=2", f"--workdir={workdir}")
    code, output, errors = call("train", *SHORT, *own)
    assert code == 0, errors
    return workdir, output, own


@pytest.mark.slow
def test_it_shows_bits_per_character_and_says_what_was_learned(run):
    workdir, output, _ = run
    last = metrics(workdir)[-1]
    assert last["step"] == 4
    assert f"bits per character: train {last['train']['loss'] / 0.6931472:.3f}, " in output
    assert table(output)["test loss at the end"].startswith(f"{last['test']['loss']:.4f} nats, ")
    assert "latent values (not the paper's scores)" in table(output)["what was trained"]
    found = summary(workdir)
    assert found["parameters"] == 37_336
    assert found["parameters"] - found["learned_parameters"] == found["connections"] == 26_880


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_unbroken(run, tmp_path):
    workdir, _, own = run
    broken = tmp_path / "run"
    shutil.copytree(workdir, broken)
    (broken / "summary.json").unlink()
    shutil.rmtree(broken / "checkpoints" / "2")
    code, output, errors = call("train", *SHORT, *own[:2], f"--workdir={broken}")
    assert code == 0, errors
    assert "Resuming after epoch 1." in output
    assert metrics(broken) == metrics(workdir)


@pytest.mark.slow
def test_its_ticket_has_its_loss_and_writes_text(run, tmp_path):
    workdir, _, _ = run
    ticket = tmp_path / "ticket"
    code, _, errors = call("export", f"--workdir={workdir}", f"--out={ticket}")
    assert code == 0, errors
    code, output, errors = call("evaluate", f"--ticket={ticket}")
    assert code == 0, errors
    # Of the whole split, where the run saw 32 windows of it.
    assert re.search(r"test +accuracy \d+\.\d\d %, loss \d\.\d{4}", output)
    samples = [call("evaluate", f"--ticket={ticket}", "--sample=40", f"--seed={seed}")[1] for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0].encode()) >= 40
    code, _, errors = call("evaluate", f"--ticket={ticket}", "--sample=0")
    assert (code, errors.startswith("error: --sample: 0 was given")) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "trained"),
    [
        (("--initial=given", "--distribution=own_normal"), "latent values"),
        (("--method=edge_popup", "--where=all"), "scores and parameters that are not selected (bias, scale)"),
    ],
)
def test_other_methods_train_and_what_is_given_starts_there(run, arguments, trained, tmp_path):
    start = [f"--init_from={run[0]}@2"] if "--initial=given" in arguments else []
    options = [one for one in SHORT if one != "--k=4" or start] + ["--k=16"] * bool(start)
    code, output, errors = call("train", *options, *arguments, *start, "--epochs=1", f"--workdir={tmp_path / 'run'}")
    assert code == 0, errors
    assert trained in table(output)["what was trained"]
    if start:
        # The options nearest to the weights that were given are nearly as good.
        assert summary(tmp_path / "run")["untrained_test_loss"] == pytest.approx(
            summary(run[0])["last_test_loss"], abs=0.08
        )
