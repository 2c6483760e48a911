"""The ledger: one JSON line per finished run, in a file per machine, so that several merge without conflict."""

import hashlib
import json
import platform
from pathlib import Path
from typing import IO, Any

from experiments.files import open_locked, sync
from experiments.running.environment import processor

DIRECTORY = Path(__file__).parents[1] / "results" / "ledger"
LedgerLine = dict[str, Any]


def read(directory: Path = DIRECTORY) -> dict[str, LedgerLine]:
    """The lines of all machines by the key of their cell; of several for one cell, the one that was finished first.

    What a killed process left of a line is skipped; the next `append` on that machine removes it.

    Raises:
        ValueError: if a file is damaged.
    """
    lines = [line for path in sorted(directory.glob("*.jsonl")) for line in _lines(path)]
    return {line["key"]: line for line in sorted(lines, key=lambda line: line["finished"], reverse=True)}


def append(line: LedgerLine, directory: Path = DIRECTORY) -> bool:
    """Adds a line to this machine's file, whole or not at all, and returns whether it was not there already."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{machine()}.jsonl"
    with open_locked(path, wait=True) as file:
        _remove_unfinished(file)
        if line["key"] in read(directory):
            return False
        file.write(json.dumps(line).encode() + b"\n")
        sync(file)
    return True


def machine() -> str:
    """A short name of this machine, which tells nothing of it.

    The processor is part of it because copies of a virtual machine have one host name and one identifier.

    >>> len(machine())
    8
    """
    known = Path("/etc/machine-id")
    own = known.read_text().strip() if known.is_file() else ""
    return hashlib.sha256(f"{platform.node()} {own} {processor()}".encode()).hexdigest()[:8]


def _remove_unfinished(file: IO[bytes]) -> None:
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)


def _lines(path: Path) -> list[LedgerLine]:
    finished = path.read_text().rpartition("\n")[0]
    return [_parsed(text, path, number) for number, text in enumerate(finished.splitlines(), start=1)]


def _parsed(text: str, path: Path, number: int) -> LedgerLine:
    try:
        line = json.loads(text)
        line["key"], line["finished"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"--ledger: line {number} of {path} is damaged") from None
    return line
