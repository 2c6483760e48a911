"""The directory of a run: which settings it belongs to, and its files.

`config.json` is written first and says what the run is; `summary.json` is written last and says that it is finished.
"""

import contextlib
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import IO, Any

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from experiments.files import append_text, open_locked, remove_temporary, write_whole
from experiments.flags.concerns import inert
from experiments.running.components import Inputs
from experiments.running.environment import environment
from experiments.running.records import Config, Summary, read, settings_in

FILES = ("config.json", "metrics.jsonl", "curves.png", "summary.json")
DIRECTORIES = ("checkpoints", "partial", "damaged", "frozen", "tensorboard", "profile")


def find_run(settings: Settings, execution: Execution) -> dict[str, Any] | None:
    """The summary of the run in the workdir if it is finished, else None. Changes nothing.

    Raises:
        ValueError: if the workdir belongs to a run with other settings, or to something that is not a run.
    """
    workdir = Path(str(execution.workdir))
    if not workdir.exists():
        return None
    _check(settings, workdir, execution.overwrite)
    return None if execution.overwrite else _summary(workdir / "summary.json")


def open_run(settings: Settings, execution: Execution, inputs: Inputs) -> tuple[Path, IO[bytes]]:
    """The workdir, made if missing and with its `config.json`; with `overwrite`, without anything of an earlier run.

    With it comes its lock, an open file: no other process can open the run until it is closed or this process ends.

    Raises:
        ValueError: if the directory holds no run or, unless `overwrite` is given, one of other settings, if it cannot
            be written, or if another process has it open.
    """
    workdir = Path(str(execution.workdir))
    config = {
        "settings": dataclasses.asdict(settings),
        "execution": dataclasses.asdict(execution),
        "inputs": inputs._asdict(),
        **environment(),
    }
    with contextlib.ExitStack() as stack:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            _check(settings, workdir, execution.overwrite)  # before anything is written into it
            lock = stack.enter_context(_lock(workdir))
            _check(settings, workdir, execution.overwrite)  # which another process may have changed meanwhile
            if execution.overwrite:
                _delete_run(workdir)
            remove_temporary(workdir, FILES)
            if not (workdir / "config.json").exists():
                write_json(workdir / "config.json", config)
        except OSError as error:
            place = error.filename or workdir
            raise ValueError(f"--workdir: {place} cannot be written ({error.strerror})") from error
        stack.pop_all()
    return workdir, lock


def read_config(workdir: Path) -> dict[str, Any]:
    """The content of `config.json`.

    Raises:
        ValueError: if the directory holds no run.
    """
    if not (workdir / "config.json").is_file():
        raise ValueError(f"--workdir: {workdir} holds no run (no config.json)")
    return _read_config(workdir / "config.json")


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file that is there whole or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes a JSON-lines file that is there whole or not at all."""
    write_whole(path, "".join(json.dumps(record) + "\n" for record in records))


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Appends one line to a JSON-lines file."""
    append_text(path, json.dumps(record) + "\n")


def _lock(workdir: Path) -> IO[bytes]:
    try:
        return open_locked(workdir / ".lock")
    except BlockingIOError:
        raise ValueError(f"--workdir: another process is training in {workdir}") from None


def _summary(path: Path) -> dict[str, Any] | None:
    """The summary, which is made again from the checkpoints if it is damaged."""
    try:
        return read(path, Summary) if path.is_file() else None
    except ValueError as error:
        print(f"{error}; it is made again.", file=sys.stderr, flush=True)
        return None


def _read_config(path: Path) -> Any:
    try:
        return read(path, Config)
    except ValueError as error:
        raise ValueError(f"{error}; name another --workdir") from None


def _is_run(config: Path) -> bool:
    try:
        return "slotjax" in read(config, Any)["versions"]
    except (ValueError, OSError, TypeError, KeyError):
        return False


def _contents(workdir: Path) -> list[str]:
    if not workdir.is_dir():
        raise ValueError(f"--workdir: {workdir} is not a directory")
    return [path.name for path in workdir.iterdir() if not path.name.startswith(".")]


def _check_same(settings: Settings, config: Any, workdir: Path) -> None:
    there = settings_in(config, workdir / "config.json")
    given, stored = (json.loads(json.dumps(dataclasses.asdict(one))) for one in (settings, there))
    names = sorted(name for name in given.keys() - inert(settings).keys() if given[name] != stored[name])
    if names:
        changes = ", ".join(f"--{name}={stored[name]} there and {given[name]} here" for name in names)
        raise ValueError(
            f"--workdir: {workdir} holds a run with other settings ({changes}); "
            "name another --workdir, or give --overwrite"
        )


def _check(settings: Settings, workdir: Path, overwrite: bool) -> None:
    config = workdir / "config.json"
    if not _contents(workdir):
        return
    if not overwrite and not config.is_file():
        raise ValueError(f"--workdir: {workdir} is not empty and holds no run (no config.json); name another")
    if not overwrite:
        _check_same(settings, _read_config(config), workdir)
    elif not _is_run(config):
        raise ValueError(f"--overwrite: {workdir} is not empty and holds no run, so it is left alone; name another")


def _delete_run(workdir: Path) -> None:
    # summary.json goes first, or what is left could pass for a finished run.
    (workdir / "summary.json").unlink(missing_ok=True)
    for name in DIRECTORIES:
        remove_directory(workdir / name)
    # config.json goes last: without it, an interrupted deletion could not be taken up again.
    for name in reversed(FILES):
        (workdir / name).unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Removes a directory; of a link in its place the link alone, because what it leads to may be another run's."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
