"""What is frozen in a run, written down and damaged: it is drawn again, and is found out if that gives other values."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest

import slotjax
from experiments import export
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import selector_of
from experiments.running import run, trained
from experiments.running.failure import RunError
from experiments.running.run import check_proof
from tests.programs.in_process import call
from tests.programs.training_process import metrics
from tests.slotjax.training.test_checkpoints import changed

# Orbax leaves coroutines of a failed restore behind, which complain when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def settings(digits, **others):
    given = {"dataset": f"npz:{digits}", "k": 4, "batch_size": 64, "epochs": 2, "options": "stored", "examples": 128}
    return resolve(Request(**given | others))


def execution(workdir):
    return Execution(workdir=str(workdir), keep_epochs=(1, 2))


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("frozen") / "run"
    run.run(settings(digits), execution(workdir))
    return workdir


def change_values(frozen):
    """Such that Orbax reads other numbers and says nothing, as changed bytes of numbers do."""
    with ocp.StandardCheckpointer() as checkpointer:
        values = checkpointer.restore(frozen)
        shutil.rmtree(frozen)
        checkpointer.save(frozen, jax.tree.map(jnp.negative, values))


def change_bytes(frozen):
    """Of numbers, or of what says how they are compressed: Orbax writes the arrays in any order."""
    files = [path for path in frozen.glob("**/d/*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(changed(largest.read_bytes(), 64))


def remove_arrays(frozen):
    shutil.rmtree(next(frozen.glob("**/d")))


DAMAGES = {
    change_values: "its values are not those that the run started with",
    change_bytes: ".+",
    remove_arrays: ".+",
}


@pytest.fixture(
    params=[change_values, pytest.param(change_bytes, marks=pytest.mark.slow), remove_arrays],
    ids=lambda damage: damage.__name__,
)
def damaged(request, unbroken, tmp_path):
    """The run as it was after its first epoch, with its frozen values damaged, and the reason that is to be given."""
    workdir = tmp_path / "run"
    shutil.copytree(unbroken, workdir)
    (workdir / "summary.json").unlink()
    shutil.rmtree(workdir / "checkpoints" / "2")
    request.param(workdir / "frozen")
    return workdir, DAMAGES[request.param]


def assert_warned(workdir, reason, errors):
    # Threads of TensorStore may complain as well, of an event loop that is closed.
    (line,) = (line for line in errors.splitlines() if line.startswith(str(workdir)))
    frozen = re.escape(str(workdir / "frozen"))
    assert re.fullmatch(rf"{frozen} is damaged \({reason}\); its values are drawn again from the seed\.", line)


def test_a_run_whose_frozen_values_are_damaged_draws_them_again_and_ends_as_unbroken(damaged, unbroken, digits, capsys):
    workdir, reason = damaged
    summary = run.run(settings(digits), execution(workdir))
    assert_warned(workdir, reason, capsys.readouterr().err)
    assert metrics(workdir) == metrics(unbroken)
    assert len(summary["proof"]) == 64


@pytest.mark.slow
def test_its_ticket_is_the_same(damaged, unbroken, tmp_path, capsys):
    workdir, reason = damaged
    for name, source in (("expected", unbroken), ("found", workdir)):
        export.export(source, tmp_path / name, epoch=1)
    assert_warned(workdir, reason, capsys.readouterr().err)
    assert (tmp_path / "expected").read_bytes() == (tmp_path / "found").read_bytes()


@pytest.mark.slow
def test_frozen_values_that_the_seed_does_not_give_again_are_lost(damaged, digits, monkeypatch):
    workdir, reason = damaged
    sentence = rf"--workdir: .*frozen is damaged \({reason}\), and the seed gives other values than the run has"
    for module in (run, trained):
        monkeypatch.setattr(module, "selector_of", lambda own: selector_of(replace(own, distribution="glorot_normal")))
    with pytest.raises(run.RunError, match=sentence):
        run.run(settings(digits), execution(workdir))
    with pytest.raises(ValueError, match=sentence):
        export.export(workdir, workdir / "ticket", epoch=1)


def test_options_that_the_run_did_not_start_with_stop_it(tmp_path):
    check_proof([{"epoch": 0}], "a", tmp_path)  # of a run that does not say
    check_proof([{"proof": None}], None, tmp_path)
    with pytest.raises(RunError, match="the options that are drawn now are not those"):
        check_proof([{"proof": "a"}], "b", tmp_path)


def test_a_run_is_not_resumed_with_options_other_than_it_started_with(unbroken, digits, tmp_path, monkeypatch):
    """As after a change of the generator: the seed draws other values, which nothing else tells from the run's own."""
    workdir = tmp_path / "run"
    shutil.copytree(unbroken, workdir)
    (workdir / "summary.json").unlink()
    monkeypatch.setattr(slotjax, "proof", lambda frozen: "0" * 64)
    own = ["--k=4", "--batch_size=64", "--epochs=2", "--options=stored", "--keep_epochs=1,2", "--examples=128"]
    code, output, errors = call("train", f"--dataset=npz:{digits}", f"--workdir={workdir}", *own)
    assert (code, output) == (1, "")
    assert re.fullmatch(r"error: --workdir: the options that are drawn now are not those that the run in .*\n", errors)


def test_the_best_epoch_is_one_of_which_there_is_a_checkpoint(tmp_path):
    history = [{"epoch": epoch, "validation": {"accuracy": value}} for epoch, value in ((0, 0.1), (1, 0.9), (2, 0.8))]
    checkpoints = SimpleNamespace(
        epochs=lambda: [2], restore_latest=lambda state: (state, history), restore=lambda epoch, state: epoch
    )
    assert trained._restore(checkpoints, None, None, tmp_path) == 2
