"""What is in a ticket: its network, and a line per weight, without loading weights.

    python -m experiments.inspect NETWORK.ticket

A second, most of which is starting.
"""

import json
import sys
from math import prod
from pathlib import Path

from experiments.program import one_sentence, prepare, start
from slotjax.tickets import Contents, Part, describe_ticket


def lines(path: Path) -> list[str]:
    """What is printed of a ticket.

    Raises:
        ValueError: if it cannot be read.
        OSError: if it is not there.
    """
    contents = describe_ticket(path)
    head = [f"{path}: {contents.size:,} bytes, format {contents.format}; its checksum matches", *_facts(contents)]
    rows = [(_shown(part.path), _values(part), part.made_from, _sizes(part)) for part in contents.parts]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [*head, "", *table, *([] if contents.advice is None else ["", contents.advice])]


def _facts(contents: Contents) -> list[str]:
    named = {"selector": contents.selector, **contents.metadata}
    named |= {} if contents.proof is None else {"proof": contents.proof}
    return [f"{_shown(name)}: {json.dumps(value)}" for name, value in named.items()]


def _shown(name: str) -> str:
    """A name as JSON has it, because a ticket comes from anywhere, and a terminal obeys some characters."""
    return json.dumps(name)[1:-1]


def _values(part: Part) -> str:
    return f"{'x'.join(map(str, part.shape)) or 'scalar'} {_shown(part.dtype)}"


def _sizes(part: Part) -> str:
    if part.index_bytes is None:
        return f"{part.other_bytes:,} bytes"
    bits = 8 * part.index_bytes / max(1, prod(part.shape))
    options = f" and {part.other_bytes:,} of options" if part.other_bytes else ""
    return f"{part.index_bytes:,} bytes{options}, {bits:.2f} bits per connection"


def main(arguments: list[str]) -> None:
    """Prints what is in the ticket that the command line names."""
    prepare(arguments[:1])
    with one_sentence(ValueError, OSError):
        if len(arguments) != 2:
            raise ValueError("give one ticket: python -m experiments.inspect NETWORK.ticket")
        sys.stdout.write("".join(f"{line}\n" for line in lines(Path(arguments[1]))))


if __name__ == "__main__":
    start(main)
