"""Whole batches from records."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from slotjax.data.crops import centre_crop, decode, random_crop
from slotjax.data.dataset import Batch
from slotjax.data.order import Places, crop_generator
from slotjax.data.records import Record, Records


@dataclass(frozen=True)
class Assemble:
    """From a step to its batch, or one host's part of it.

    Attributes:
        records: where records are read.
        order: from a step to the places of its global batch.
        size: height and width of the images.
        seed: of the random crops; None for centre crops.
        part: which of the batch's examples this host assembles.
    """

    records: Records
    order: Callable[[int], Places]
    size: int
    seed: int | None
    part: slice

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        indices, positions = (places[self.part] for places in self.order(step))
        read = iter(self.records.read(indices[indices >= 0].tolist()))
        found = [next(read) if index >= 0 else None for index in indices]
        images = [self._image(record, position) for record, position in zip(found, positions.tolist(), strict=True)]
        labels = [0 if record is None else record.label for record in found]
        return _batch(images, labels, indices, self.size)

    def _image(self, record: Record | None, position: int) -> UInt8[np.ndarray, "size size 3"] | None:
        if record is None:
            return None
        try:
            image = decode(record.encoded)
        # What is wrong with the bytes decides which of a dozen kinds of error Pillow raises.
        except Exception:
            return None
        if self.seed is None:
            return centre_crop(image, self.size)
        return random_crop(image, self.size, crop_generator(self.seed, position))


def _batch(
    images: list[UInt8[np.ndarray, "size size 3"] | None], labels: list[int], records: np.ndarray, size: int
) -> Batch:
    valid = np.array([image is not None for image in images])
    filling = int(np.argmax(valid))  # 0 if none is valid: then the batch is all zeros
    filled = np.zeros((len(images), size, size, 3), np.uint8)
    for place, image in enumerate(images):
        source = image if image is not None else images[filling]
        if source is not None:
            filled[place] = source
    chosen = np.where(valid, np.array(labels, np.int32), np.int32(labels[filling] if valid.any() else 0))
    return Batch(filled, chosen, valid, records.astype(np.int64))
