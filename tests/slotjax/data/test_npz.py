"""The user's own arrays: what is read of a file, and what is refused in one sentence."""

import io
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from slotjax import data

IMAGES = np.random.default_rng(0).integers(1, 255, (40, 4, 4)).astype(np.uint8)
LABELS = np.arange(40) % 4


def write(directory, **arrays):
    path = directory / "own.npz"
    np.savez(path, **({"x_train": IMAGES, "y_train": LABELS} | arrays))
    return path


def rewrite(path, name, content, **options):
    """The same file with other bytes for one member."""
    with zipfile.ZipFile(path) as file:
        members = {member: file.read(member) for member in file.namelist()} | {name: content}
    with zipfile.ZipFile(path, "w", **options) as file:
        for member, written in members.items():
            file.writestr(member, written)


def refused(path, message):
    with pytest.raises(ValueError, match=f"^dataset: npz:{re.escape(str(path))}:? {message}") as error:
        data.load(f"npz:{path}")
    assert len(str(error.value).splitlines()) == 1


def test_members_of_other_names_are_not_read(tmp_path):
    path = write(tmp_path, z=IMAGES)
    rewrite(path, "z.npy", b"\x93NUMPY\x01\x00 damaged")
    rewrite(path, "notes.txt", b"no array either")
    assert data.load(f"npz:{path}").classes == 4


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_damaged_members_are_one_sentence_however_they_are_compressed(method, part, tmp_path):
    path = write(tmp_path)
    rewrite(path, "x_train.npy", path.read_bytes()[:4000] * 9, compression=method)
    content = bytearray(path.read_bytes())
    place = int(part * len(content))
    content[place : place + 40] = bytes(255 - byte for byte in content[place : place + 40])
    path.write_bytes(content)
    refused(path, "cannot be read as an npz file")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': ('''",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1" + b"0" * 40 + b",), }",
        b"((((((((",
        b"\xff\xfe",
        b"",
    ],
)
def test_damaged_headers_of_arrays_are_one_sentence(header, tmp_path):
    path = write(tmp_path)
    rewrite(path, "x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    refused(path, "cannot be read as an npz file")


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test"])
def test_memory_is_not_taken_for_an_array_that_is_not_there(name, tmp_path):
    path, header = write(tmp_path), io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)}
    np.lib.format.write_array_header_1_0(header, shape)
    rewrite(path, f"{name}.npy", header.getvalue())
    tracemalloc.start()
    refused(path, "cannot be read as an npz file")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_splits_of_which_only_one_is_converted_or_scaled_are_refused(split, tmp_path):
    def own(train, other):
        return write(tmp_path, x_train=train, **{f"x_{split}": other, f"y_{split}": LABELS})

    floats = IMAGES.astype(np.float32)
    refused(own(IMAGES, floats), f"x_{split} is float32, but x_train is uint8; both must be uint8, or both floating")
    refused(own(floats / 255, IMAGES), f"x_{split} is uint8, but x_train is float32; both must be")
    refused(own(floats / 255, floats), rf"x_{split} reaches to 254, but x_train to 0\.99\d+; both must be scaled alike")
    refused(own(floats, -floats / 255), rf"x_{split} reaches to 0\.99\d+, but x_train to 254; both must be scaled")


@pytest.mark.parametrize("factor", [1, 0.5, 8])
def test_splits_that_reach_a_little_further_are_taken(factor, tmp_path):
    floats = IMAGES / np.float64(255)
    path = write(tmp_path, x_train=floats.astype(np.float32), x_test=factor * floats, y_test=LABELS)
    assert data.load(f"npz:{path}").test.images.dtype == np.float32
    path = write(tmp_path, x_train=floats, x_test=0 * floats, y_test=LABELS)
    assert not data.load(f"npz:{path}").test.images.any()


@pytest.mark.parametrize("kind", ["U", "S"])
def test_names_in_place_of_labels_are_refused_with_what_numbers_them(kind, tmp_path):
    names = np.array(["cat", "dog", "eel", "fly"] * 10).astype(kind)
    path = write(tmp_path, y_train=names)
    advice = r"; classes, numbers = np\.unique\(names, return_inverse=True\) numbers them$"
    refused(path, rf"y_train is [<|]{kind}\d+, but must be integers{advice}")
    path = write(tmp_path, y_train=np.unique(names, return_inverse=True)[1])
    assert data.load(f"npz:{path}").classes == 4


def test_the_home_of_nobody_is_no_file():
    with pytest.raises(FileNotFoundError, match=r"^dataset: npz:~nobody-at-all/own.npz names no file$"):
        data.load("npz:~nobody-at-all/own.npz")
    with pytest.raises(FileNotFoundError, match="is not prepared in ~nobody-at-all"):
        data.load("mnist", "~nobody-at-all")
