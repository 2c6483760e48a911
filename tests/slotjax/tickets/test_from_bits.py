"""Networks that run from the bits of their tickets."""

import functools
import math
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import slotjax
from slotjax import models
from slotjax.tickets import Packed, from_bits, indices, reader, unpack
from slotjax.tickets.packed import packed_leaf
from slotjax.tickets.reader import Leaf
from tests.slotjax.tickets.made_tickets import VECTORS, bits, constant

slot_machine = functools.partial(slotjax.slot_machine, distribution=slotjax.distributions.glorot_uniform())
ITEM_SIZES = {"pred": 1, "s8": 1, "u8": 1, "f16": 2, "bf16": 2, "s64": 8, "u64": 8, "f64": 8}
RUN = """
import sys, jax, numpy as np
from jax import export
exported = export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
np.save(sys.argv[2], exported.call(np.load(sys.argv[3])))
assert "slotjax" not in sys.modules
"""


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """LeNet-300-100 with K = 8: its ticket, what applies it, and images."""
    path, model = tmp_path_factory.mktemp("lenet") / "ticket", models.LeNet()
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 28, 28, 1)), jnp.float32)
    params = jax.tree.map(jnp.zeros_like, jax.eval_shape(model.init, jax.random.key(0), images))["params"]
    slotjax.save_ticket(path, slot_machine(8), drawn(slot_machine(8), params))
    return path, lambda weights, images: model.apply({"params": weights}, images), images


def drawn(selector, params):
    """Variables, made by one compiled program."""
    return jax.jit(selector.init)(jax.random.key(1), params)


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


def temporary(program):
    return program.memory_analysis().temp_size_in_bytes


def constants(program):
    """Bytes of the constants in a compiled module."""
    found = re.findall(r"= (\w+)\[([\d,]*)\]\S* constant\(", program.as_text())
    return sum(ITEM_SIZES.get(kind, 4) * math.prod(map(int, filter(None, sizes.split(",")))) for kind, sizes in found)


def packed_leaves(tree):
    leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Packed))
    return [leaf for leaf in leaves if isinstance(leaf, Packed)]


def same(left, right):
    return jax.tree.structure(left) == jax.tree.structure(right) and all(
        one.dtype == other.dtype and bits(one) == bits(other)
        for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    )


@pytest.mark.quick("own-bell-k8", "stored-k5", "partition", "partly-supermask", "multicoat-k4")
@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.ticket")), ids=lambda path: path.stem)
def test_bits_of_every_kind_unpack_to_the_weights(path):
    ticket = slotjax.load_ticket(path)
    selected = sum(part.index_bytes is not None for part in slotjax.tickets.describe_ticket(path).parts)
    assert len(packed_leaves(ticket.packed)) == selected
    assert same(jax.jit(unpack)(ticket.packed), ticket.weights)
    assert same(jax.jit(lambda: from_bits(lambda weights: weights)(ticket.packed))(), ticket.weights)


def test_a_weight_that_is_made_in_a_way_not_known_here_is_not_packed():
    leaf = Leaf("params/kernel", "float32", (2, 3), {"k": 4, "of another version": True}, np.zeros(2, np.uint8))
    assert packed_leaf(leaf, weight := jnp.ones((2, 3))) is weight


@pytest.mark.slow
def test_double_precision_unpacks_to_the_weights(x64, tmp_path):
    selector = slotjax.supermask(options="seeded", rescale=True, distribution=constant("normal"))
    slotjax.save_ticket(tmp_path / "ticket", selector, drawn(selector, {"kernel": jnp.zeros((5, 7))}))
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    assert ticket.weights["kernel"].dtype == jnp.float64
    assert ticket.packed["kernel"].factor > 1
    assert same(jax.jit(unpack)(ticket.packed), ticket.weights)


@pytest.mark.quick("1-1", "77-3", "32-10")
@pytest.mark.parametrize("width", [1, 3, 10])
@pytest.mark.parametrize("count", [1, 31, 32, 77])
def test_planes_hold_every_index_in_as_many_bits_as_it_needs(width, count):
    index = np.random.default_rng(count).integers(0, 2**width, count)
    planes = indices.planes(index, width)
    assert planes.size * 32 < width * (count + 32)
    np.testing.assert_array_equal(indices.unpack_planes(jnp.asarray(planes), count), index)


@pytest.mark.slow
def test_a_tree_keeps_its_structure(tmp_path):
    selector = slot_machine(4)
    state = nnx.State({"layers": [nnx.Param(jnp.zeros((5, 4)))]})
    slotjax.save_ticket(tmp_path / "ticket", selector, drawn(selector, state))
    for like in (None, state):
        ticket = slotjax.load_ticket(tmp_path / "ticket", like)
        (leaf,) = packed_leaves(ticket.packed)
        assert leaf.shape == (5, 4)
        assert same(jax.jit(unpack)(ticket.packed), ticket.weights)


def test_a_program_holds_one_weight_at_a_time(lenet):
    path, apply, images = lenet
    ticket = slotjax.load_ticket(path)
    largest, every = (sizes([leaf.nbytes for leaf in jax.tree.leaves(ticket.weights)]) for sizes in (max, sum))
    plain = compiled(apply, ticket.weights, images)
    for function in (apply, jax.jit(apply)):
        program = compiled(from_bits(function), ticket.packed, images)
        assert temporary(program) <= largest + temporary(plain) < every
        assert same(program(ticket.packed, images), plain(ticket.weights, images))


def test_bits_that_a_program_closes_over_stay_bits(lenet):
    path, apply, images = lenet
    ticket = slotjax.load_ticket(path)
    of_bits = sum(leaf.nbytes for leaf in jax.tree.leaves(ticket.packed))
    run = jax.jit(lambda images: from_bits(apply)(ticket.packed, images))
    # Per weight one barrier for its bits, one for itself, and one for the number that hides what it waits for.
    assert run.lower(images).as_text().count("stablehlo.optimization_barrier") == 9
    program = compiled(run, images)
    largest = max(leaf.nbytes for leaf in jax.tree.leaves(ticket.weights))
    assert of_bits <= constants(program) < of_bits + 1000
    assert temporary(program) < 1.1 * largest
    assert same(run(images), ticket.apply(apply, images))


@pytest.mark.slow
def test_an_exported_program_is_as_large_as_its_bits_and_runs_without_slotjax(lenet, tmp_path):
    pytest.importorskip("flatbuffers", reason="jax.export writes with flatbuffers; install slotjax[interop]")
    path, apply, images = lenet
    ticket = slotjax.load_ticket(path)
    shape = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), *images.shape[1:]), images.dtype)
    run = jax.jit(lambda images: from_bits(apply)(ticket.packed, images))
    artefact = jax.export.export(run)(shape).serialize()
    assert len(artefact) <= 1.1 * path.stat().st_size + 30_000
    (tmp_path / "network").write_bytes(artefact)
    np.save(tmp_path / "images.npy", images)
    files = [tmp_path / name for name in ("network", "logits.npy", "images.npy")]
    subprocess.run([sys.executable, "-c", RUN, *files], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), ticket.apply(apply, images))


USES = {
    "product": lambda weights, x: x @ weights["kernel"],
    "sum": lambda weights, x: x.mT + weights["kernel"],
    "twice": lambda weights, x: (x @ weights["kernel"]) @ weights["kernel"].mT,
    "rows": lambda weights, x: weights["kernel"][jnp.array([2, 0])],
    "itself": lambda weights, x: (weights, x.sum()),
    "branch": lambda weights, x: jax.lax.cond(
        x[0, 0] > 0, lambda: x @ weights["kernel"], lambda: x @ -weights["kernel"]
    ),
    "loop": lambda weights, x: jax.lax.scan(
        lambda total, row: (total + row @ weights["kernel"], None), jnp.zeros(7), x
    )[0],
    "checkpoint": lambda weights, x: jax.checkpoint(lambda kernel: jnp.tanh(x @ kernel))(weights["kernel"]),
    "bias": lambda weights, x: x @ weights["kernel"] + weights["bias"][None],
    "mapped": lambda weights, x: jax.vmap(lambda row: row @ weights["kernel"])(x),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path, selector = tmp_path_factory.mktemp("small") / "ticket", slot_machine(6)
    variables = drawn(selector, {"kernel": jnp.zeros((9, 7)), "bias": jnp.zeros(7)})
    variables["params"]["bias"] = jnp.arange(7.0)
    slotjax.save_ticket(path, selector, variables)
    return slotjax.load_ticket(path)


@pytest.mark.quick("product", "twice", "branch", "loop", "checkpoint")
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_weights_may_be_used_in_any_way(use, small):
    x = jnp.asarray(np.random.default_rng(4).normal(size=(7, 9)), jnp.float32)
    assert same(small.apply(use, x), jax.jit(use)(small.weights, x))


FROZEN_SHARES = {"seed": [3, 4], "pruned": 2**30, "kept": 2**29}
PARTLY_FROZEN = {
    "multiples": {"k": 4, "zero": True, "multiples": True},
    "all eight indices": {"k": 8},
}


@pytest.mark.parametrize("entry", PARTLY_FROZEN.values(), ids=PARTLY_FROZEN)
def test_partly_frozen_weights_are_few_bits_and_give_the_same_sums(entry):
    entry = {"shape": [64, 9], "frozen": FROZEN_SHARES, "seed": [1, 2], "kind": "normal", "scale": 0.1, **entry}
    index = np.random.default_rng(0).integers(0, entry["k"], reader.unfrozen(entry, 300))
    data = indices.pack(index, reader.bits_per_index(entry["k"]))
    leaf = Leaf("params/kernel", "float32", (64, 9), entry, data)
    weight, x = jnp.asarray(leaf.values()), jnp.ones((9, 64))
    packed = packed_leaf(leaf, weight)
    assert packed.bits.nbytes == reader.bits_per_index(entry["k"]) * weight.size / 8
    use = lambda kernel: x.mT + kernel  # noqa: E731
    assert same(jax.jit(from_bits(use))(packed), jax.jit(use)(weight))


def test_gradients_flow_through_weights_of_bits(small):
    x = jnp.asarray(np.random.default_rng(4).normal(size=(7, 9)), jnp.float32)
    loss = lambda weights, x: jnp.tanh(x @ weights["kernel"]).sum()  # noqa: E731
    expected = jax.jit(jax.grad(loss, 1))(small.weights, x)
    given = jax.jit(jax.grad(from_bits(loss), 1))(small.packed, x)
    np.testing.assert_allclose(given, expected, rtol=1e-6)
