"""What a dataset is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Int, Num, PyTree, UInt8


class Split(NamedTuple):
    """Images and their labels.

    What slotjax loads is as follows. Training and evaluation with a model and a loss of one's own take any arrays, or
    trees of arrays, whose first dimension is that of the examples.

    Attributes:
        images: `(n, height, width, channels)` or `(n, features)`; `uint8` from 0 to 255, or `float32` used as it is. Of
            a text, its bytes, `(n, length)`, `uint8`.
        labels: `(n,)`, of a text `(n, length)`; `int32` from 0 to the number of classes - 1.
    """

    images: PyTree[Num[Array | np.ndarray, "n ..."]]
    labels: PyTree[Int[Array | np.ndarray, "n ..."]]


class Dataset(NamedTuple):
    """Three splits, and the number of classes. Test examples are never used in training or for choosing an epoch."""

    train: Split
    validation: Split
    test: Split
    classes: int


class Batch(NamedTuple):
    """Some examples of a stream; a place without an example of its own holds a copy of the batch's first valid one.

    Attributes:
        images: `(batch, height, width, 3)`, `uint8` from 0 to 255.
        labels: `(batch,)`, `int32` from 0 to the number of classes - 1.
        valid: `(batch,)`, `bool`; False where a record could not be read and where a last batch is filled up.
        records: `(batch,)`, `int64`; the index of the record in its prepared split, -1 where filled up.
    """

    images: UInt8[Array | np.ndarray, "batch height width 3"]
    labels: Int[Array | np.ndarray, " batch"]
    valid: Bool[Array | np.ndarray, " batch"]
    records: Int[Array | np.ndarray, " batch"]


def first_examples(dataset: Dataset, count: int) -> Dataset:
    """The dataset with only the first `count` examples of every split, all of those that have fewer.

    >>> dataset = slotjax.data.first_examples(slotjax.data.load("mnist_sample"), 600)
    >>> [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)]
    [600, 500, 600]
    """
    train, validation, test = (Split(split.images[:count], split.labels[:count]) for split in dataset[:3])
    return Dataset(train, validation, test, dataset.classes)


def hold_out(split: Split, count: int) -> tuple[Split, Split]:
    """Two disjoint parts of a split: all but `count` examples, and `count` examples chosen at random once and for all.

    The choice depends on nothing but the number of examples, so that every run and every seed sees the same parts.

    >>> split = slotjax.data.Split(np.arange(10), np.arange(10, dtype=np.int32))
    >>> rest, held_out = slotjax.data.hold_out(split, 3)
    >>> sorted([*rest.labels.tolist(), *held_out.labels.tolist()]) == list(range(10)), len(held_out.labels)
    (True, 3)
    """
    rest, held_out = held_out_indices(len(split.labels), count)
    return Split(split.images[rest], split.labels[rest]), Split(split.images[held_out], split.labels[held_out])


def held_out_indices(examples: int, count: int) -> tuple[Int[np.ndarray, " rest"], Int[np.ndarray, " count"]]:
    """The sorted indices of the two parts of `hold_out`: all but `count` of the examples, and those `count`.

    >>> rest, held_out = slotjax.data.dataset.held_out_indices(10, 3)
    >>> sorted([*rest.tolist(), *held_out.tolist()]) == list(range(10)), len(held_out)
    (True, 3)
    """
    # RandomState, unlike Generator, is guaranteed never to change its streams.
    order = np.random.RandomState(0).permutation(examples)
    return np.sort(order[count:]), np.sort(order[:count])
