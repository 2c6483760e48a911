"""Checkpoints are removed when nothing needs them any more, never before, and nothing breaks without them."""

import shutil
from pathlib import Path

import pytest

from experiments.papers import ledger
from experiments.papers import train_cell as module
from experiments.papers.cells import finetunings_of
from experiments.papers.checkpoint_removal import has_checkpoints, remove_unneeded_checkpoints
from experiments.papers.directories import Directories, locked
from experiments.papers.grid import Cell, key
from experiments.papers.slot_machines import finetuned, greedy
from experiments.papers.train_cell import train_cell

# TFDS, which prepares the dataset, uses what NumPy and protobuf deprecate.
pytestmark = pytest.mark.filterwarnings("default")

ALONE = Cell(greedy("lenet", 2), 0)  # which nothing starts from
START = Cell(greedy("conv4"), 0)  # which figures 5 and 6 start from
OTHER = ("config.json", "metrics.jsonl", "summary.json", "frozen/seeds")


@pytest.fixture
def directories(tmp_path):
    return Directories(tmp_path / "runs", tmp_path / "ledger", None)


def add_run(cell, directories, is_finished=True, is_recorded=True):
    workdir = directories.workdir(cell)
    for name in (*OTHER, "checkpoints/3/state", "checkpoints/4/state", "partial/7/state"):
        if is_finished or name != "summary.json":
            (workdir / name).parent.mkdir(parents=True, exist_ok=True)
            (workdir / name).write_text("{}")
    if is_recorded:
        record(cell, directories)
    return workdir


def record(cell, directories):
    ledger.append({"key": key(cell), "finished": "2026-01-01"}, directories.ledger)


def files(workdir):
    return {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}


def test_a_finished_run_that_nothing_starts_from_loses_its_checkpoints_and_nothing_else(directories):
    workdir = add_run(ALONE, directories)
    remove_unneeded_checkpoints(ALONE, directories)
    assert files(workdir) == set(OTHER)
    assert directories.is_finished(ALONE)


@pytest.mark.parametrize("state", [{"is_finished": False}, {"is_recorded": False}])
def test_what_is_not_finished_or_not_in_the_ledger_keeps_them(state, directories):
    workdir = add_run(ALONE, directories, **state)
    before = files(workdir)
    remove_unneeded_checkpoints(ALONE, directories)
    assert files(workdir) == before


def test_a_start_keeps_them_until_the_last_finetuning_of_its_seed_is_in_the_ledger(directories):
    other_seed = START._replace(seed=1)
    for start in (START, other_seed):
        add_run(start, directories)
    finetunings = finetunings_of(START)
    assert {cell.run for cell in finetunings} == {finetuned("conv4", epoch) for epoch in (None, 20, 40, 60, 80, 100)}
    for finetuning in finetunings:
        remove_unneeded_checkpoints(START, directories)
        assert has_checkpoints(directories.workdir(START), [3, 4])
        record(finetuning, directories)
    for start in (START, other_seed):
        remove_unneeded_checkpoints(start, directories)
    assert not has_checkpoints(directories.workdir(START))
    assert has_checkpoints(directories.workdir(other_seed), [3, 4])


def test_a_tryout_of_a_finetuning_needs_the_tryout_of_its_start(directories):
    tryout = START._replace(scale=0.1)
    for start in (START, tryout):
        add_run(start, directories)
    for finetuning in finetunings_of(tryout):
        record(finetuning, directories)
    for start in (START, tryout):
        remove_unneeded_checkpoints(start, directories)
    assert [has_checkpoints(directories.workdir(start)) for start in (START, tryout)] == [True, False]


def test_what_another_process_works_on_keeps_them(directories):
    workdir = add_run(ALONE, directories)
    with locked(ALONE, directories):
        remove_unneeded_checkpoints(ALONE, directories)
    assert has_checkpoints(workdir)


def test_an_interrupted_removal_is_completed(directories, monkeypatch):
    workdir = add_run(ALONE, directories)

    def killed(path, ignore_errors=False):
        if not ignore_errors:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_unneeded_checkpoints(ALONE, directories)
    assert not has_checkpoints(workdir)  # not in part either
    remove_unneeded_checkpoints(ALONE, directories)
    assert files(workdir) == set(OTHER)


def test_checkpoints_of_certain_epochs_are_told_from_others(directories):
    workdir = add_run(ALONE, directories)
    assert has_checkpoints(workdir)
    assert has_checkpoints(workdir, [4])
    assert not has_checkpoints(workdir, [4, 5])
    # As an evaluation leaves it, which opens the directory.
    shutil.rmtree(workdir / "checkpoints")
    (workdir / "checkpoints").mkdir()
    assert not has_checkpoints(workdir)


@pytest.fixture
def trained(monkeypatch):
    """The workdirs of what `train_cell` trains, in place of training: a run then leaves the files that runs leave."""
    workdirs = []

    def run(settings, options, interruption, mesh, load):
        workdir = Path(options.workdir)
        if not (workdir / "summary.json").exists():
            workdirs.append(workdir)
            for name in (*OTHER, *(f"checkpoints/{epoch}/state" for epoch in (*options.keep_epochs, settings.epochs))):
                (workdir / name).parent.mkdir(parents=True, exist_ok=True)
                (workdir / name).write_text("{}")
        return {}

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module, "ledger_line", lambda cell, *_: {"key": key(cell), "finished": "2026-01-01"})
    return workdirs


def test_a_start_is_trained_once_and_loses_its_checkpoints_after_its_last_finetuning(directories, trained):
    finetunings = finetunings_of(START)
    for finetuning in finetunings:
        assert START.run == finetuning.run.start
        train_cell(finetuning, directories)
        assert has_checkpoints(directories.workdir(START)) == (finetuning != finetunings[-1])
    assert trained == [directories.workdir(cell) for cell in (START, *finetunings)]
    assert not any(has_checkpoints(workdir) for workdir in trained)


def test_a_finished_run_without_checkpoints_is_not_trained_again(directories, trained):
    for _ in range(2):
        train_cell(ALONE, directories)
        assert trained == [directories.workdir(ALONE)]
        assert not has_checkpoints(directories.workdir(ALONE))


def test_a_finetuning_trains_its_start_again_if_checkpoints_of_its_epoch_are_gone(directories, trained, capsys):
    train_cell(START, directories)
    shutil.rmtree(directories.workdir(START) / "checkpoints" / "60")
    train_cell(Cell(finetuned("conv4"), 0), directories)  # starts from another epoch
    assert "trained again" not in capsys.readouterr().out
    train_cell(Cell(finetuned("conv4", 60), 0), directories)
    assert capsys.readouterr().out.splitlines()[0] == (
        "conv4 on cifar10, greedy slot machine, K = 8, seed 0: "
        "its checkpoints were removed and are needed, so it is trained again."
    )
    assert trained.count(directories.workdir(START)) == 2
    assert has_checkpoints(directories.workdir(START), [20, 40, 60, 80, 100])


@pytest.mark.parametrize(("cell", "is_observed"), [(ALONE, False), (Cell(greedy("lenet"), 0), True)])
def test_a_run_whose_line_is_lost_is_trained_again_only_if_its_line_needs_checkpoints(
    cell, is_observed, directories, trained
):
    train_cell(cell, directories)
    shutil.rmtree(directories.workdir(cell) / "checkpoints", ignore_errors=True)
    shutil.rmtree(directories.ledger)
    train_cell(cell, directories)
    assert len(trained) == 1 + is_observed
    assert set(ledger.read(directories.ledger)) == {key(cell)}


@pytest.mark.slow
def test_a_start_that_is_trained_again_gives_the_same_finetuning(prepared_digits, tmp_path):
    start, finetuning = (Cell(run, 0, scale=0.01, examples=128) for run in (greedy("lenet"), finetuned("lenet")))
    once, again = (
        Directories(tmp_path / name / "runs", tmp_path / name / "ledger", str(prepared_digits))
        for name in ("once", "again")
    )
    train_cell(start, once)
    shutil.copytree(tmp_path / "once", tmp_path / "again")
    shutil.rmtree(again.workdir(start) / "checkpoints")
    lines = []
    for directories in (once, again):
        train_cell(finetuning, directories)
        lines.append(ledger.read(directories.ledger))
        assert set(lines[-1]) == {key(start), key(finetuning)}
    once, again = (
        {name: (line["curve"], line["start_flops"], line.get("changes")) for name, line in found.items()}
        for found in lines
    )
    assert once == again
