"""Datasets by name."""

from slotjax.data.dataset import Dataset
from slotjax.data.mnist_sample import load_mnist_sample
from slotjax.data.npz import load_npz
from slotjax.data.prepared import load_prepared

DATASETS = ("mnist_sample", "mnist", "npz:PATH")


def load(name: str, data_dir: str | None = None) -> Dataset:
    """The dataset called `name`, in host memory.

    Args:
        name: `"mnist_sample"`: 5,000 real digits that come with an installed package; `"mnist"`: read from a directory
            that TensorFlow Datasets prepared, 15 % of its training images held out for validation; `"npz:PATH"`:
            arrays `x_train`, `y_train` and optionally `x_validation`, `y_validation`, `x_test`, `y_test`.
        data_dir: where datasets are prepared; `TFDS_DATA_DIR` or `~/tensorflow_datasets` unless given.

    Raises:
        ValueError: for an unknown name or unusable arrays.
        FileNotFoundError: if the dataset is not there; nothing is downloaded.

    >>> dataset = slotjax.data.load("mnist_sample")
    >>> [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)]
    [3500, 500, 1000]
    """
    if name == "mnist_sample":
        return load_mnist_sample()
    if name == "mnist":
        return load_prepared("mnist", data_dir, validation_share=0.15)
    if name.startswith("npz:"):
        return load_npz(name.removeprefix("npz:"))
    raise ValueError(f"dataset: {name!r} was given, but it must be one of {', '.join(DATASETS)}")
