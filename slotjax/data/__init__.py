"""Datasets as arrays: three splits of images and labels that fit on the device whole."""

from slotjax.data.augment import AUGMENTATIONS, augment
from slotjax.data.dataset import Dataset, Split, hold_out
from slotjax.data.load import DATASETS, load
from slotjax.data.normalize import NORMALIZATIONS, Normalization, as_float

__all__ = [
    "AUGMENTATIONS",
    "DATASETS",
    "NORMALIZATIONS",
    "Dataset",
    "Normalization",
    "Split",
    "as_float",
    "augment",
    "hold_out",
    "load",
]
