"""Damaged, forged and foreign tickets: nothing but what was saved ever comes back."""

import contextlib
import json
import math
import os
import struct
import tracemalloc
import zlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import slotjax
from slotjax.tickets import container, reader
from tests import paper
from tests.slotjax.tickets.made_tickets import VECTORS
from tests.slotjax.tickets.trained_variables import trained


def corrupted(data, other, random):
    """One random corruption: bits, bytes, length, header or metadata."""
    kind = random.integers(9)
    changed = bytearray(data)
    if kind <= 2:
        for _ in range(1 if kind == 0 else random.integers(1, 30)):
            changed[random.integers(len(changed))] ^= 1 << random.integers(8)
    elif kind == 3:
        changed = changed[: random.integers(len(changed))]
    elif kind == 4:
        changed[random.integers(len(changed)) :] = random.bytes(random.integers(1, 100))
    elif kind == 5:
        changed[:8] = struct.pack("<Q", int(random.integers(2 ** int(random.integers(1, 63)))))
    elif kind == 6:
        start, length = random.integers(8, len(changed)), random.integers(1, 40)
        changed[start : start + length] = bytes(sorted(changed[start : start + length]))
    elif kind == 7:
        return swapped_header(data, other)
    else:
        return edited_header(data, random)
    return bytes(changed)


def swapped_header(data, other):
    (length,), (theirs,) = struct.unpack("<Q", data[:8]), struct.unpack("<Q", other[:8])
    return other[: 8 + theirs] + data[8 + length :]


def edited_header(data, random):
    """Another digit somewhere in the header."""
    (length,) = struct.unpack("<Q", data[:8])
    digits = [place for place in range(8, 8 + length) if chr(data[place]).isdigit()]
    changed, place = bytearray(data), random.choice(digits)
    changed[place] = ord(str(random.integers(10)))
    return bytes(changed)


@contextlib.contextmanager
def little_memory():
    """Whatever is done within takes less than 2 MiB more at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "count", [pytest.param(150, marks=pytest.mark.slow), pytest.param(10_000, marks=pytest.mark.fuzz)]
)
def test_no_corruption_goes_unnoticed(count, ticket, tmp_path):
    """A ValueError in one sentence, or the very same weights, and never much memory."""
    random, data = np.random.default_rng(0), ticket.read_bytes()
    expected = jax.device_get(slotjax.load_ticket(ticket).weights)
    selector = paper.slot_machine(8, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "other", selector, trained(selector))
    other, path, harmless = (tmp_path / "other").read_bytes(), tmp_path / "corrupted", 0
    with little_memory():
        for _ in range(count):
            bad = corrupted(data, other, random)
            path.write_bytes(bad)
            with contextlib.suppress(ValueError):
                weights = slotjax.load_ticket(path).weights
                harmless += bad != data
                chex.assert_trees_all_equal(weights, expected)
    assert harmless < count / 100


def forged(data, change):
    """A ticket with changed content and the checksum that belongs to it."""
    content, tensors, _ = reader.container(data)
    del tensors["sha256"]
    change(content, tensors)
    return container.serialized(tensors, json.dumps(content))


def put(*path):
    *parents, last, value = path

    def change(content, tensors):
        for parent in parents:
            content = content[parent]
        content[last] = value

    return change


def another_array(name):
    def change(content, tensors):
        content["arrays"][name], tensors[f"array/{name}"] = "float32", np.zeros((5, 4), np.float32)

    return change


def inflated(packed, more=b""):
    """A change to deflated indices."""

    def change(content, tensors):
        content["weights"]["dense/kernel"]["packing"] = "deflate"
        tensors["index/dense/kernel"] = np.frombuffer(zlib.compress(packed) + more, np.uint8)

    return change


FORGERIES = [
    put("weights", "dense/kernel", "shape", [10**6, 10**6]),
    put("weights", "dense/kernel", "shape", [0, 10**18]),
    put("weights", "dense/kernel", "shape", [-5, -4]),
    put("weights", "dense/kernel", "shape", "5"),
    put("weights", "dense/kernel", "shape", None),
    put("weights", "dense/kernel", "dtype", "V1000000000"),
    put("weights", "dense/kernel", "dtype", "object"),
    put("weights", "dense/kernel", "dtype", "float8"),
    put("weights", "dense/kernel", "seed", [1]),
    put("weights", "dense/kernel", "seed", [1, 2**40]),
    *(put("weights", "dense/kernel", "scale", scale) for scale in ("big", 1, 1e308, -1e38, 1e-40, math.nan, math.inf)),
    *(put("weights", "dense/kernel", "factor", factor) for factor in ("big", 1, 1e38, 0.0, -1.0, math.nan, math.inf)),
    *(put("format", version) for version in (0, -5, 5, 10**9, 2.0, "2", None, True)),
    put("proof", 3),
    put("trees", []),
    put("trees", {"params": {"list": ["dense/kernel"]}}),
    put("trees", {"params": {"set": []}}),
    put("trees", {"params": {"list": ["dense/kernel", "dense/bias", "conv/kernel", "conv/kernel"]}}),
    put("trees", {"other": {"list": []}}),
    put("trees", {"params": {"list": [], "dict": {}}}),
    put("trees", {"params": 3}),
    put("selector", "k"),
    put("metadata", [1]),
    put("more", 1),
    put("weights", "dense/kernel", "more", 1),
    put("weights", "dense/kernel", "rescaled", True),
    put("weights", "dense/kernel", "zero", False),
    put("weights", "dense/kernel", "zero", 1),
    put("weights", "dense/kernel", "multiples", True),
    put("weights", "dense/kernel", "frozen", {"seed": [1, 2], "pruned": 0, "kept": 0}),
    put("weights", "dense/kernel", "kind", "uniform_sign"),
    put("weights", "dense/kernel", "kind", "stratified"),
    put("weights", "dense/kernel", "packing", "lzma"),
    put("weights", "dense/kernel", "packing", "deflate"),
    put("weights", "dense/kernel", "seed", [1, True]),
    put("weights", "dense/kernel", "kind", []),
    another_array("params/dense/kernel"),
    another_array("params/dense/kernel/"),
    another_array("params/dense/kernel/more"),
    another_array("params/dense"),
    another_array("params/"),
    another_array("params"),
    put("weights", "dense/kernel", {}),
    put("weights", "other", {"shape": [1], "dtype": "float32", "seed": [1, 2], "scale": 1.0}),
    put("weights", []),
    put("weights", "dense/kernel", "k", 2**60),
    put("weights", "dense/kernel", "k", 4),
    put("weights", "dense/kernel", "k", -3),
    put("weights", "dense/kernel", "k", "8"),
    put("weights", "dense/kernel", "kind", "cauchy"),
    inflated(bytes(7)),
    inflated(bytes(9)),
    inflated(bytes(10**6)),
    inflated(b"\xff" * 8),
    inflated(bytes(8), b"more"),
    put("arrays", {"params/dense/bias": "float64"}),
    put("arrays", {"params/dense/bias": "object"}),
    put("arrays", {}),
    lambda content, tensors: tensors.pop("index/dense/kernel"),
    lambda content, tensors: tensors.update({"index/dense/kernel": np.zeros(1000, np.uint8)}),
    lambda content, tensors: tensors.update({"more": np.zeros(1, np.uint8)}),
]


@pytest.mark.parametrize("change", FORGERIES)
def test_a_forged_ticket_is_refused(change, ticket, tmp_path):
    (tmp_path / "forged").write_bytes(forged(ticket.read_bytes(), change))
    with little_memory(), pytest.raises(ValueError, match=r"ticket: .*forged cannot be read: "):
        slotjax.load_ticket(tmp_path / "forged")


@pytest.mark.parametrize("more", [{"zero": True}, {"k": 4097}])
def test_stratified_options_are_at_most_4096_and_none_is_0(more):
    entry = {"shape": [2], "dtype": "float32", "k": 4, "seed": [1, 2], "kind": "stratified", "scale": 0.5}
    content = {"format": 4, "selector": {}, "metadata": {}, "arrays": {}, "weights": {"kernel": entry}}
    assert len(reader.leaves(content, {"index/kernel": np.zeros(1, np.uint8)})) == 1
    content["weights"] = {"kernel": entry | more}
    size = -(-2 * reader.bits_per_index(entry["k"] if "zero" in more else 4097) // 8)
    with pytest.raises(ValueError, match="a kind is 'stratified'"):
        reader.leaves(content, {"index/kernel": np.zeros(size, np.uint8)})


def test_a_later_format_says_so(ticket, tmp_path):
    (tmp_path / "later").write_bytes(forged(ticket.read_bytes(), put("format", 5)))
    with pytest.raises(ValueError, match="its format is 5, but this version of slotjax reads formats 1 to 4"):
        slotjax.load_ticket(tmp_path / "later")


def test_foreign_files_say_so(tmp_path):
    path = tmp_path / "foreign"
    for data in (safetensors.numpy.save({"a": np.zeros(3)}), safetensors.numpy.save({"a": np.zeros(3)}, {"b": "c"})):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="it is not a slotjax ticket"):
            slotjax.load_ticket(path)
    for data in (b"", b"PK\x03\x04" * 10, b"\x80\x04\x95" + bytes(100), struct.pack("<Q", 2**62) + bytes(50)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="cannot be read"):
            slotjax.load_ticket(path)
    with pytest.raises(OSError, match="missing"):
        slotjax.load_ticket(tmp_path / "missing")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe cannot be read: it is not a regular file"):
        slotjax.load_ticket(tmp_path / "pipe")


@pytest.mark.slow
def test_few_bytes_of_indices_cannot_stand_for_many(tmp_path):
    """A mask that keeps nothing deflates a thousandfold, and is written in a 32nd of its bits all the same."""
    selector = slotjax.supermask(
        evaluation="thresholded", options="seeded", distribution=slotjax.distributions.glorot_normal()
    )
    variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((1000, 320))})
    nothing = variables | {"params": jax.tree.map(lambda leaf: leaf - 100, variables["params"])}
    slotjax.save_ticket(tmp_path / "ticket", selector, nothing)
    assert 1250 < (tmp_path / "ticket").stat().st_size < 2000
    assert not slotjax.load_ticket(tmp_path / "ticket").weights["kernel"].any()
    cut = forged((tmp_path / "ticket").read_bytes(), lambda _, tensors: tensors.update(shortened(tensors)))
    (tmp_path / "ticket").write_bytes(cut)
    with pytest.raises(ValueError, match="has 1249 bytes of indices"):
        slotjax.load_ticket(tmp_path / "ticket")


def shortened(tensors):
    return {name: tensor[:1249] for name, tensor in tensors.items()}


@pytest.mark.slow
def test_memory_is_that_of_the_weights(tmp_path):
    """Beside the file and the weights, a tile of connections."""
    selector = slotjax.slot_machine(8, distribution=slotjax.distributions.glorot_normal())
    variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((1000, 600))})
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    leaf = reader.parse((tmp_path / "ticket").read_bytes())[1][0]
    tracemalloc.start()
    leaf.values()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_400_000 + 225_000 + 2**21


def test_deep_metadata_is_refused(tmp_path):
    data = safetensors.numpy.save({"a": np.zeros(3)}, {"slotjax": "[" * 100_000})
    (tmp_path / "deep").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read"):
        slotjax.load_ticket(tmp_path / "deep")


@pytest.mark.parametrize(
    "stream",
    [
        zlib.compress(bytes(255)),
        zlib.compress(bytes(257)),
        zlib.compress(bytes(256)) + b"more",
        zlib.compress(bytes(256))[:-1],
    ],
)
def test_a_stream_of_another_size_is_refused(stream):
    leaf = reader.parse((VECTORS / "edge_popup-deflated.ticket").read_bytes())[1][0]
    with pytest.raises(ValueError, match="are not 256 bytes, deflated"):
        leaf._replace(data=np.frombuffer(stream, np.uint8)).packed()
    assert leaf._replace(data=np.frombuffer(zlib.compress(bytes(256)) + bytes(9), np.uint8)).packed() == bytes(256)
