"""ImageNet as a stream of batches, read from what TensorFlow Datasets prepared, without TensorFlow."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Int
from numpy import arange, ndarray

from slotjax.data.dataset import Batch, held_out_indices
from slotjax.data.directory import open_prepared
from slotjax.data.extras import require
from slotjax.data.order import InOrder, Places, Shuffled
from slotjax.data.records import Records
from slotjax.data.workers import batches

_HELD_OUT = 0.01  # of the training examples


class Stream(NamedTuple):
    """Batches of three splits, and what is in them. Test examples are never used in training.

    Attributes:
        train: `train(seed, first_step, last_step, batch_size, workers=0, process_index=0, process_count=1)`: the
            batches of the training steps from `first_step` to before `last_step`. They depend on nothing but `seed`,
            the step and `batch_size`, so that a stream resumes anywhere; each of `process_count` hosts receives its
            part of every batch. `workers` processes assemble batches; closing the iterator ends them. Like every use
            of processes that are spawned, a script that asks for workers has to do so under
            `if __name__ == "__main__":`.
        validation: `validation(batch_size, workers=0, process_index=0, process_count=1)`: the whole split in order,
            the last batch filled up. A host all of whose places are filled up receives zeros.
        test: as `validation`.
        train_examples: examples to train on; each epoch takes `train_examples // batch_size` steps.
        validation_examples: examples held out of TFDS's training split.
        test_examples: examples of TFDS's validation split.
        classes: number of classes.
        image_shape: `(size, size, 3)`.
        sha256: of the prepared dataset's description, which counts the examples and bytes of its files.
    """

    train: Callable[..., Iterator[Batch]]
    validation: Callable[..., Iterator[Batch]]
    test: Callable[..., Iterator[Batch]]
    train_examples: int
    validation_examples: int
    test_examples: int
    classes: int
    image_shape: tuple[int, int, int]
    sha256: str


class _Part(NamedTuple):
    directory: Path
    split: str
    indices: Int[ndarray, " examples"]
    size: int


def load_imagenet(data_dir: str | None, size: int = 224, examples: int | None = None) -> Stream:
    """ImageNet (`imagenet2012`): random crops to train on, centre crops of 1 % of the training images and of the test.

    Args:
        data_dir: where datasets are prepared. Default: `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        size: height and width of the crops.
        examples: only the first so many of every split. Default: all.

    Returns:
        Streams of batches: images `(batch, size, size, 3)` in `uint8`, and a record that cannot be read is marked
        in `valid`.

    Raises:
        FileNotFoundError: if there is no such prepared dataset, or a file of it is missing; nothing is downloaded.
        ImportError: if a package that reads it is not installed; the message names the extra that brings it.
        ValueError: if `size` or `examples` is not positive, or the dataset is damaged or not prepared as array_record.

    >>> stream = slotjax.data.load_imagenet("~/tensorflow_datasets")  # doctest: +SKIP
    >>> batches = stream.train(seed=0, first_step=0, last_step=450_000, batch_size=256)  # doctest: +SKIP
    """
    _require(size >= 1, "size", size, "must be 1 or more")
    _require(examples is None or examples >= 1, "examples", examples, "must be 1 or more")
    require("data", "dataset: imagenet2012", "tensorflow-datasets", "array-record", "grain", "pillow")
    builder = open_prepared("imagenet2012", data_dir, splits=("train", "validation"))
    directory, splits = Path(builder.data_dir), builder.info.splits
    prepared = splits["train"].num_examples
    rest, held_out = held_out_indices(prepared, round(prepared * _HELD_OUT))
    train = _Part(directory, "train", rest[:examples], size)
    validation = _Part(directory, "train", held_out[:examples], size)
    test = _Part(directory, "validation", arange(splits["validation"].num_examples)[:examples], size)
    return Stream(
        partial(_train, train),
        partial(_evaluate, validation),
        partial(_evaluate, test),
        train_examples=len(train.indices),
        validation_examples=len(validation.indices),
        test_examples=len(test.indices),
        classes=builder.info.features["label"].num_classes,
        image_shape=(size, size, 3),
        sha256=hashlib.sha256((directory / "dataset_info.json").read_bytes()).hexdigest(),
    )


def _train(
    part: _Part,
    seed: int,
    first_step: int,
    last_step: int,
    batch_size: int,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    own = _own_part(batch_size, workers, process_index, process_count)
    _require(seed >= 0, "seed", seed, "must be 0 or more")
    _require(first_step >= 0, "first_step", first_step, "must be 0 or more")
    _require(first_step <= last_step, "last_step", last_step, f"must be first_step, {first_step}, or more")
    examples = len(part.indices)
    _require(batch_size <= examples, "batch_size", batch_size, f"must be at most the {examples} training examples")
    assemble = _assemble(part, Shuffled(part.indices, batch_size, seed), seed, own)
    return batches(assemble, first_step, last_step, workers)


def _evaluate(
    part: _Part, batch_size: int, workers: int = 0, process_index: int = 0, process_count: int = 1
) -> Iterator[Batch]:
    own = _own_part(batch_size, workers, process_index, process_count)
    assemble = _assemble(part, InOrder(part.indices, batch_size), None, own)
    return batches(assemble, 0, -(-len(part.indices) // batch_size), workers)


def _assemble(part: _Part, order: Callable[[int], Places], seed: int | None, own: slice) -> Callable[[int], Batch]:
    # Imported here because it imports Pillow.
    from slotjax.data.assemble import Assemble

    return Assemble(Records(part.directory, part.split), order, part.size, seed, own)


def _own_part(batch_size: int, workers: int, process_index: int, process_count: int) -> slice:
    _require(workers >= 0, "workers", workers, "must be 0 or more")
    _require(process_count >= 1, "process_count", process_count, "must be 1 or more")
    below = f"must be 0 to {process_count - 1}"
    _require(0 <= process_index < process_count, "process_index", process_index, below)
    divisible = batch_size >= 1 and batch_size % process_count == 0
    _require(divisible, "batch_size", batch_size, f"must be a positive multiple of the {process_count} processes")
    share = batch_size // process_count
    return slice(process_index * share, (process_index + 1) * share)


def _require(condition: bool, name: str, value: int | None, message: str) -> None:
    if not condition:
        raise ValueError(f"{name}: {value} was given, but it {message}")
