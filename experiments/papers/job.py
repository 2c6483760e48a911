"""What runs in a process of `jobs.py`: it trains the cells that it is given, until there are no more."""

import contextlib
import functools
import os
import queue
import signal
import threading
from multiprocessing.connection import Connection

from experiments.papers.attempt import DATASETS, attempt
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell
from experiments.running.interruption import Interruption
from slotjax import data


def serve(connection: Connection, directories: Directories) -> None:
    """Answers every cell with what became of it. Where whoever gives them is gone, it stops as after SIGTERM."""
    cells: queue.SimpleQueue[Cell | None] = queue.SimpleQueue()
    load = functools.lru_cache(DATASETS)(data.load)
    with Interruption() as interruption:
        threading.Thread(target=_receive, args=(connection, cells), daemon=True).start()
        while (cell := cells.get()) is not None and not interruption:
            outcome = attempt(cell, directories, interruption, load)
            with contextlib.suppress(OSError):  # where nobody waits for it any more
                connection.send(outcome)


def _receive(connection: Connection, cells: "queue.SimpleQueue[Cell | None]") -> None:
    try:
        while (cell := connection.recv()) is not None:
            cells.put(cell)
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
    cells.put(None)
