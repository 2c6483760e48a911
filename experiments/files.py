"""Files that are there whole or not at all, and that one process at a time has."""

import fcntl
import os
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all, whenever the process is killed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_whole(Path(directory) / "a", "text")
    ...     [(path.name, path.read_text()) for path in Path(directory).iterdir()]
    [('a', 'text')]
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        sync(file)
    temporary.replace(path)


def sync(file: IO[Any]) -> None:
    """Returns when what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def open_locked(path: Path, mode: str = "w", wait: bool = False) -> IO[Any]:
    """The file, open, which no other process can lock until it is closed or this process ends.

    Args:
        path: of the file, made if missing.
        mode: how it is opened, such that it can be written.
        wait: until no other process has it.

    Raises:
        BlockingIOError: if another process has it, unless told to wait.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, open_locked(Path(directory) / "lock"):
    ...     try:
    ...         open_locked(Path(directory) / "lock")
    ...     except BlockingIOError:
    ...         print("locked")
    locked
    """
    file: IO[Any] = path.open(mode)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file
