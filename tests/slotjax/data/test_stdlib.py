"""The text of the standard library: which files are in it, how they are split, and what follows what."""

import hashlib
import sysconfig

import numpy as np
import pytest

from slotjax import data
from slotjax.data import stdlib

SPLITS = ("train", "validation", "test")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of 200 files, each of which repeats its own number."""
    root = tmp_path / "python"
    for number in range(200):
        path = root / f"package{number % 7}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number:03d} ".encode() * 64)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(root)})
    return root


def text_of(split):
    """The text that a split was cut from, but for the last byte."""
    return bytes(split.images.ravel()).decode()


def numbers_in(split):
    return set(text_of(split).split())


def test_every_file_is_in_the_split_that_its_path_decides(library):
    dataset = data.load("stdlib")
    for name, split in zip(SPLITS, dataset[:3], strict=True):
        hashes = [hashlib.sha256(f"package{n % 7}/module{n}.py".encode()).digest() for n in range(200)]
        expected = {f"{n:03d}" for n in range(200) if stdlib.split_of(hashes[n]) == name}
        assert numbers_in(split) >= expected - {max(expected, key=lambda n: hashes[int(n)])}
        assert numbers_in(split) <= expected


def test_labels_are_the_bytes_that_follow(library):
    split = data.load("stdlib").train
    assert split.images.dtype == np.uint8
    assert split.labels.dtype == np.int32
    np.testing.assert_array_equal(split.images.ravel()[1:], split.labels.ravel()[:-1])


def test_tests_and_what_is_installed_beside_the_library_are_left_out(library):
    before = text_of(data.load("stdlib").train)
    for folder in ("test", "package1/tests", "site-packages/numpy", "encodings"):
        (library / folder).mkdir(parents=True)
        for number in range(20):
            (library / folder / f"module{number}.py").write_text("left out")
    assert text_of(data.load("stdlib").train) == before


def test_a_split_ends_at_its_limit(library, monkeypatch):
    whole = data.load("stdlib").train
    monkeypatch.setitem(stdlib._BYTES, "train", 512)
    np.testing.assert_array_equal(data.load("stdlib").train.images, whole.images[:4])


def test_without_sources_one_sentence_says_so(library, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(library / "nothing")})
    with pytest.raises(FileNotFoundError, match=r"dataset: stdlib: .*nothing has too few sources of Python"):
        data.load("stdlib")
