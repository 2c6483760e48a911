"""What is in a ticket, without making its weights."""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from slotjax.tickets.container import FORMAT
from slotjax.tickets.first import first_leaves
from slotjax.tickets.reader import Leaf, container, parse, read_bytes


class Part(NamedTuple):
    """One array of a ticket.

    Attributes:
        path: its collection and name, joined by `/`.
        dtype: of its values.
        shape: of the array.
        index_bytes: what its packed indices take; None if it is not selected.
        other_bytes: what is stored of its options, or the array itself.
        made_from: the number, kind and scale of its options, in words.
        has_own_options: whether each of its connections has stored options of its own.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    index_bytes: int | None
    other_bytes: int
    made_from: str
    has_own_options: bool


class Contents(NamedTuple):
    """What `describe_ticket` says.

    Attributes:
        size: of the file, in bytes.
        format: the version of the format.
        selector: the settings of the selector.
        metadata: what `save_ticket` was given.
        proof: the hash of what is frozen, if `save_ticket` was given one.
        parts: every array.
    """

    size: int
    format: int
    selector: dict[str, Any]
    metadata: dict[str, Any]
    proof: str | None
    parts: tuple[Part, ...]

    @property
    def advice(self) -> str | None:
        """What would make the ticket small, in a sentence; None if no connection has stored options of its own."""
        stored = sum(part.other_bytes for part in self.parts if part.has_own_options)
        return advice_on(stored, self.size) if stored else None


def advice_on(stored: int, size: int) -> str:
    """What would make a ticket of that size small, which has that many bytes of stored options."""
    return (
        f"Stored options take {stored:,} of its {size:,} bytes; with options='seeded', where its method and "
        "distribution have that, a seed of 8 bytes per weight would draw them again."
    )


def describe_ticket(path: str | Path) -> Contents:
    """What is in a ticket, whose checksum is checked, without making its weights.

    Args:
        path: a file that `save_ticket` wrote.

    Raises:
        ValueError: as `load_ticket`.
        OSError: for a file that cannot be read.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=8, distribution=slotjax.distributions.glorot_uniform())
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((30, 40))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables)
    ...     contents = slotjax.tickets.describe_ticket(f"{directory}/ticket")
    >>> print(contents.parts[0].made_from, "in", contents.parts[0].index_bytes, "bytes")
    8 options, uniform of scale 0.2928 in 450 bytes
    """
    with readable(path):
        size, content, leaves = opened(path)
        named = content["selector"], content["metadata"], content.get("proof")
        return Contents(size, content["format"], *named, tuple(_part(leaf) for leaf in leaves))


@contextlib.contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Names the file in what is raised about it, in one sentence."""
    try:
        yield
    except (ValueError, zlib.error) as error:
        raise ValueError(f"ticket: {path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"ticket: {path} cannot be read: its parts do not fit together ({error!r})") from error


def opened(path: str | Path) -> tuple[int, dict[str, Any], list[Leaf]]:
    """The size of a ticket of any format, its description, and its arrays, not yet made."""
    data = read_bytes(path)
    content, tensors, text = container(data)
    version = content.get("format")
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ValueError(f"its format is {version!r}, but this version of slotjax reads formats 1 to {FORMAT}")
    return (len(data), content, first_leaves(content, tensors, text)) if version == 1 else (len(data), *parse(data))


def _part(leaf: Leaf) -> Part:
    if not leaf.entry:
        return Part(leaf.path, leaf.dtype, leaf.shape, None, leaf.data.nbytes, "stored as it is", False)
    stored = 0 if leaf.options is None else leaf.options.nbytes
    return Part(leaf.path, leaf.dtype, leaf.shape, leaf.data.nbytes, stored, _made_from(leaf), _has_own_options(leaf))


def _made_from(leaf: Leaf) -> str:
    entry, noun = leaf.entry, "option" if leaf.entry["k"] == 1 else "options"
    kind = f"{entry['kind']} of scale {entry['scale']:.4g}" if leaf.options is None else _stored(leaf)
    marks = ["the first is 0"] if "zero" in entry else []
    marks += ["each a multiple of the second"] if "multiples" in entry else []
    marks += [f"{_frozen(entry['frozen']):.0%} frozen"] if "frozen" in entry else []
    marks += [f"times {entry['factor']:.4g}"] if "factor" in entry else []
    return ", ".join([f"{entry['k']} {noun}", kind, *marks])


def _frozen(share: dict[str, Any]) -> float:
    return (share["pruned"] + share["kept"]) / 2**32


def _stored(leaf: Leaf) -> str:
    return "stored" if _has_own_options(leaf) else "stored, of all connections"


def _has_own_options(leaf: Leaf) -> bool:
    return leaf.options is not None and leaf.options.ndim > 1
