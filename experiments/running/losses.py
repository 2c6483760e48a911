"""What a run had, and has no longer: its directory, or its checkpoints."""

from collections.abc import Callable
from pathlib import Path

from experiments.running.failure import RunError
from experiments.running.workdir import read_lines


def check_there(workdir: Path) -> None:
    """Raises RunError if the directory of a run that trains was removed, before anything makes half of it anew.

    >>> check_there(Path("runs/removed"))
    Traceback (most recent call last):
    experiments.running.failure.RunError: --workdir: runs/removed was removed while the run trained; remove what is left
    of it to start again with the same command, or name another
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
    try:
        return max((record["epoch"] for record in read_lines(path)), default=0)
    # A file that is missing or damaged tells nothing, and is written anew.
    except (OSError, ValueError, TypeError, KeyError):
        return 0
