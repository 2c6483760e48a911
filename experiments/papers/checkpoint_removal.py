"""Which checkpoints of finished runs are needed no more, and their removal: they are nearly all that a run leaves.

A run whose line is in the ledger needs its checkpoints only for finetunings that start from it and that the ledger
lacks. A finished run without checkpoints is still finished.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from experiments.papers import ledger
from experiments.papers.cells import finetunings_of
from experiments.papers.directories import Busy, Directories, locked
from experiments.papers.grid import Cell, key

REMOVED = ("checkpoints", "partial", "damaged")
_ASIDE = ".removed-"


def remove_unneeded_checkpoints(cell: Cell, directories: Directories) -> None:
    """Removes the checkpoints of a cell's run if it is finished, and nothing that the ledger lacks starts from it.

    A run that another process works on is left alone.
    """
    workdir = directories.workdir(cell)
    if not directories.is_finished(cell) or not any(_with_leftovers(workdir)):
        return
    lines = ledger.read_here(directories.ledger)
    if any(key(needed) not in lines for needed in (cell, *finetunings_of(cell))):
        return
    try:
        with locked(cell, directories):
            for path in _with_leftovers(workdir):
                remove_directory(path)
    except Busy:
        pass


def has_checkpoints(workdir: Path, epochs: Iterable[int] = ()) -> bool:
    """Whether a run has checkpoints, and among them those of certain epochs."""
    found = {int(path.name) for path in workdir.glob("checkpoints/*") if path.name.isdigit()}
    return bool(found) and found.issuperset(epochs)


def remove_directory(path: Path) -> None:
    """Removes a directory so that, whenever this process is killed, none stays that is there in part."""
    if path.is_symlink():  # what it leads to may be another's
        path.unlink()
        return
    aside = path if path.name.startswith(_ASIDE) else path.with_name(f"{_ASIDE}{path.name}")
    if aside != path:
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    shutil.rmtree(aside)


def _with_leftovers(workdir: Path) -> list[Path]:
    """The directories to remove, and those whose removal was interrupted."""
    names = [*(f"{_ASIDE}{name}" for name in REMOVED), *REMOVED]
    return [workdir / name for name in names if (workdir / name).is_dir()]
