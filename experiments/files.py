"""Files that are there whole or not at all, and that one process at a time has.

What is opened here to be written is a file of one's own: no symbolic link is followed, and no name can be foreseen.
"""

import contextlib
import errno
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_TEMPORARY = ".{name}.{token}.tmp"


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file that is there whole or not at all, whenever the process is killed.

    A link in its place is replaced, and not followed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_whole(Path(directory) / "a", "text")
    ...     [(path.name, path.read_text()) for path in Path(directory).iterdir()]
    [('a', 'text')]
    """
    with replaced_whole(path) as temporary, _open(temporary, os.O_WRONLY | os.O_EXCL, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        sync(file)


def write_figure(path: Path, figure: Any, **options: Any) -> None:
    """Writes a figure of matplotlib as PNG, as `write_whole` does.

    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_figure(Path(directory) / "a.png", Figure(), dpi=20)
    ...     (Path(directory) / "a.png").read_bytes()[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    write_whole(path, buffer.getvalue())


@contextlib.contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """The path of a file that does not exist; one that is written there takes the place of `path` at the end.

    Raises:
        FileExistsError: if there is something else than a file in its place, such as a device.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with replaced_whole(Path(directory) / "a") as temporary:
    ...         _ = temporary.write_text("text")
    ...     (Path(directory) / "a").read_text()
    'text'
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileExistsError(errno.EEXIST, "it is not a regular file", str(path))
    temporary = path.with_name(_TEMPORARY.format(name=path.name, token=secrets.token_hex(8)))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary(directory: Path, names: tuple[str, ...]) -> None:
    """Removes what a process that was killed left of files of these names; no other process may be writing them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     (Path(directory) / ".a.0123456789abcdef.tmp").touch()
    ...     remove_temporary(Path(directory), ("a",))
    ...     list(Path(directory).iterdir())
    []
    """
    for name in names:
        for path in directory.glob(_TEMPORARY.format(name=name, token="[0-9a-f]" * 16)):
            path.unlink()


def sync(file: IO[Any]) -> None:
    """Returns when what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def append_text(path: Path, text: str) -> None:
    """Appends to a file, made if missing.

    Raises:
        OSError: if there is a link in its place, among others.
    """
    with _open(path, os.O_WRONLY | os.O_APPEND, "ab") as file:
        file.write(text.encode())


def open_locked(path: Path, wait: bool = False) -> IO[bytes]:
    """The file, open, which no other process can lock until it is closed or this process ends.

    It stays as it is, and what is written is added to its end.

    Args:
        path: of the file, made if missing.
        wait: until no other process has it.

    Raises:
        BlockingIOError: if another process has it, unless told to wait.
        OSError: if there is something else than a file in its place, such as a link, among others.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, open_locked(Path(directory) / "lock"):
    ...     try:
    ...         open_locked(Path(directory) / "lock")
    ...     except BlockingIOError:
    ...         print("locked")
    locked
    """
    file = _open(path, os.O_RDWR | os.O_APPEND, "a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file


def _open(path: Path, flags: int, mode: str) -> IO[Any]:
    """A file of one's own, made if missing: no link is followed, and no pipe waited for."""
    if path.is_symlink():  # for the sentence; what matters is below
        raise FileExistsError(errno.EEXIST, "it is a symbolic link", str(path))
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "it is not a regular file", str(path))
    return os.fdopen(descriptor, mode)
