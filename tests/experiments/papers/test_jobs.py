"""Several cells at once: each is given to one job, and whatever becomes of a job, the others go on."""

import itertools
import signal
import sys
import time
from collections import Counter
from multiprocessing import Pipe
from pathlib import Path

import pytest

from experiments.output import OutputError
from experiments.papers import job as job_module
from experiments.papers import jobs as module
from experiments.papers.attempt import Outcome
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell, key
from experiments.papers.jobs import Job, shared_out, train_at_once
from experiments.papers.slot_machines import greedy
from tests.patience import PATIENCE

CELLS = [Cell(greedy("lenet"), seed) for seed in range(5)]
PLACES = Directories(Path("runs"), Path("ledger"), None)
# Reads the places and a cell, prints, answers with the cell, and dies of the next one.
SCRIPT = """
import os, sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
connection.recv_bytes(), print(os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION"), "of it")
connection.send_bytes(connection.recv_bytes())
sys.stdout.write("a bar\\rthat moves\\n"), sys.stderr.write("error: no line's end")
connection.recv_bytes(), os._exit(7)
"""


class Pretended:
    """A job that does at once what it is told to do with a cell: to answer, or with a number, to end."""

    def __init__(self, number, log, script):
        self.number, self.log, self._script = number, log, script
        self.connection, self._there = Pipe()
        self._code = None
        log.append(("start", number))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.log.append(("end", self.number))

    def give(self, cell):
        self.log.append(("give", cell))
        found = self._script(cell)
        if isinstance(found, int):
            self._code = found
            self._there.close()
        else:
            self._there.send(found)

    def outcome(self):
        self.log.append(("outcome", self.number))
        return self.connection.recv() if self._code is None else self._code

    def is_alive(self):
        return self._code is None

    def check(self):
        pass

    def stop(self):
        self.log.append(("stop", self.number))


class Asked:
    """An interruption that can be set."""

    def __init__(self):
        self.now = False

    def __bool__(self):
        return self.now


def run(script, jobs=2, cells=CELLS, asked=False):
    log = []
    failures = train_at_once(cells, PLACES, jobs, asked, lambda number, *_: Pretended(number, log, script))
    starts, ends = ([number for what, number in log if what == name] for name in ("start", "end"))
    assert sorted(starts) == sorted(ends)
    return failures, log


def of(log, name):
    return [value for what, value in log if what == name]


def test_each_cell_is_given_to_one_job_and_so_many_are_at_work():
    failures, log = run(lambda cell: Outcome(), jobs=3)
    assert failures == {}
    assert Counter(of(log, "give")) == Counter(CELLS)
    assert of(log, "start") == [1, 2, 3]
    changes = [{"give": 1, "outcome": -1}.get(what, 0) for what, _ in log]
    assert max(itertools.accumulate(changes)) == 3


def test_there_are_no_more_jobs_than_cells():
    assert of(run(lambda cell: Outcome(), jobs=9, cells=CELLS[:2])[1], "start") == [1, 2]
    assert run(lambda cell: Outcome(), cells=[]) == ({}, [])


def test_a_cell_in_other_hands_is_tried_again(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    times = Counter()

    def script(cell):
        times[cell] += 1
        return Outcome(busy=cell == CELLS[0] and times[cell] < 4)

    assert run(script)[0] == {}
    assert times == {cell: 4 if cell == CELLS[0] else 1 for cell in CELLS}


def test_what_fails_is_told_and_the_others_go_on():
    failures, log = run(lambda cell: Outcome(failure="why" if cell.seed == 1 else None))
    assert failures == {key(CELLS[1]): "why"}
    assert len(of(log, "give")) == len(CELLS)


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGTERM, 1])
def test_a_job_that_ends_is_named_and_replaced(code, capsys):
    failures, log = run(lambda cell: code if cell.seed == 1 else Outcome())
    (failure,) = failures.values()
    assert failure.startswith("lenet on mnist, greedy slot machine, K = 8, seed 1 (")
    assert failure.endswith(f"): its process ended with code {code}")
    assert capsys.readouterr().err == f"error: {failure}\n"
    assert Counter(of(log, "give")) == Counter(CELLS)
    assert sorted(of(log, "start")) == [1, 2, 2]


def test_once_it_is_asked_to_stop_no_other_cell_begins():
    asked = Asked()

    def script(cell):
        asked.now = cell.seed == 1
        return -signal.SIGTERM if cell.seed == 1 else Outcome(stopped=True)

    failures, log = run(script, asked=asked)
    assert failures == {}
    assert of(log, "give") == CELLS[:2]


def test_jobs_at_work_are_asked_to_stop_once():
    asked, jobs = Asked(), []

    class Slow(Pretended):
        def give(self, cell):
            self.log.append(("give", cell))
            asked.now = len(of(self.log, "give")) == 2

        def stop(self):
            super().stop()
            self._there.send(Outcome(stopped=True))

    failures = train_at_once(CELLS, PLACES, 2, asked, lambda number, *_: Slow(number, jobs, None))
    assert failures == {}
    assert of(jobs, "stop") == [1, 2]
    assert of(jobs, "give") == CELLS[:2]


def test_a_job_that_somebody_else_stops_is_a_failure():
    failures, _ = run(lambda cell: Outcome(stopped=cell.seed == 2))
    assert [failure.partition("): ")[2] for failure in failures.values()] == ["its process was asked to stop"]


@pytest.mark.parametrize("name", ["XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION"])
def test_memory_is_shared_out_unless_the_user_said_how(name):
    assert shared_out(4, {"A": "b"}) == {"A": "b", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.225"}
    assert shared_out(4, {name: "0.5"}) == {name: "0.5"}


def test_a_process_has_its_lines_printed_whole_and_its_end_seen(monkeypatch, capsys):
    monkeypatch.setattr(module, "_COMMAND", [sys.executable, "-c", SCRIPT])
    for name in ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.delenv(name, raising=False)
    with Job(3, 2, PLACES) as job:
        job.give(CELLS[0])
        assert job.outcome() == CELLS[0]
        assert job.is_alive()
        job.give(CELLS[1])
        assert job.outcome() == 7
        assert not job.is_alive()
        job.give(CELLS[2])
        assert job.outcome() == 7
    output, errors = capsys.readouterr()
    assert output.splitlines() == ["3: 0.450 of it", "3: a bar", "3: that moves"]
    assert errors == "3: error: no line's end\n"


def test_output_that_cannot_be_written_stops_it():
    class Full(Pretended):
        def check(self):
            raise OutputError("full")

    log = []
    with pytest.raises(OutputError):
        train_at_once(CELLS, PLACES, 2, False, lambda number, *_: Full(number, log, lambda cell: Outcome()))
    assert of(log, "end")


def served(monkeypatch, attempt, *given):
    """The two ends of a process that is given these, and what it does with them."""
    here, there = Pipe()
    for one in given:
        there.send(one)
    monkeypatch.setattr(job_module, "attempt", attempt)
    return here, there


def test_a_process_answers_each_cell_until_there_are_no_more(monkeypatch):
    here, there = served(monkeypatch, lambda cell, *_: Outcome(failure=str(cell.seed)), *CELLS[:2], None)
    job_module.serve(here, PLACES)
    assert [there.recv().failure for _ in range(2)] == ["0", "1"]
    assert not there.poll()


def test_a_process_is_asked_to_stop_where_nobody_waits_for_it_any_more(monkeypatch):
    asked = []

    def attempt(cell, directories, interruption, load):
        there.close()
        end = time.monotonic() + PATIENCE
        while not interruption and time.monotonic() < end:
            time.sleep(0.01)
        asked.append(bool(interruption))
        return Outcome(stopped=True)

    here, there = served(monkeypatch, attempt, CELLS[0])
    job_module.serve(here, PLACES)
    assert asked == [True]
