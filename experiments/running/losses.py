"""What a run had, and has no longer: its directory, or its checkpoints."""

from collections.abc import Callable
from pathlib import Path

from experiments.running.failure import RunError
from experiments.running.records import Record
from experiments.schema import read_json


def check_there(workdir: Path) -> None:
    """Raises RunError if the directory of a run that trains was removed, before anything makes half of it anew.

    >>> try:
    ...     check_there(Path("runs/removed"))
    ... except RunError as error:
    ...     print(str(error).partition(";")[0])
    --workdir: runs/removed was removed while the run trained
    """
    if not (workdir / "config.json").is_file():
        raise RunError(
            f"--workdir: {workdir} was removed while the run trained; remove what is left of it to start again with "
            "the same command, or name another"
        )


def check_checkpoints_left(workdir: Path, is_scheduled: Callable[[int], bool]) -> None:
    """Says that a run without any checkpoint starts again, and refuses to if it had some, as its metrics tell.

    Raises:
        RunError: if it had.

    >>> check_checkpoints_left(Path("runs/new"), lambda epoch: True)
    """
    epochs = _epochs(workdir / "metrics.jsonl")
    # The last of them may not have been saved yet, as nobody waits for the latest save.
    if sum(map(is_scheduled, range(1, epochs))) >= 2:
        raise RunError(
            f"--workdir: all checkpoints of the {epochs} epochs in {workdir} were removed; name another, or give "
            "--overwrite to start again"
        )
    if epochs:
        print(f"Nothing was saved of {workdir} before it ended in epoch {epochs + 1}; starting again.", flush=True)


def _epochs(path: Path) -> int:
    """The last epoch of which there is a line; one that was cut off, as all that is damaged, tells nothing."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return max(filter(None, map(_epoch, lines)), default=0)


def _epoch(line: bytes) -> int | None:
    try:
        return read_json(line.decode(), Record)["epoch"]
    except ValueError:
        return None
