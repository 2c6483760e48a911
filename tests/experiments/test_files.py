"""What is written is written into files of one's own, and nowhere else."""

import os

import pytest

import slotjax
from experiments import export, report
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.files import append_text, open_locked, write_whole
from experiments.flags.resolve import resolve
from experiments.papers.checkpoint_removal import remove_directory
from experiments.running.components import Inputs
from experiments.running.logs import Logs
from experiments.running.trained import Trained
from experiments.running.workdir import open_run
from tests import paper
from tests.slotjax.tickets.trained_variables import trained as trained_variables

INPUTS = Inputs((28, 28, 1), "uint8", 10)
MINE = "what somebody else keeps"


@pytest.fixture
def elsewhere(tmp_path):
    """A file of somebody else, which nothing here is to change."""
    path = tmp_path / "elsewhere"
    path.write_text(MINE)
    yield path
    assert path.read_text() == MINE


def open_new(workdir, **others):
    return open_run(resolve(Request()), Execution(workdir=str(workdir), **others), INPUTS)[1]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path, elsewhere):
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / ".lock").symlink_to(elsewhere)
    with pytest.raises(ValueError, match=r"^--workdir: .*\.lock cannot be written \(it is a symbolic link\)$"):
        open_new(workdir)
    assert names(workdir) == [".lock"]


def test_a_lock_that_is_no_ordinary_file_is_refused_at_once(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    os.mkfifo(workdir / ".lock")
    with pytest.raises(ValueError, match=r"^--workdir: .*\.lock cannot be written \(it is not a regular file\)$"):
        open_new(workdir)


def test_a_lock_keeps_its_content(tmp_path):
    (tmp_path / ".lock").write_text(MINE)
    open_new(tmp_path).close()
    assert (tmp_path / ".lock").read_text() == MINE


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_written_into_a_directory_that_is_no_runs(overwrite, tmp_path):
    (tmp_path / "thesis.tex").write_text(MINE)
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        open_new(tmp_path, overwrite=overwrite)
    assert names(tmp_path) == ["thesis.tex"]


def test_a_run_that_another_process_made_meanwhile_is_not_taken_for_ones_own(tmp_path):
    open_run(resolve(Request(k=3)), Execution(workdir=str(tmp_path)), INPUTS)[1].close()
    with pytest.raises(ValueError, match=r"holds a run with other settings .*--k=3 there and 8 here"):
        open_new(tmp_path)


def test_no_link_that_could_be_foreseen_is_written_through(tmp_path, elsewhere):
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / f".{name}.tmp").symlink_to(elsewhere)
    open_new(tmp_path / "run").close()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(elsewhere)
    with Logs(tmp_path / "run", []) as logs:
        logs.write({"epoch": 1})
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"epoch": 1}\n'


def test_links_in_place_of_directories_are_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis.tex").write_text(MINE)
    for name in ("tensorboard", "checkpoints"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with Logs(tmp_path, []) as logs:
        logs.write({"epoch": 1})
    remove_directory(tmp_path / "checkpoints")
    assert names(tmp_path / "elsewhere") == ["thesis.tex"]
    assert names(tmp_path) == ["elsewhere", "metrics.jsonl", "tensorboard"]


def test_a_link_in_place_of_a_file_is_replaced_or_refused(tmp_path, elsewhere):
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(elsewhere)
    write_whole(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    assert not (tmp_path / "a").is_symlink()
    for call in (open_locked, lambda path: append_text(path, "text")):
        with pytest.raises(OSError, match="it is a symbolic link"):
            call(tmp_path / "b")


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")  # as /dev/stdout is
    for name in ("link", "pipe"):
        with pytest.raises(FileExistsError, match="it is not a regular file"):
            write_whole(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["link", "pipe"]


def test_the_report_is_not_written_through_a_link(tmp_path, elsewhere):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.md").symlink_to(elsewhere)
    report.report([], {}, tmp_path / "out")
    assert not (tmp_path / "out" / "report.md").is_symlink()


def test_a_ticket_is_not_written_through_a_link(tmp_path, elsewhere, monkeypatch):
    selector = paper.slot_machine(k=2)
    history = [{"test": {"accuracy": 0.5}}]
    run = Trained(resolve(Request()), INPUTS, selector, trained_variables(selector), {}, history)
    monkeypatch.setattr(export, "load_trained", lambda workdir, epoch: run)
    (tmp_path / ".a.ticket.tmp").symlink_to(elsewhere)
    (tmp_path / "a.ticket").symlink_to(elsewhere)
    export.export(tmp_path / "run", tmp_path / "a.ticket")
    assert slotjax.load_ticket(tmp_path / "a.ticket").metadata["epoch"] == 0
    assert names(tmp_path) == [".a.ticket.tmp", "a.ticket", "elsewhere"]


def test_what_a_killed_process_left_of_a_file_is_removed(tmp_path):
    (tmp_path / ".config.json.0123456789abcdef.tmp").write_text("{")
    (tmp_path / ".config.json.swp").write_text(MINE)
    open_new(tmp_path).close()
    assert names(tmp_path) == [".config.json.swp", ".lock", "config.json"]
