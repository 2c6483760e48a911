"""Writes a ticket for machines that parse neither JSON nor zlib, as FORMAT.md has it in section 10.

python reader.py --flat NETWORK.ticket NETWORK.flat    what decoder.c reads
python reader.py --quantiles quantiles.h               the table that decoder.c includes
"""

import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING or __package__:
    from slotjax.tickets.reader import FLOATS, STEPS, Leaf, parse, quantiles, read_bytes
else:  # beside a copy of reader.py
    from reader import FLOATS, STEPS, Leaf, parse, quantiles, read_bytes


def flat(leaves: Sequence[Leaf]) -> Iterator[bytes]:
    """The parts of the flat file: a head, and of each array numbers, sizes, path, indices or values, and options."""
    yield struct.pack("<8sII", b"SLOTFLAT", 1, len(leaves))
    for leaf in map(_plain, leaves):
        entry, data = leaf.entry, leaf.packed() if leaf.entry else leaf.data.tobytes()
        options = np.zeros(0, np.uint8) if leaf.options is None else leaf.options
        kind = 4 if not entry else (0, 1, 2, 5, 6, 7)[list(STEPS).index(entry["kind"])] if leaf.options is None else 3
        dtype, item = [*FLOATS, leaf.dtype].index(leaf.dtype), (options if entry else leaf.data).itemsize
        marks, seed = (kind, dtype, item, ("zero" in entry) + ("multiples" in entry)), entry.get("seed", (0, 0))
        sizes = len(leaf.path.encode()), len(leaf.shape), len(data), options.nbytes
        numbers = entry.get("k", 0), *seed, entry.get("scale", 0.0), entry.get("factor", 1.0)
        yield struct.pack(f"<IIQQ4BIIIdd{len(leaf.shape)}Q", *sizes, *marks, *numbers, *leaf.shape)
        yield from (leaf.path.encode(), data, options.tobytes())


def _plain(leaf: Leaf) -> Leaf:
    """With its values in place of indices, where a share of its connections is frozen."""
    return leaf._replace(entry={}, data=leaf.values(), options=None) if "frozen" in leaf.entry else leaf


def main(arguments: list[str]) -> None:
    """Does what the top of this file says."""
    if len(arguments) != {"--flat": 3, "--quantiles": 2}.get("".join(arguments[:1])):
        sys.exit(__doc__)
    if arguments[0] == "--quantiles":
        text = f"static const int32_t quantiles[4096] = {{{', '.join(map(str, quantiles()))}}};\n"
        Path(arguments[1]).write_text(text)
        return
    try:
        Path(arguments[2]).write_bytes(b"".join(flat(parse(read_bytes(arguments[1]))[1])))
    except (OSError, ValueError, zlib.error) as error:
        sys.exit(f"error: {error}")
