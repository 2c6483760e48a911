"""What a program prints, and that it cannot be written, told apart from all else that cannot be."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class OutputError(Exception):
    """What is printed cannot be written, in one sentence for the user."""


class Output:
    """A stream whose errors are OutputErrors; after the first it takes what comes and drops it.

    >>> read, write = os.pipe()
    >>> os.close(read)
    >>> output = Output(open(write, "w"))
    >>> _ = output.write("text")
    >>> try:
    ...     output.flush()
    ... except OutputError as error:
    ...     print(error)
    what is printed cannot be written (Broken pipe)
    >>> output.close()
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text."""
        with self._errors():
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Returns when what was written is where it belongs."""
        with self._errors():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Or the rest, which is still to be written, would fail once more when the program ends.
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self._stream.fileno())
            raise OutputError(f"what is printed cannot be written ({error.strerror})") from error


def name_errors_of_output() -> None:
    """Has whatever is printed from now on raise OutputError where it cannot be written."""
    if not isinstance(sys.stdout, Output):
        sys.stdout = Output(sys.stdout)
