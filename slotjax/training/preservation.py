"""Which checkpoints are kept: a function of what there is, so that it is the same after any number of restarts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

LATEST = 2


def preserved(
    epochs: Collection[int],
    accuracies: Mapping[int, float | None],
    chosen: Collection[int] = (),
    best: int = 1,
    is_scheduled: Callable[[int], bool] = lambda epoch: True,
) -> set[int]:
    """Those of the epochs whose checkpoints are kept: the latest 2, the best, and chosen ones.

    Args:
        epochs: of which there are checkpoints.
        accuracies: by which they are ranked, of equal ones the first; None of one that cannot be read, which is kept.
        chosen: epochs that are kept in any case.
        best: how many of the best are kept.
        is_scheduled: whether a run that nothing interrupts has a checkpoint of an epoch. Any other is neither counted
            among the latest nor among the best, and kept while it is the newest.

    >>> sorted(preserved([1, 2, 3, 4], {1: 0.5, 2: 0.9, 3: 0.9, 4: 0.7}))
    [2, 3, 4]
    >>> sorted(preserved([10, 20, 23], {10: 0.5, 20: 0.9, 23: 0.7}, is_scheduled=lambda epoch: epoch % 10 == 0))
    [10, 20, 23]
    >>> sorted(preserved([10, 20, 23, 30], {10: 0.5, 20: 0.9, 23: 1.0, 30: 0.7}, is_scheduled=lambda e: e % 10 == 0))
    [20, 30]
    """
    scheduled = sorted(filter(is_scheduled, epochs))
    known = {epoch: accuracies[epoch] for epoch in scheduled if epoch in accuracies}
    ranked = sorted(
        (epoch for epoch, accuracy in known.items() if accuracy is not None), key=lambda e: (-(known[e] or 0), e)
    )
    unreadable = {epoch for epoch, accuracy in known.items() if accuracy is None}
    newest = sorted(epochs)[-1:]
    return {*newest, *scheduled[-LATEST:], *ranked[:best], *(unreadable if best else ()), *set(chosen) & set(epochs)}


class Policy(NamedTuple):
    """A function from epochs to those that are kept, as Orbax takes it."""

    preserved: Callable[[Collection[int]], set[int]]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Whether each of the checkpoints is kept."""
        kept = self.preserved([checkpoint.step for checkpoint in checkpoints])
        return [checkpoint.step in kept for checkpoint in checkpoints]
