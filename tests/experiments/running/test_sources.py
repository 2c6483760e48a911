"""Nothing that a program reads is where it writes or deletes."""

import shutil

import jax
import pytest

from experiments import export
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.running.components import Inputs
from experiments.running.run import RunError, run
from experiments.running.workdir import open_run
from slotjax import training


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sources") / "run"
    settings = resolve(Request(dataset=f"npz:{digits}", method="learned", batch_size=560, epochs=1))
    run(settings, Execution(workdir=str(workdir)), mesh=training.data_mesh(jax.devices()[:1]))
    return workdir


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def finetune(digits, start, workdir):
    settings = Request(dataset=f"npz:{digits}", method="learned", init_from=str(start), batch_size=560, epochs=1)
    return run(resolve(settings), Execution(workdir=str(workdir), overwrite=True))


def itself(workdir, place):
    return workdir, workdir


def by_another_path(workdir, place):
    return f"{workdir}@1", f"{workdir.parent}/../{workdir.parent.name}/{workdir.name}"


def link_to_it(workdir, place):
    (place / "link").symlink_to(workdir)
    return workdir, place / "link"


def through_a_link(workdir, place):
    (place / "link").symlink_to(workdir)
    return place / "link", workdir


def with_its_checkpoints(workdir, place):
    (place / "start").mkdir()
    for name in ("config.json", "frozen"):
        (place / "start" / name).symlink_to(workdir / name)
    (place / "start" / "checkpoints").symlink_to(workdir / "checkpoints")
    return place / "start", workdir


def within_its_checkpoints(workdir, place):
    return workdir, workdir / "checkpoints" / "new"


@pytest.mark.parametrize(
    "paths",
    [itself, by_another_path, link_to_it, through_a_link, with_its_checkpoints, within_its_checkpoints],
)
def test_a_run_does_not_start_from_what_it_deletes(paths, digits, trained, tmp_path):
    start, workdir = paths(trained, tmp_path)
    before = contents(trained)
    with pytest.raises(RunError, match=r"^--init_from: '.*' was given, but --workdir is .*; name another$"):
        finetune(digits, start, workdir)
    assert contents(trained) == before


def test_a_run_does_not_delete_its_own_data(digits, trained, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    shutil.copy(digits, workdir / "checkpoints" / "digits.npz")
    settings = Request(dataset=f"npz:{workdir}/checkpoints/digits.npz", batch_size=560, epochs=1)
    with pytest.raises(RunError, match=r"^--dataset: 'npz:.*' was given, but --workdir is "):
        run(resolve(settings), Execution(workdir=str(workdir), overwrite=True))
    assert contents(workdir).keys() >= {workdir / "checkpoints" / "digits.npz"}


def test_overwriting_removes_a_link_and_not_what_it_leads_to(trained, tmp_path):
    workdir, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(trained, workdir)
    (workdir / "checkpoints").rename(elsewhere)
    (workdir / "checkpoints").symlink_to(elsewhere)
    before = contents(elsewhere)
    settings, execution = resolve(Request(k=3)), Execution(workdir=str(workdir), overwrite=True)
    open_run(settings, execution, Inputs((28, 28, 1), "uint8", 10))[1].close()
    assert contents(elsewhere) == before
    assert not (workdir / "checkpoints").is_symlink()


@pytest.mark.parametrize("name", ["config.json", "summary.json", "checkpoints/ticket", "checkpoints/1/record/metadata"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_ticket_is_not_written_over_the_run(name, linked, trained, tmp_path):
    (tmp_path / "link").symlink_to(trained)
    before = contents(trained)
    with pytest.raises(ValueError, match=r"^--out: .* belongs to the run in .*; name another file$"):
        export.export(trained, (tmp_path / "link" if linked else trained) / name)
    assert contents(trained) == before
