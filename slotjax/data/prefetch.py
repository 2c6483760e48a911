"""Batches placed on devices before they are needed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

B = TypeVar("B")
P = TypeVar("P")


def prefetch(batches: Iterable[B], place: Callable[[B], P], size: int = 2) -> Iterator[P]:
    """The placed batches in order, `size` of them placed ahead of the one that is used.

    Args:
        batches: what is to be placed; it is closed when the outcome is, if it can be.
        place: puts a batch on its devices, as `jax.device_put` does, without waiting for the transfer.
        size: how many batches are placed ahead; 0 places each when it is asked for.

    Yields:
        What `place` returns, one for each batch.

    Raises:
        ValueError: if `size` is negative.

    >>> list(slotjax.data.prefetch(range(4), lambda batch: batch + 10))
    [10, 11, 12, 13]
    """
    if size < 0:
        raise ValueError(f"size: {size} was given, but it must be 0 or more")
    return _placed(batches, place, size)


def _placed(batches: Iterable[B], place: Callable[[B], P], size: int) -> Iterator[P]:
    source = iter(batches)
    try:
        ahead = deque(map(place, islice(source, size)))
        for batch in source:
            ahead.append(place(batch))
            yield ahead.popleft()
        yield from ahead
    finally:
        if isinstance(batches, Iterator) and hasattr(batches, "close"):
            batches.close()
