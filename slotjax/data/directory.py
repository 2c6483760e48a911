"""Where TensorFlow Datasets has prepared a dataset, and whether it is there undamaged."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_BY_HAND = {"imagenet2012": "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"}


def open_prepared(name: str, data_dir: str | None, splits: Sequence[str]) -> Any:
    """The TFDS builder of a prepared dataset, each of whose `splits` has all of its files, and they open.

    A file's end is read, which holds its index: every truncation is found, but not every changed byte before it.

    Args:
        name: TFDS name of the dataset.
        data_dir: where datasets are prepared. Default: `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        splits: TFDS names of the splits that are going to be read.

    Raises:
        FileNotFoundError: if there is no such prepared dataset, or a file of it is missing.
        ValueError: if a file is damaged, or it was prepared in another format than array_record.
    """
    directory = _prepared_directory(name, data_dir)
    # Imported here because the import takes seconds and most uses of the library need no datasets.
    import tensorflow_datasets as tfds

    builder = _builder(directory)
    if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
        raise ValueError(f"data_dir: {directory} must be prepared with --file_format=array_record")
    for split in splits:
        if split not in builder.info.splits:
            raise damaged(directory / "dataset_info.json", f"it names no split {split}")
        _check_files(builder.info.splits[split])
    return builder


def damaged(file: Any, reason: str) -> ValueError:
    """The error that says which file of a dataset is damaged.

    >>> print(slotjax.data.directory.damaged("a-00000-of-00001", "it is empty"))
    data_dir: a-00000-of-00001 is damaged (it is empty); prepare the dataset again
    """
    return ValueError(_sentence(file, reason))


def _sentence(file: Any, reason: str) -> str:
    return f"data_dir: {file} is damaged ({reason}); prepare the dataset again"


def _prepared_directory(name: str, data_dir: str | None) -> Path:
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = Path(os.path.expanduser(given))  # noqa: PTH111 (which leaves what it does not know as it is)
    versions = sorted(path.parent for path in root.glob(f"{name}/*/dataset_info.json"))
    if not versions:
        raise FileNotFoundError(
            f"dataset: {name!r} is not prepared in {root}; name another place with --data_dir, or prepare it there "
            f"with `pip install 'slotjax[prepare]' && tfds build {name} --file_format=array_record --data_dir={root}`"
            f"{_by_hand(name, root)}"
        )
    return versions[-1]


def _by_hand(name: str, root: Path) -> str:
    if name not in _BY_HAND:
        return ""
    return f", after downloading {_BY_HAND[name]} from image-net.org by hand into {root / 'downloads' / 'manual'}"


def _builder(directory: Path) -> Any:
    import tensorflow_datasets as tfds

    features = directory / "features.json"
    if not features.is_file():
        raise FileNotFoundError(_sentence(features, "it is missing"))
    try:
        return tfds.builder_from_directory(directory)
    # TFDS raises what its parsers of JSON and of each feature raise.
    except Exception as error:
        raise damaged(directory, "its dataset_info.json or features.json cannot be read") from error


def _check_files(split: Any) -> None:
    for file, examples in zip(split.filepaths, split.shard_lengths, strict=True):
        if not Path(file).is_file():
            raise FileNotFoundError(_sentence(file, "it is missing"))
        if (found := _records(file)) != examples:
            raise damaged(file, f"it has {found} readable records of {examples}")


def _records(file: Any) -> int:
    from array_record.python.array_record_module import ArrayRecordReader

    # A file that is no array_record, or is truncated, opens without an error, has no records, and fails to close.
    reader = ArrayRecordReader(str(file), options="readahead_buffer_size:0")
    found = reader.num_records()
    with suppress(RuntimeError):
        reader.close()
    return found
