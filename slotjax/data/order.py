"""Which records make up the batch of a step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

# Domains of the random draws of one seed, so that no two purposes share a stream.
_SHUFFLE, _CROP = 0, 1


class Places(NamedTuple):
    """Where the examples of a batch come from.

    Attributes:
        records: `(batch,)`, indices into a prepared split, -1 where there is none.
        positions: `(batch,)`, the examples' numbers in all of the training, which seed their crops.
    """

    records: Int[np.ndarray, " batch"]
    positions: Int[np.ndarray, " batch"]


class InOrder:
    """The examples of a split one after another; the last batch is filled up with -1."""

    def __init__(self, records: Int[np.ndarray, " examples"], batch_size: int):
        self._records, self._batch_size = records, batch_size

    def __call__(self, step: int) -> Places:
        """The places of a step's batch."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        inside = np.minimum(positions, len(self._records) - 1)
        return Places(np.where(positions < len(self._records), self._records[inside], -1), positions)


class Shuffled:
    """The examples of a split shuffled anew in every epoch, the epoch's last examples % batch_size left out."""

    def __init__(self, records: Int[np.ndarray, " examples"], batch_size: int, seed: int):
        self._records, self._batch_size, self._seed = records, batch_size, seed
        self._steps = len(records) // batch_size
        self._epoch, self._order = -1, records

    def __call__(self, step: int) -> Places:
        """The places of a step's batch."""
        epoch, within = divmod(step, self._steps)
        self._shuffle(epoch)
        chosen = self._order[within * self._batch_size : (within + 1) * self._batch_size]
        return Places(chosen, np.arange(step * self._batch_size, (step + 1) * self._batch_size))

    def _shuffle(self, epoch: int) -> None:
        # A permutation of a million is too slow to draw for every batch.
        if epoch != self._epoch:
            order = np.random.default_rng((self._seed, _SHUFFLE, epoch)).permutation(self._records)
            self._epoch, self._order = epoch, order


def crop_generator(seed: int, position: int) -> np.random.Generator:
    """What draws the crop and the flip of the example at a position of the training.

    >>> draw = slotjax.data.order.crop_generator(0, 5).random()
    >>> draw == slotjax.data.order.crop_generator(0, 5).random()
    True
    """
    return np.random.default_rng((seed, _CROP, position))
