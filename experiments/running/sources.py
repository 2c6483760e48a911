"""Whether what a program reads lies where it writes or deletes, also through symbolic links."""

import os
from pathlib import Path

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from experiments.running.workdir import DIRECTORIES, FILES


def check_sources(settings: Settings, execution: Execution) -> None:
    """Refuses a workdir that is the run to start from, or whose files a run starts from or reads.

    Raises:
        ValueError: in one sentence that names the flag.

    >>> from experiments.flags.resolve import Request, resolve
    >>> settings = resolve(Request(method="learned", init_from="runs/a@3"))
    >>> check_sources(settings, Execution(workdir="runs/b"))
    >>> check_sources(settings, Execution(workdir="runs/../runs/a"))
    Traceback (most recent call last):
    ValueError: --init_from: 'runs/a@3' was given, but --workdir is runs/../runs/a, where this run writes; name another
    """
    workdir = Path(str(execution.workdir))
    for flag, given, paths in _read_by(settings, execution):
        if any(_is_written(path, workdir) or _is_own(workdir, path) for path in paths):
            raise ValueError(
                f"--{flag}: {given!r} was given, but --workdir is {workdir}, where this run writes; name another"
            )


def check_out(out: Path, workdir: Path) -> None:
    """Refuses to write over what belongs to the run in a workdir.

    Raises:
        ValueError: in one sentence that names the flag.

    >>> check_out(Path("runs/a/ticket"), Path("runs/a"))
    >>> check_out(Path("runs/a/config.json"), Path("runs/a"))
    Traceback (most recent call last):
    ValueError: --out: runs/a/config.json belongs to the run in runs/a; name another file
    """
    if _is_own(out, workdir):
        raise ValueError(f"--out: {out} belongs to the run in {workdir}; name another file")


def _read_by(settings: Settings, execution: Execution) -> list[tuple[str, str, list[Path]]]:
    """Flags, what was given, and the paths that are read for them."""
    read = []
    if settings.init_from:
        start = Path(settings.init_from.partition("@")[0])
        read.append(("init_from", settings.init_from, [start, *(start / name for name in _NAMES)]))
    if settings.dataset.startswith("npz:"):
        read.append(("dataset", settings.dataset, [_expanded(settings.dataset.removeprefix("npz:"))]))
    elif execution.data_dir:
        read.append(("data_dir", execution.data_dir, [_expanded(execution.data_dir)]))
    return read


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 (which leaves what it does not know as it is)


_NAMES = (*FILES, *DIRECTORIES, ".lock")


def _is_written(path: Path, workdir: Path) -> bool:
    return path.resolve() == workdir.resolve() or _is_own(path, workdir)


def _is_own(path: Path, workdir: Path) -> bool:
    """Whether it is, or is in, one of the files and directories of a run; a link in its place is not followed."""
    place = path.parent.resolve() / path.name
    own = [workdir.resolve() / name for name in _NAMES]
    return any(one.is_relative_to(name) for one in (place, path.resolve()) for name in own)
