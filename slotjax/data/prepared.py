"""Image classification datasets that TensorFlow Datasets has prepared, read without TensorFlow."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from slotjax.data.dataset import Dataset, Split, hold_out

_CHUNK = 4096  # records read at once: reading them one by one is three times slower


def load_prepared(name: str, data_dir: str | None, validation_share: float) -> Dataset:
    """The train and test splits of a prepared dataset; part of the training split is held out for validation.

    Args:
        name: TFDS name of a dataset of images of one size and their labels.
        data_dir: where datasets are prepared; `TFDS_DATA_DIR` or `~/tensorflow_datasets` unless given.
        validation_share: share of the training split to hold out.

    Raises:
        FileNotFoundError: if there is no such prepared dataset; nothing is downloaded.
        ValueError: if it was prepared in another format than array_record.
    """
    directory = _prepared_directory(name, data_dir)
    # Imported here because the import takes seconds and most uses of the library need no datasets.
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(directory)
    if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
        raise ValueError(f"data_dir: {directory} must be prepared with --file_format=array_record")
    train, validation = _read_held_out(builder, validation_share)
    test = _read(builder, "test")
    return Dataset(train, validation, test, classes=builder.info.features["label"].num_classes)


def _read_held_out(builder: Any, validation_share: float) -> tuple[Split, Split]:
    train = _read(builder, "train")
    return hold_out(train, round(len(train.labels) * validation_share))


def _read(builder: Any, split: str) -> Split:
    import tensorflow_datasets as tfds

    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    chunks = [range(start, min(start + _CHUNK, len(source))) for start in range(0, len(source), _CHUNK)]
    records = [record for chunk in chunks for record in source.__getitems__(list(chunk))]
    images = np.stack([np.asarray(Image.open(io.BytesIO(record["image"]))) for record in records])
    labels = np.array([record["label"] for record in records], np.int32)
    return Split(images.reshape(len(images), *builder.info.features["image"].shape), labels)


def _prepared_directory(name: str, data_dir: str | None) -> Path:
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    versions = sorted(path.parent for path in root.glob(f"{name}/*/dataset_info.json"))
    if not versions:
        raise FileNotFoundError(
            f"dataset: {name!r} is not prepared in {root}; name another place with --data_dir, or prepare it there "
            f"with `pip install 'slotjax[prepare]' && tfds build {name} --file_format=array_record --data_dir={root}`"
        )
    return versions[-1]
