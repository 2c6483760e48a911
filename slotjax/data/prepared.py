"""Image classification datasets that TensorFlow Datasets has prepared, read without TensorFlow."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int
from PIL import Image

from slotjax.data.dataset import Dataset, Split, held_out_indices
from slotjax.data.directory import damaged, open_prepared

_CHUNK = 4096  # records read at once: reading them one by one is three times slower


def load_prepared(name: str, data_dir: str | None, validation_share: float, examples: int | None = None) -> Dataset:
    """The train and test splits of a prepared dataset; part of the training split is held out for validation.

    Args:
        name: TFDS name of a dataset of images of one size and their labels.
        data_dir: where datasets are prepared. Default: `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        validation_share: share of the training split to hold out.
        examples: only the first so many of every split; nothing else is read. Default: all.

    Raises:
        FileNotFoundError: if there is no such prepared dataset; nothing is downloaded.
        ValueError: if it is damaged or was prepared in another format than array_record.
    """
    builder = open_prepared(name, data_dir, splits=("train", "test"))
    trained, tested = (builder.info.splits[split].num_examples for split in ("train", "test"))
    rest, held_out = held_out_indices(trained, round(trained * validation_share))
    train, validation = (_read(builder, "train", part[:examples]) for part in (rest, held_out))
    test = _read(builder, "test", np.arange(tested)[:examples])
    return Dataset(train, validation, test, classes=builder.info.features["label"].num_classes)


def _read(builder: Any, split: str, indices: Int[np.ndarray, " n"]) -> Split:
    import tensorflow_datasets as tfds

    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    shape, chunks = builder.info.features["image"].shape, _chunks(builder.info.splits[split], indices)
    parts = [_read_chunk(source, chunk, file, shape) for file, chunk in chunks]
    return Split(np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts]))


def _chunks(split: Any, indices: Int[np.ndarray, " n"]) -> Iterator[tuple[Any, list[int]]]:
    """Files, and ascending indices of records that are in them."""
    end = 0
    for file, length in zip(split.filepaths, split.shard_lengths, strict=True):
        start, end = end, end + length
        own = indices[(start <= indices) & (indices < end)].tolist()
        for first in range(0, len(own), _CHUNK):
            yield file, own[first : first + _CHUNK]


def _read_chunk(source: Any, chunk: list[int], file: Any, shape: tuple[int, ...]) -> Split:
    try:
        records = source.__getitems__(chunk)
        images = np.stack([np.asarray(Image.open(io.BytesIO(record["image"]))) for record in records])
        return Split(images.reshape(len(chunk), *shape), np.array([record["label"] for record in records], np.int32))
    # What is wrong with the bytes decides which of a dozen kinds of error their readers raise.
    except Exception as error:
        raise damaged(file, f"of its split's records {chunk[0]} to {chunk[-1]}, some cannot be read") from error
