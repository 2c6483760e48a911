"""Being asked to stop: SIGTERM, as from a scheduler that needs the machine, and SIGINT, as from Ctrl+C."""

import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Whether this process was asked to stop; a context manager that listens. A second SIGINT ends the process at once.

    Signals are received by a thread, because Python's own handlers wait for the end of a compiled call.
    """

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        received, self._there = socket.socketpair()
        self._there.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._there.fileno())
        self._handlers = {number: signal.signal(number, _nothing) for number in SIGNALS}
        threading.Thread(target=self._listen, args=(received,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._there.close()

    def _listen(self, received: socket.socket) -> None:
        with received:
            while number := received.recv(1):
                self._receive(number[0])

    def _receive(self, number: int) -> None:
        if self._asked and number == signal.SIGINT:
            os._exit(128 + number)
        if number in SIGNALS and not self._asked:
            self._asked = True
            name = signal.Signals(number).name
            with contextlib.suppress(OSError):  # where nothing can be printed, it stops all the same
                print(f"{name}: stopping when the running call is done.", file=sys.stderr, flush=True)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Keeps the signal's default action from happening; `Interruption` receives it."""
