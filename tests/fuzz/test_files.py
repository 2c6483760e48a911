"""Data and tickets that are nearly right: read as they are, or one sentence, and never much memory for a small file."""

import hashlib
import io
import json
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st

import slotjax
from slotjax import data
from slotjax.tickets import describe_ticket
from tests.fuzz.amounts import amounts, try_all
from tests.fuzz.guards import assert_takes_little, refused, unchanged
from tests.fuzz.mutations import changed_bytes, changed_json
from tests.slotjax.tickets.made_tickets import VECTORS

TICKETS = sorted(VECTORS.glob("*.ticket"))
SPARE = 2**21  # bytes that Python and NumPy take whatever the file is
DTYPES = ("uint8", "int8", "float16", "float32", "float64", "int32", "int64", "uint64", "bool", "complex64", "U3", "S2")
SHAPES = ((), (0,), (1,), (20,), (20, 4), (20, 0), (20, 4, 4), (20, 4, 4, 1), (20, 4, 4, 1, 1), (21, 4), (1, 4))
NAMES = ("x_train", "y_train", "x_test", "y_test", "x_validation", "y_validation", "x_valid", "other", "x_")


def npz(arrays, compressed=False):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def filled(dtype, shape):
    """An array of labels, or of anything that a dtype has."""
    return (np.arange(np.prod(shape, dtype=int)) % 4).reshape(shape).astype(dtype)


def forged(shape, dtype):
    """An npz file of arrays that are as large as their headers say, but for the last, of which only the header is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    content = io.BytesIO(npz(VALID))
    with zipfile.ZipFile(content, "a") as file:
        file.writestr("x_test.npy", header.getvalue())
    return content.getvalue()


VALID = {"x_train": filled("uint8", (20, 4, 4)), "y_train": filled("int64", (20,))}
_ARRAYS = st.builds(filled, st.sampled_from(DTYPES), st.sampled_from(SHAPES))
_EXTREMES = st.sampled_from((np.nan, np.inf, -np.inf, 1e300, -1.0, 2.0**63, 255.0)).map(lambda v: np.full((20, 4), v))
_SETS = st.dictionaries(st.sampled_from(NAMES), st.one_of(_ARRAYS, _EXTREMES), max_size=4)
NPZ_FILES = st.one_of(
    st.builds(npz, _SETS.map(lambda own: VALID | own), st.booleans()),
    st.builds(npz, _SETS, st.booleans()),
    changed_bytes(npz(VALID)),
    changed_bytes(npz(VALID, compressed=True)),
    st.builds(forged, st.lists(st.integers(0, 2**20), max_size=4).map(tuple), st.sampled_from(("|u1", "<f4", "<f8"))),
)


@amounts(40)
def test_an_npz_file_is_data_or_one_sentence(amount, tmp_path):
    path = tmp_path / "data.npz"

    def read():
        with refused(ValueError):
            dataset = data.load(f"npz:{path}")
            assert all(len(split.images) == len(split.labels) > 0 for split in dataset[:3])

    def holds(content):
        path.write_bytes(content)
        with unchanged(tmp_path):
            assert_takes_little(read, 20 * len(content) + SPARE)

    try_all(amount, NPZ_FILES, holds)


def parts(content):
    """A ticket's header, its description, and the bytes of its tensors but for the checksum."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["slotjax"]), content[8 + length : -32]


def sealed(header, description, tensors):
    """A ticket with a checksum that fits, whatever it says."""
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["slotjax"] = json.dumps(description)
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) + -len(text) % 8) + text + b" " * (-len(text) % 8) + tensors
    return content + hashlib.sha256(content).digest()


def changed_ticket(path):
    """Its bytes changed, or what it says of itself, under a checksum that fits."""
    content = path.read_bytes()
    header, description, tensors = parts(content)
    return st.one_of(
        changed_bytes(content),
        changed_json(description).map(lambda said: sealed(header, said, tensors)),
        changed_json(header).map(lambda said: sealed(said, description, tensors)),
        changed_bytes(tensors).map(lambda values: sealed(header, description, values)),
    )


@amounts(40)
@pytest.mark.parametrize("read", [slotjax.load_ticket, describe_ticket], ids=["read", "describe"])
def test_a_ticket_is_read_or_refused_in_one_sentence(read, amount, tmp_path):
    path = tmp_path / "ticket"

    def read_or_refuse():
        with refused(ValueError):
            read(path)

    def holds(content):
        path.write_bytes(content)
        with unchanged(tmp_path):
            assert_takes_little(read_or_refuse, 20 * len(content) + SPARE)

    try_all(amount, st.sampled_from(TICKETS).flatmap(changed_ticket), holds)
