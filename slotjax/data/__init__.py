"""Datasets as arrays: three splits of images and labels that fit on the device whole."""

from slotjax.data.dataset import Dataset, Split, as_float, hold_out
from slotjax.data.load import DATASETS, load

__all__ = ["DATASETS", "Dataset", "Split", "as_float", "hold_out", "load"]
