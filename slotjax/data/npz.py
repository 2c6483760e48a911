"""The user's own arrays, from one `.npz` file."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from slotjax.data.dataset import Dataset, Split, hold_out

_SPLITS = ("train", "validation", "test")
_UNIT, _BYTES = 1, 100  # a split that is scaled to 1 reaches no further than the one, one of bytes beyond the other
_HELD_OUT = 0.15  # of the training examples, for each split that the file does not have


def load_npz(path: str) -> Dataset:
    """Arrays `x_train`, `y_train` and optionally `x_validation`, `y_validation`, `x_test`, `y_test`.

    Images are `(n, height, width)`, `(n, height, width, channels)` or `(n, features)`, `uint8` from 0 to 255 or
    finite floats, and alike in all splits; labels are integers from 0 to the number of classes - 1. Where a split is
    missing, 15 % of the training examples are held out for it. Other arrays of the file are not read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file or an array in it is not of this form.
    """
    arrays = _read(path)
    unread = sorted(key for key in arrays if key.startswith(("x_", "y_")) and key[2:] not in _SPLITS)
    _require(not unread, path, f"has arrays {unread}, but splits are named {', '.join(_SPLITS)}")
    splits = {name: _split(path, arrays, name) for name in _SPLITS if _has(path, arrays, name)}
    _check_agreement(path, splits)
    train = splits["train"]
    held_out = round(_HELD_OUT * len(train.labels))
    for name in ("test", "validation"):
        if name not in splits:
            train, splits[name] = hold_out(train, held_out)
            _require(len(splits[name].labels) > 0, path, f"has too few examples to hold out a {name} split")
    return Dataset(train, splits["validation"], splits["test"], classes=_classes(splits["train"]))


def _read(path: str) -> dict[str, np.ndarray]:
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111 (which leaves what it does not know as it is)
    if not expanded.is_file():
        raise FileNotFoundError(f"dataset: npz:{path} names no file")
    try:
        with expanded.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            # Of a single array, nothing; of several, not what has another name, which may be large.
            names = content if isinstance(content, Mapping) else ()
            wanted = [name for name in names if name.startswith(("x_", "y_"))]
            _check_sizes(content, wanted)
            return {name: content[name] for name in wanted}
    # What is wrong with the bytes decides which of a dozen kinds of error NumPy and its decompressors raise.
    except Exception as error:
        raise ValueError(f"dataset: npz:{path} cannot be read as an npz file without pickled objects") from error


def _check_sizes(content: Any, names: list[str]) -> None:
    """Raises if an array claims more than the file has, because NumPy takes the memory for it before it looks."""
    for member in {f"{name}.npy" for name in names} & set(content.zip.namelist()):
        size = content.zip.getinfo(member).file_size
        with content.zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
            claimed = file.tell() + math.prod(shape) * dtype.itemsize
        if claimed > size:
            raise ValueError(f"{member} is said to take {claimed} bytes, but takes {size}")


def _has(path: str, arrays: dict[str, np.ndarray], name: str) -> bool:
    images, labels = f"x_{name}", f"y_{name}"
    if name != "train" and images not in arrays and labels not in arrays:
        return False
    for key in (images, labels):
        _require(isinstance(arrays.get(key), np.ndarray), path, f"has no array {key}")
    return True


def _split(path: str, arrays: dict[str, np.ndarray], name: str) -> Split:
    images, labels = arrays[f"x_{name}"], arrays[f"y_{name}"]
    kind = images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)
    _require(kind, path, f"x_{name} is {images.dtype}, but must be uint8 or floating point")
    _require(images.ndim in (2, 3, 4), path, f"x_{name} has {images.ndim} dimensions, but must have 2 to 4")
    _require(np.issubdtype(labels.dtype, np.integer), path, _about_labels(name, labels.dtype))
    _require(labels.ndim == 1, path, f"y_{name} has {labels.ndim} dimensions, but must have 1")
    _require(
        len(images) == len(labels) > 0,
        path,
        f"x_{name} has {len(images)} examples and y_{name} has {len(labels)} labels, but must have equally many",
    )
    _require(images.size > 0, path, f"x_{name} has examples of shape {images.shape[1:]}, which hold no values")
    outside = labels[(labels < 0) | (labels > np.iinfo(np.int32).max)]
    _require(not outside.size, path, f"y_{name} has the label {outside[:1]}, which is no class")
    if images.dtype != np.uint8:
        with np.errstate(over="ignore"):
            images = images.astype(np.float32)
        _require(bool(np.isfinite(images).all()), path, f"x_{name} has values that are NaN or infinite in float32")
    return Split(images[..., None] if images.ndim == 3 else images, labels.astype(np.int32))


def _about_labels(name: str, dtype: np.dtype) -> str:
    advice = "; classes, numbers = np.unique(names, return_inverse=True) numbers them" if dtype.kind in "US" else ""
    return f"y_{name} is {dtype}, but must be integers{advice}"


def _check_agreement(path: str, splits: dict[str, Split]) -> None:
    classes = _classes(splits["train"])
    _require(classes >= 2, path, "y_train names one class, but must name at least 2")
    for name, (images, labels) in splits.items():
        shape, expected = images.shape[1:], splits["train"].images.shape[1:]
        _require(shape == expected, path, f"x_{name} has examples of shape {shape}, but x_train has {expected}")
        _require_alike(path, name, images, splits["train"].images)
        outside = labels[labels >= classes]
        allowed = f"the {classes} classes of y_train must be 0 to {classes - 1}, without gaps"
        message = f"y_{name} has the label {outside[:1]}, but {allowed}"
        _require(not outside.size, path, message)


def _require_alike(path: str, name: str, images: np.ndarray, expected: np.ndarray) -> None:
    """The mistake is to scale or convert one split and not the other."""
    same = f"x_{name} is {images.dtype}, but x_train is {expected.dtype}; both must be uint8, or both floating point"
    _require(images.dtype == expected.dtype, path, same)
    if images.dtype != np.uint8:
        here, there = (max(float(array.max()), -float(array.min())) for array in (images, expected))
        message = f"x_{name} reaches to {here:g}, but x_train to {there:g}; both must be scaled alike"
        _require(not (0 < min(here, there) <= _UNIT and max(here, there) >= _BYTES), path, message)


def _classes(train: Split) -> int:
    return len(np.unique(train.labels))


def _require(condition: bool, path: str, message: str) -> None:
    if not condition:
        raise ValueError(f"dataset: npz:{path}: {message}")
