"""Datasets by name."""

from slotjax.data.dataset import Dataset, first_examples
from slotjax.data.extras import require
from slotjax.data.mnist_sample import load_mnist_sample
from slotjax.data.npz import load_npz
from slotjax.data.stdlib import load_stdlib

# The share of the training examples of each prepared dataset that is held out for validation.
_PREPARED = {"mnist": 0.15, "fashion_mnist": 0.15, "cifar10": 0.1, "cifar100": 0.1}

DATASETS = ("mnist_sample", *_PREPARED, "stdlib", "npz:PATH")
STREAMS = ("imagenet2012",)
PREPARED = (*_PREPARED, *STREAMS)
TEXTS = ("stdlib",)


def load(name: str, data_dir: str | None = None, examples: int | None = None) -> Dataset:
    """The dataset called `name`, in host memory.

    Args:
        name: `"mnist_sample"`: 5,000 real digits that come with an installed package; `"mnist"`, `"fashion_mnist"`,
            `"cifar10"` and `"cifar100"`: read from a directory that TensorFlow Datasets prepared, 15 % (CIFAR: 10 %)
            of the training images held out for validation; `"stdlib"`: windows of bytes of Python's standard library,
            and the bytes that follow; `"npz:PATH"`: arrays `x_train`, `y_train` and optionally
            `x_validation`, `y_validation`, `x_test`, `y_test`. ImageNet is a stream: see `load_imagenet`.
        data_dir: where datasets are prepared. Default: `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        examples: only the first so many of every split. Default: all.

    Raises:
        ValueError: for an unknown name, unusable arrays or a damaged dataset, or if `examples` is not positive.
        FileNotFoundError: if the dataset is not there; nothing is downloaded.
        ImportError: if a package that reads it is not installed; the message names the extra that brings it.

    >>> dataset = slotjax.data.load("mnist_sample")
    >>> [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)]
    [3500, 500, 1000]
    """
    if examples is not None and examples < 1:
        raise ValueError(f"examples: {examples} was given, but it must be 1 or more")
    if name in _PREPARED:
        require("data", f"dataset: {name}", "tensorflow-datasets", "array-record", "pillow")
        # Imported here because it imports Pillow.
        from slotjax.data.prepared import load_prepared

        return load_prepared(name, data_dir, _PREPARED[name], examples)
    dataset = _load_arrays(name)
    return dataset if examples is None else first_examples(dataset, examples)


def _load_arrays(name: str) -> Dataset:
    if name == "mnist_sample":
        return load_mnist_sample()
    if name == "stdlib":
        return load_stdlib()
    if name.startswith("npz:"):
        return load_npz(name.removeprefix("npz:"))
    raise ValueError(f"dataset: {name!r} was given, but it must be one of {', '.join(DATASETS)}")
