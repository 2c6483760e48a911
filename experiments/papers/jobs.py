"""Several cells at once, each in a process that stays for the next one; `job.py` is what runs in there."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from experiments.output import OutputError
from experiments.papers.attempt import Outcome, failed
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell, key
from experiments.running.interruption import Interruption

PATIENCE = 10.0  # seconds until a cell is tried again that another process works on
_AWAKE = 0.5  # seconds from one look at whether to stop to the next
_MEMORY = 0.9  # of an accelerator, in all
_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_SAID = (_FRACTION, "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_ALLOCATOR")
_COMMAND = [sys.executable, "-m", "experiments.job"]
_STOPPED = (0, -signal.SIGTERM, -signal.SIGINT)  # how a process ends that was asked to stop


def shared_out(jobs: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a job: with its part of an accelerator's memory, unless the user said how to take it.

    >>> shared_out(3, {}), shared_out(3, {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})
    ({'XLA_PYTHON_CLIENT_MEM_FRACTION': '0.300'}, {'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'})
    """
    said = not environment.keys().isdisjoint(_SAID)
    return {**environment} if said else {**environment, _FRACTION: f"{_MEMORY / jobs:.3f}"}


class Job:
    """A process that trains one cell at a time; leaving the context waits for its end.

    Each line that it prints is printed whole, with its number before it.

    Attributes:
        number: from 1.
        connection: has something to read when there is an outcome, or never will be one.
    """

    def __init__(self, number: int, jobs: int, directories: Directories) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                [*_COMMAND, str(there.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=[there.fileno()],
                process_group=0,  # so that Ctrl+C reaches it by `stop` alone
                env=shared_out(jobs, os.environ),
            )
        self.number, self.connection = number, Connection(here.detach())
        self._error: OutputError | None = None
        streams = {self._process.stdout: sys.stdout, self._process.stderr: sys.stderr}
        self._readers = [threading.Thread(target=self._pass_on, args=pair, daemon=True) for pair in streams.items()]
        for reader in self._readers:
            reader.start()
        self._send(directories)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self._send(None)
        self.connection.close()
        self._process.wait()
        for reader in self._readers:
            reader.join()

    def give(self, cell: Cell) -> None:
        """Has it train a cell."""
        self._send(cell)

    def outcome(self) -> Outcome | int:
        """What became of the cell, or the exit code of the process if it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return self._process.wait()

    def check(self) -> None:
        """Raises the OutputError if what it printed could not be."""
        if self._error:
            raise self._error

    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Asks it to stop, with everything saved."""
        self._process.send_signal(signal.SIGTERM)

    def _send(self, item: Any) -> None:
        with contextlib.suppress(OSError):  # where it has ended, which `outcome` says
            self.connection.send(item)

    def _pass_on(self, stream: Any, target: Any) -> None:
        with stream:
            for line in stream:
                try:
                    tqdm.write(f"{self.number}: {line.rstrip()}", file=target)  # above the bar
                    target.flush()
                except OutputError as error:
                    self._error = error


def train_at_once(
    cells: list[Cell],
    directories: Directories,
    jobs: int,
    interruption: Interruption,
    start: Callable[[int, int, Directories], Any] = Job,
) -> dict[str, str]:
    """Trains so many cells at once; returns what went wrong, by key.

    A process that ends by itself is named, and another one takes its place. Cells that others work on are tried again.
    """
    with tqdm(total=len(cells), unit="run", file=sys.stderr, disable=None) as bar, contextlib.ExitStack() as opened:

        def started(place: int) -> Any:
            return opened.enter_context(start(place + 1, jobs, directories))

        work = _Work(cells, directories, interruption, [None] * min(jobs, len(cells)), started)
        while work.goes_on():
            work.begin()
            bar.update(work.end())
    return work.failures


class _Work:
    """The cells that are left, each with the time before which it is not to be tried, and the jobs by their places."""

    def __init__(
        self,
        cells: list[Cell],
        directories: Directories,
        interruption: Interruption,
        jobs: list[Any],
        start: Callable[[int], Any],
    ) -> None:
        self._directories, self._interruption, self._jobs, self._start = directories, interruption, jobs, start
        self._waiting = [(0.0, cell) for cell in cells]
        self._working: dict[Any, tuple[int, Cell]] = {}
        self._asked = False
        self.failures: dict[str, str] = {}

    def goes_on(self) -> bool:
        """Whether there is anything left to do or to wait for. Once it was asked to stop, the jobs are asked too."""
        for job in filter(None, self._jobs):
            job.check()
            if self._interruption and not self._asked:
                job.stop()
        self._asked = bool(self._interruption)
        return bool(self._working or (self._waiting and not self._interruption))

    def begin(self) -> None:
        """Gives a cell to every job that has none."""
        at_work = {place for place, _ in self._working.values()}
        for place in (place for place in range(len(self._jobs)) if place not in at_work):
            due = next((one for one in self._waiting if one[0] <= time.monotonic()), None)
            if due is None or self._interruption:
                return
            self._waiting.remove(due)
            if self._jobs[place] is None or not self._jobs[place].is_alive():
                self._jobs[place] = self._start(place)
            self._working[self._jobs[place].connection] = place, due[1]
            self._jobs[place].give(due[1])

    def end(self) -> int:
        """Waits a little, and returns how many cells were done with."""
        ready = wait([*self._working], _AWAKE)
        return sum(self._ended(*self._working.pop(connection)) for connection in ready)

    def _ended(self, place: int, cell: Cell) -> bool:
        outcome = self._judged(self._jobs[place].outcome(), cell)
        if outcome.busy:
            self._waiting.append((time.monotonic() + PATIENCE, cell))
        if outcome.failure:
            self.failures[key(cell)] = outcome.failure
        return not outcome.busy

    def _judged(self, outcome: Outcome | int, cell: Cell) -> Outcome:
        """Of a cell whose process has ended, or was stopped by somebody else, a failure."""
        stopped = outcome.stopped if isinstance(outcome, Outcome) else outcome in _STOPPED
        if stopped and self._interruption:
            return Outcome(stopped=True)
        if stopped and isinstance(outcome, Outcome):
            return failed(cell, self._directories, "its process was asked to stop")
        if isinstance(outcome, Outcome):
            return outcome
        return failed(cell, self._directories, f"its process ended with code {outcome}")
