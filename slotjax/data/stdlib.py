"""The sources of Python's standard library, a text that every machine has, as windows of bytes."""

import hashlib
import sysconfig
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from slotjax.data.dataset import Dataset, Split

LENGTH = 128  # bytes of a window
_BYTES = {"train": 3 << 20, "validation": 1 << 16, "test": 1 << 17}  # at most
# What is installed beside the library, its tests, and tables that programs wrote.
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "encodings", "pydoc_data"}


def load_stdlib() -> Dataset:
    """The `.py` files of the running interpreter's standard library, without tests, as next bytes to predict.

    A file belongs to one split, which a hash of its path decides: one in 16 to validation, one to test. The files of a
    split stand one after another, in the order of those hashes, and are cut off at 3 MiB of training, 64 KiB of
    validation and 128 KiB of test. `images` are windows of 128 bytes, `uint8`, and `labels` the bytes that follow each,
    `int32`; there are 256 classes. Another version of Python has another text.

    Raises:
        FileNotFoundError: if the library is not there as files.

    >>> train, _, test, classes = slotjax.data.load("stdlib")
    >>> train.images.shape[1:], test.labels.shape, classes
    ((128,), (1024, 128), 256)
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    return _dataset({path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}, root)


def _dataset(files: dict[str, Path], root: Path) -> Dataset:
    hashes = {name: hashlib.sha256(name.encode()).digest() for name in files if _is_source(name)}
    texts = {name: _text(files, hashes, name) for name in _BYTES}
    short = [name for name, text in texts.items() if len(text) <= LENGTH]
    if short:
        raise FileNotFoundError(f"dataset: stdlib: {root} has too few sources of Python for the {short[0]} split")
    train, validation, test = map(windows, texts.values())
    return Dataset(train, validation, test, classes=256)


def windows(text: UInt8[np.ndarray, " bytes"]) -> Split:
    """A text cut into windows, each with the bytes that follow its own; what fills no window is left out.

    >>> slotjax.data.stdlib.windows(np.arange(200, dtype=np.uint8)).labels[0, :3]
    array([1, 2, 3], dtype=int32)
    """
    count = (len(text) - 1) // LENGTH
    inputs, following = text[: count * LENGTH], text[1 : count * LENGTH + 1]
    return Split(inputs.reshape(count, LENGTH), following.astype(np.int32).reshape(count, LENGTH))


def split_of(digest: bytes) -> str:
    """The split of a file with this SHA-256 of its path.

    >>> [slotjax.data.stdlib.split_of(bytes([first])) for first in (0, 16, 32, 255)]
    ['test', 'validation', 'train', 'train']
    """
    return "test" if digest[0] < 16 else "validation" if digest[0] < 32 else "train"


def _is_source(name: str) -> bool:
    *folders, file = name.split("/")
    return not (_SKIPPED & set(folders) or file.startswith("_sysconfigdata"))


def _text(files: dict[str, Path], hashes: dict[str, bytes], split: str) -> UInt8[np.ndarray, " bytes"]:
    """The files of a split one after another, with one byte more than whole windows."""
    content, limit = bytearray(), _BYTES[split] + 1
    for name in sorted(hashes, key=hashes.__getitem__):
        if len(content) < limit and split_of(hashes[name]) == split:
            content += files[name].read_bytes()
    return np.frombuffer(bytes(content[:limit]), np.uint8)
