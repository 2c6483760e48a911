"""Tickets: what comes back is bitwise what `select` gave, and nothing else ever comes back."""

import contextlib
import inspect
import json
import struct
import tracemalloc
from typing import get_args

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import slotjax
from slotjax import models
from slotjax.options import Codebook, Seeded
from slotjax.tickets import bits, container, save

TREE = {"dense": {"kernel": jnp.zeros((5, 4)), "bias": jnp.arange(4.0)}, "conv": {"kernel": jnp.zeros((2, 2, 3, 2))}}


@settings(max_examples=100)
@given(st.integers(1, 70_000), st.lists(st.integers(0, 2**31), max_size=50), st.sampled_from([3, 2**16]))
def test_unpacking_undoes_packing(k, numbers, part):
    index = np.array([number % k for number in numbers], np.int32)
    width = bits.bits_per_index(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "_PART", 8 * part)
        packed = bits.pack(index, width)
        np.testing.assert_array_equal(bits.unpack(packed, width, index.size), index)
    assert packed.size == -(-index.size * width // 8)


def test_bits_are_packed_most_significant_first():
    np.testing.assert_array_equal(bits.pack(np.array([5, 1, 7]), 3), [0b10100111, 0b10000000])
    assert [bits.bits_per_index(k) for k in (1, 2, 3, 4, 5, 8, 9, 256, 257)] == [1, 1, 2, 2, 3, 3, 4, 8, 9]


@pytest.mark.parametrize("scores", get_args(slotjax.selectors.Scores))
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("k", [3, 300, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2, 8, 64))])
def test_weights_come_back_bitwise(k, selection, options, scores, tmp_path):
    selector = slotjax.slot_machine(k, selection, scores=scores, options=options)
    variables = trained(selector)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket")
    chex.assert_trees_all_equal(weights, selector.select(variables))
    chex.assert_trees_all_equal_dtypes(weights, selector.select(variables))


@pytest.mark.parametrize("kind", ["normal", "signed_constant"])
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_every_distribution_comes_back(kind, options, tmp_path):
    selector = slotjax.slot_machine(
        5, options=options, distribution=slotjax.distributions.Distribution(kind, lambda shape: 0.1)
    )
    variables = selector.init(jax.random.key(0), TREE)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket"), selector.select(variables))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_stored_options_of_any_initializer_and_dtype_come_back(dtype, tmp_path):
    selector = slotjax.slot_machine(5, distribution=nn.initializers.he_normal())
    variables = selector.init(jax.random.key(0), {"w": jnp.zeros((6, 4), dtype), "bias": jnp.ones(4, dtype)})
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket")
    chex.assert_trees_all_equal(weights, selector.select(variables))
    assert weights["w"].dtype == weights["bias"].dtype == dtype


def test_float64_comes_back_or_is_refused(tmp_path):
    for options in get_args(slotjax.options.Storage):
        with jax.enable_x64(True):
            selector = slotjax.slot_machine(3, options=options)
            variables = selector.init(jax.random.key(0), jnp.zeros((6, 4), jnp.float64))
            slotjax.save_ticket(tmp_path / "ticket", selector, variables)
            weights = slotjax.load_ticket(tmp_path / "ticket")
            assert weights.dtype == jnp.float64
            chex.assert_trees_all_equal(weights, selector.select(variables))
        with pytest.raises(ValueError, match="it holds float64, which needs jax_enable_x64"):
            slotjax.load_ticket(tmp_path / "ticket")


def test_any_structure_comes_back_with_like(tmp_path):
    selector, params = slotjax.slot_machine(3), [jnp.zeros((3, 4)), (jnp.zeros((4, 2)), jnp.ones(2))]
    variables = selector.init(jax.random.key(0), params)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    for like in (params, jax.eval_shape(lambda: params)):
        chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket", like=like), selector.select(variables))
    assert list(slotjax.load_ticket(tmp_path / "ticket")) == ["0", "1"]
    for like in (params[:1], [params[0], (params[1][0], jnp.ones(3))]):
        with pytest.raises(ValueError, match=r"`like` has another shape or dtype for \['1/"):
            slotjax.load_ticket(tmp_path / "ticket", like=like)


def test_other_collections_come_back(tmp_path):
    selector = slotjax.slot_machine(3)
    statistics = {"batch_stats": {"norm": {"mean": jnp.arange(3.0), "count": jnp.int32(7)}}}
    variables = selector.init(jax.random.key(0), TREE)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, statistics, metadata={"epoch": 3, "name": "é"})
    ticket = slotjax.read_ticket(tmp_path / "ticket")
    chex.assert_trees_all_equal(ticket.collections, statistics)
    chex.assert_trees_all_equal_shapes_and_dtypes(ticket.collections, statistics)
    assert ticket.metadata == {"epoch": 3, "name": "é"}
    assert (ticket.selector["k"], ticket.selector["selection"]) == (3, "greedy")


def test_names_that_are_numbers_come_back_as_json_has_them(tmp_path):
    selector = slotjax.slot_machine(3)
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), metadata={"accuracy": {9: 0.5, 10: 0.6}})
    assert slotjax.read_ticket(tmp_path / "ticket").metadata == {"accuracy": {"9": 0.5, "10": 0.6}}


def test_collections_of_numpy_and_python_come_back_as_jax_has_them(tmp_path):
    selector = slotjax.slot_machine(3)
    statistics = {"stats": {"mean": np.arange(3.0), "count": 3}}
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), statistics)
    expected = jax.tree.map(jnp.asarray, statistics)
    collections = slotjax.read_ticket(tmp_path / "ticket").collections
    chex.assert_trees_all_equal(collections, expected)
    chex.assert_trees_all_equal_shapes_and_dtypes(collections, expected)


@pytest.mark.parametrize("number", [np.float32, jnp.float32])
def test_a_scale_that_is_no_python_number_can_be_written(number):
    described = save._described(Codebook(Seeded(jnp.zeros(2, jnp.uint32), 3, "uniform", number(0.5), (), "float32")))
    assert json.loads(json.dumps(described))["scale"] == 0.5


@pytest.mark.parametrize(("k", "limit"), [(8, 101_000), (2, 35_000)])
def test_lenet_fits_into_few_bytes_and_gives_the_same_logits(k, limit, tmp_path):
    model, images = models.LeNet(), jax.random.uniform(jax.random.key(1), (50, 28, 28, 1))
    selector = slotjax.slot_machine(k, scores="factored", options="seeded")
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    variables = trained(selector, shapes)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, metadata=METADATA)
    assert (tmp_path / "ticket").stat().st_size < limit
    apply = jax.jit(lambda weights: model.apply({"params": weights}, images))
    expected = apply(selector.select(variables))
    np.testing.assert_array_equal(apply(slotjax.load_ticket(tmp_path / "ticket")), expected)


METADATA = {"model": "lenet", "classes": 10, "image_shape": [28, 28, 1], "dataset": "mnist", "epoch": 199}


def test_the_same_variables_give_the_same_bytes(ticket, tmp_path):
    selector = slotjax.slot_machine(5, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "again", selector, trained(selector))
    assert (tmp_path / "again").read_bytes() == ticket.read_bytes()


def test_a_failed_save_leaves_the_old_file(ticket, monkeypatch):
    before = ticket.read_bytes()
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    selector = slotjax.slot_machine(3)
    with pytest.raises(OSError, match="disk full"):
        slotjax.save_ticket(ticket, selector, trained(selector))
    assert ticket.read_bytes() == before
    assert [path.name for path in ticket.parent.iterdir()] == [ticket.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metadata": {"f": len}}, "metadata: it must be what JSON can hold"),
        ({"metadata": {"x": float("nan")}}, "metadata: it must be what JSON can hold"),
        ({"collections": {"params": {}}}, "collections: 'params' was given"),
        ({"collections": {"stats": {"a/b": jnp.ones(1)}}}, "'a/b' has a key that contains '/'"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(arguments, message, tmp_path):
    selector = slotjax.slot_machine(3)
    with pytest.raises(ValueError, match=message):
        slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), **arguments)
    assert not list(tmp_path.iterdir())


def trained(selector, params=TREE):
    """Variables whose scores are no longer the initial ones."""
    variables = selector.init(jax.random.key(0), params)
    random = np.random.default_rng(0)
    move = lambda leaf: leaf + jnp.asarray(random.normal(size=leaf.shape), leaf.dtype)  # noqa: E731
    return variables | {"params": jax.tree.map(move, variables["params"])}


@pytest.fixture
def ticket(tmp_path):
    selector = slotjax.slot_machine(5, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector))
    return tmp_path / "ticket"


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


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_corruption_goes_unnoticed(count, ticket, tmp_path):
    """A ValueError in one sentence, or the very same weights, and never much memory."""
    random, data = np.random.default_rng(0), ticket.read_bytes()
    expected = jax.device_get(slotjax.load_ticket(ticket))
    selector = slotjax.slot_machine(8, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "other", selector, trained(selector))
    other, path, harmless = (tmp_path / "other").read_bytes(), tmp_path / "corrupted", 0
    with little_memory():
        for _ in range(count):
            bad = corrupted(data, other, random)
            path.write_bytes(bad)
            with contextlib.suppress(ValueError):
                weights = slotjax.load_ticket(path)
                harmless += bad != data
                chex.assert_trees_all_equal(weights, expected)
    assert harmless < count / 100


def forged(data, change):
    """A ticket with changed content and the checksum that belongs to it."""
    (length,) = struct.unpack("<Q", data[:8])
    content = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["slotjax"])
    tensors, _ = safetensors.numpy.load(data), content.pop("sha256")
    change(content, tensors)
    content["sha256"] = container._digest(content, tensors)
    return safetensors.numpy.save(tensors, {"slotjax": container._json(content)})


def put(*path):
    *parents, last, value = path

    def change(content, tensors):
        for parent in parents:
            content = content[parent]
        content[last] = value

    return change


HUGE = [
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
    put("weights", "dense/kernel", "scale", "big"),
    put("weights", "dense/kernel", {}),
    put("weights", "other", {"shape": [1], "dtype": "float32", "seed": [1, 2], "scale": 1.0}),
    put("weights", []),
    put("weights", "dense/kernel", "k", 2**60),
    put("weights", "dense/kernel", "k", 4),
    put("weights", "dense/kernel", "k", -3),
    put("weights", "dense/kernel", "k", "8"),
    put("weights", "dense/kernel", "kind", "cauchy"),
    put("arrays", {"params/dense/bias": "float64"}),
    put("arrays", {"params/dense/bias": "object"}),
    put("arrays", {}),
    lambda content, tensors: tensors.pop("index/dense/kernel"),
    lambda content, tensors: tensors.update({"index/dense/kernel": np.zeros(1000, np.uint8)}),
    lambda content, tensors: tensors.update({"more": np.zeros(1, np.uint8)}),
]


@pytest.mark.parametrize("change", HUGE)
def test_a_forged_ticket_is_refused(change, ticket, tmp_path):
    (tmp_path / "forged").write_bytes(forged(ticket.read_bytes(), change))
    with little_memory(), pytest.raises(ValueError, match=r"ticket: .*forged cannot be read: "):
        slotjax.load_ticket(tmp_path / "forged")


def test_a_later_format_says_so(ticket, tmp_path):
    (tmp_path / "later").write_bytes(forged(ticket.read_bytes(), put("format", 2)))
    with pytest.raises(ValueError, match="its format is 2, and this version of slotjax reads formats up to 1"):
        slotjax.load_ticket(tmp_path / "later")


def test_foreign_files_say_so(tmp_path):
    path = tmp_path / "foreign"
    for data in (safetensors.numpy.save({"a": np.zeros(3)}), safetensors.numpy.save({"a": np.zeros(3)}, {"b": "c"})):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="it is no ticket of slotjax"):
            slotjax.load_ticket(path)
    for data in (b"", b"PK\x03\x04" * 10, b"\x80\x04\x95" + bytes(100), struct.pack("<Q", 2**62) + bytes(50)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="cannot be read"):
            slotjax.load_ticket(path)
    with pytest.raises(OSError, match="missing"):
        slotjax.load_ticket(tmp_path / "missing")


def test_deep_metadata_is_refused(tmp_path):
    data = safetensors.numpy.save({"a": np.zeros(3)}, {"slotjax": "[" * 100_000})
    (tmp_path / "deep").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read"):
        slotjax.load_ticket(tmp_path / "deep")


def test_numbers_of_numpy_and_python_come_back(tmp_path):
    selector = inspect.unwrap(slotjax.slot_machine)(np.int64(4))  # past the check of types
    variables = selector.init(jax.random.key(0), {"w": jnp.zeros((3, 4)), "number": 1.5})
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    ticket = slotjax.read_ticket(tmp_path / "ticket")
    assert ticket.selector["k"] == 4
    assert ticket.weights["number"].shape == ()
    assert float(ticket.weights["number"]) == 1.5
