"""Datasets: three splits of images and labels, as arrays that fit on the device whole or as a stream of batches."""

from slotjax.data.augment import AUGMENTATIONS, augment
from slotjax.data.dataset import Batch, Dataset, Split, first_examples, hold_out
from slotjax.data.extras import require
from slotjax.data.imagenet import Stream, load_imagenet
from slotjax.data.load import DATASETS, PREPARED, STREAMS, TEXTS, load
from slotjax.data.normalize import NORMALIZATIONS, Normalization, as_float
from slotjax.data.prefetch import prefetch

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "NORMALIZATIONS",
    "PREPARED",
    "STREAMS",
    "TEXTS",
    "Batch",
    "Dataset",
    "Normalization",
    "Split",
    "Stream",
    "as_float",
    "augment",
    "first_examples",
    "hold_out",
    "load",
    "load_imagenet",
    "prefetch",
    "require",
]
