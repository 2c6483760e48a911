"""The JPEGs and labels of a prepared split, any of which may be damaged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Record(NamedTuple):
    """A JPEG and its label."""

    encoded: bytes
    label: int


class Records:
    """The records of a prepared split by their indices, opened at the first use in each process."""

    def __init__(self, directory: Path, split: str):
        self._directory, self._split = directory, split
        self._source: Any = None

    def __reduce__(self) -> tuple[type["Records"], tuple[Path, str]]:
        """A copy in another process opens the files itself."""
        return Records, (self._directory, self._split)

    def read(self, indices: Sequence[int]) -> list[Record | None]:
        """The records of these indices, None where one cannot be read."""
        self._open()
        return [self._parse(raw) for raw in self._raw(list(indices))]

    def _open(self) -> None:
        import tensorflow_datasets as tfds

        if self._source is None:
            builder = tfds.builder_from_directory(self._directory)
            self._features, self._without = builder.info.features, {"image": tfds.decode.SkipDecoding()}
            self._source = builder.as_data_source(self._split).data_source

    def _raw(self, indices: list[int]) -> Sequence[bytes | None]:
        try:
            # Together, so that a slow disk is waited for once.
            return self._source.__getitems__(indices) if indices else []
        except Exception:
            return [self._raw_one(index) for index in indices]

    def _raw_one(self, index: int) -> bytes | None:
        try:
            return self._source[index]
        except Exception:
            return None

    def _parse(self, raw: bytes | None) -> Record | None:
        # What is wrong with the bytes decides which of a dozen kinds of error their parsers raise.
        try:
            example = self._features.deserialize_example_np(raw, decoders=self._without)
            label = int(example["label"])
            return Record(example["image"], label) if 0 <= label < self._features["label"].num_classes else None
        except Exception:
            return None
