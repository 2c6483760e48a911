"""Tickets: what comes back is bitwise what `select` gave, and nothing else ever comes back."""

import inspect
import itertools
import json
import os
from typing import get_args

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slotjax
from slotjax import models
from slotjax.options import Codebook, Seeded
from slotjax.tickets import indices, reader, save
from tests import paper
from tests.slotjax.tickets.trained_variables import TREE, trained


@settings(max_examples=100)
@given(st.integers(1, 70_000), st.lists(st.integers(0, 2**31), max_size=50), st.sampled_from([3, 2**13]))
def test_unpacking_undoes_packing(k, numbers, part):
    index = np.array([number % k for number in numbers], np.int32)
    width = reader.bits_per_index(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indices, "_PART", 8 * part)
        patch.setattr(reader, "TILE", 8 * part)
        packed = indices.pack(index, width)
        tiles = reader.Leaf("params/w", "float32", index.shape, {"k": k}, packed).tiles()
        np.testing.assert_array_equal(np.concatenate([np.zeros(0), *(tile for _, tile in tiles)]), index)
    assert packed.size == -(-index.size * width // 8)


def test_bits_are_packed_most_significant_first():
    np.testing.assert_array_equal(indices.pack(np.array([5, 1, 7]), 3), [0b10100111, 0b10000000])
    assert [reader.bits_per_index(k) for k in (1, 2, 3, 4, 5, 8, 9, 256, 257)] == [1, 1, 2, 2, 3, 3, 4, 8, 9]


WAYS = tuple(
    itertools.product(
        get_args(slotjax.selectors.Selection), get_args(slotjax.options.Storage), get_args(slotjax.selectors.Scores)
    )
)


@pytest.mark.quick("3-greedy-seeded-factored")
@pytest.mark.parametrize(
    ("k", "selection", "options", "scores"),
    [
        *((3, *way) for way in WAYS),
        (300, "greedy", "seeded", "factored"),
        (300, "probabilistic", "stored", "explicit"),
        *((k, *WAYS[place]) for place, k in enumerate((1, 2, 8, 64))),
    ],
)
def test_weights_come_back_bitwise(k, selection, options, scores, tmp_path):
    selector = paper.slot_machine(k, selection, scores=scores, options=options)
    variables = trained(selector)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket").weights
    chex.assert_trees_all_equal(weights, selector.select(variables))
    chex.assert_trees_all_equal_dtypes(weights, selector.select(variables))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "signed_constant"])
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_every_distribution_comes_back(kind, options, tmp_path):
    selector = paper.slot_machine(
        5, options=options, distribution=slotjax.distributions.Distribution(kind, lambda shape: 0.1)
    )
    variables = selector.init(jax.random.key(0), TREE)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket").weights, selector.select(variables))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_stored_options_of_any_initializer_and_dtype_come_back(dtype, tmp_path):
    selector = paper.slot_machine(5, distribution=nn.initializers.he_normal())
    variables = selector.init(jax.random.key(0), {"w": jnp.zeros((6, 4), dtype), "bias": jnp.ones(4, dtype)})
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket").weights
    chex.assert_trees_all_equal(weights, selector.select(variables))
    assert weights["w"].dtype == weights["bias"].dtype == dtype


@pytest.mark.slow
def test_float64_comes_back_or_is_refused(tmp_path):
    for options in get_args(slotjax.options.Storage):
        with jax.enable_x64(True):
            selector = paper.slot_machine(3, options=options)
            variables = selector.init(jax.random.key(0), jnp.zeros((6, 4), jnp.float64))
            slotjax.save_ticket(tmp_path / "ticket", selector, variables)
            weights = slotjax.load_ticket(tmp_path / "ticket").weights
            assert weights.dtype == jnp.float64
            chex.assert_trees_all_equal(weights, selector.select(variables))
        with pytest.raises(ValueError, match="it holds float64, which needs jax_enable_x64"):
            slotjax.load_ticket(tmp_path / "ticket")


@pytest.mark.slow
def test_any_structure_comes_back_with_like(tmp_path):
    selector, params = paper.slot_machine(3), [jnp.zeros((3, 4)), (jnp.zeros((4, 2)), jnp.ones(2))]
    variables = selector.init(jax.random.key(0), params)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    for like in (params, jax.eval_shape(lambda: params)):
        chex.assert_trees_all_equal(
            slotjax.load_ticket(tmp_path / "ticket", like=like).weights, selector.select(variables)
        )
    chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket").weights, selector.select(variables))
    for like in (params[:1], [params[0], (params[1][0], jnp.ones(3))]):
        with pytest.raises(ValueError, match=r"`like` has another shape or dtype for \['1/"):
            slotjax.load_ticket(tmp_path / "ticket", like=like)


ZEROS = jnp.zeros((3, 4))


@pytest.mark.parametrize(
    "params",
    [
        [ZEROS, (ZEROS, jnp.ones(2))],
        {"a": {"b/c": ZEROS, "d": [ZEROS]}, "b/c": (ZEROS,)},
        (ZEROS, {"0": ZEROS, "1": ()}),
        {"a": [{"b": [[ZEROS]]}], "empty": {}},
    ],
)
def test_lists_tuples_and_keys_with_slashes_come_back_as_they_were(params, tmp_path):
    selector = paper.slot_machine(3)
    variables = selector.init(jax.random.key(0), params)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, {"stats": [jnp.ones(2)]})
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    chex.assert_trees_all_equal(ticket.weights, selector.select(variables))
    assert jax.tree.structure(ticket.weights) == jax.tree.structure(params)
    chex.assert_trees_all_equal(ticket.collections, {"stats": [jnp.ones(2)]})


@pytest.mark.slow
def test_other_collections_come_back(tmp_path):
    selector = paper.slot_machine(3)
    statistics = {"batch_stats": {"norm": {"mean": jnp.arange(3.0), "count": jnp.int32(7)}}}
    variables = selector.init(jax.random.key(0), TREE)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, statistics, metadata={"epoch": 3, "name": "é"})
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    chex.assert_trees_all_equal(ticket.collections, statistics)
    chex.assert_trees_all_equal_shapes_and_dtypes(ticket.collections, statistics)
    assert ticket.metadata == {"epoch": 3, "name": "é"}
    assert (ticket.settings["k"], ticket.settings["selection"]) == (3, "greedy")


@pytest.mark.slow
def test_names_that_are_numbers_come_back_as_json_has_them(tmp_path):
    selector = paper.slot_machine(3)
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), metadata={"accuracy": {9: 0.5, 10: 0.6}})
    assert slotjax.load_ticket(tmp_path / "ticket").metadata == {"accuracy": {"9": 0.5, "10": 0.6}}


def test_collections_of_numpy_and_python_come_back_as_jax_has_them(tmp_path):
    selector = paper.slot_machine(3)
    statistics = {"stats": {"mean": np.arange(3.0), "count": 3}}
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), statistics)
    expected = jax.tree.map(jnp.asarray, statistics)
    collections = slotjax.load_ticket(tmp_path / "ticket").collections
    chex.assert_trees_all_equal(collections, expected)
    chex.assert_trees_all_equal_shapes_and_dtypes(collections, expected)


@pytest.mark.parametrize("number", [np.float32, jnp.float32])
def test_a_scale_that_is_no_python_number_can_be_written(number):
    book = Codebook(Seeded(jnp.zeros(2, jnp.uint32), 3, "uniform", number(0.5), (), "float32"))
    described = save._described(book, jnp.int32(0), jnp.dtype("float32"))
    assert json.loads(json.dumps(described))["scale"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("k", "limit"), [pytest.param(8, 101_200, marks=pytest.mark.slow), (2, 35_000)])
def test_lenet_fits_into_few_bytes_and_gives_the_same_logits(k, limit, tmp_path):
    model, images = models.LeNet(), jax.random.uniform(jax.random.key(1), (50, 28, 28, 1))
    selector = paper.slot_machine(k, scores="factored", options="seeded")
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    variables = trained(selector, shapes)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, metadata=METADATA)
    assert (tmp_path / "ticket").stat().st_size < limit
    apply = jax.jit(lambda weights: model.apply({"params": weights}, images))
    expected = apply(selector.select(variables))
    np.testing.assert_array_equal(apply(slotjax.load_ticket(tmp_path / "ticket").weights), expected)


@pytest.mark.slow
def test_a_mask_that_keeps_a_fifth_takes_less_than_a_bit_per_connection(tmp_path):
    selector = paper.edge_popup(0.2, options="seeded")
    shapes = jax.eval_shape(models.LeNet().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    variables = trained(selector, shapes)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, metadata=METADATA)
    assert (tmp_path / "ticket").stat().st_size < 27_000
    chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket").weights, selector.select(variables))


@pytest.mark.quick("3-deflate")
@pytest.mark.parametrize(("k", "packing"), [(2, None), (3, "deflate"), (8, None)])
def test_indices_are_deflated_where_that_saves_a_tenth(k, packing, tmp_path):
    selector = paper.slot_machine(k, options="seeded")
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector, {"kernel": jnp.zeros((100, 100))}))
    content, _ = reader.parse((tmp_path / "ticket").read_bytes())
    assert content["weights"]["kernel"].get("packing") == packing


METADATA = {"model": "lenet", "classes": 10, "image_shape": [28, 28, 1], "dataset": "mnist", "epoch": 199}


def test_the_same_variables_give_the_same_bytes(ticket, tmp_path):
    selector = paper.slot_machine(5, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "again", selector, trained(selector))
    assert (tmp_path / "again").read_bytes() == ticket.read_bytes()


def test_a_failed_save_leaves_the_old_file(ticket, monkeypatch):
    before = ticket.read_bytes()
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    selector = paper.slot_machine(3)
    with pytest.raises(OSError, match="disk full"):
        slotjax.save_ticket(ticket, selector, trained(selector))
    assert ticket.read_bytes() == before
    assert [path.name for path in ticket.parent.iterdir()] == [ticket.name]


def test_nothing_is_written_through_a_link(ticket, tmp_path):
    """Neither at the place of the ticket, nor under a name that somebody could foresee."""
    selector, foreign = paper.slot_machine(3), tmp_path / "foreign"
    foreign.write_text("mine")
    for name in (".link.tmp", "link"):
        (tmp_path / name).symlink_to(foreign)
    slotjax.save_ticket(tmp_path / "link", selector, trained(selector))
    assert foreign.read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()
    assert slotjax.load_ticket(tmp_path / "link").settings["k"] == 3


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    selector = paper.slot_machine(3)
    with pytest.raises(FileExistsError, match="pipe is not a regular file"):
        slotjax.save_ticket(tmp_path / "pipe", selector, trained(selector))
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.quick("1e+38")
@pytest.mark.parametrize("sigma", [1e38, 1e-38])
def test_options_that_no_reader_takes_are_not_written(sigma, tmp_path):
    selector = paper.slot_machine(
        3, options="seeded", distribution=slotjax.distributions.Distribution("uniform", lambda shape: sigma)
    )
    variables = selector.init(jax.random.key(0), TREE)
    with pytest.raises(
        ValueError, match=r"variables: a ticket cannot hold them: scale 1e.* beyond the numbers of float32"
    ):
        slotjax.save_ticket(tmp_path / "ticket", selector, variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metadata": {"f": len}}, "metadata: it must be what JSON can hold"),
        ({"metadata": {"x": float("nan")}}, "metadata: it must be what JSON can hold"),
        ({"collections": {"params": {}}}, "collections: 'params' was given"),
        ({"collections": {"stats": {"a/b": {(1, 2): jnp.ones(1)}}}}, r"'a/b/\(1, 2\)' has a key that contains '/'"),
        ({"collections": {"stats": {"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)}}}, r"\['a/b'\] name two leaves each"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(arguments, message, tmp_path):
    selector = paper.slot_machine(3)
    with pytest.raises(ValueError, match=message):
        slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector), **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_numbers_of_numpy_and_python_come_back(tmp_path):
    unchecked = inspect.unwrap(slotjax.slot_machine)  # past the check of types
    selector = unchecked(np.int64(4), distribution=slotjax.distributions.glorot_uniform())
    variables = selector.init(jax.random.key(0), {"w": jnp.zeros((3, 4)), "number": 1.5})
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    assert ticket.settings["k"] == 4
    assert ticket.weights["number"].shape == ()
    assert float(ticket.weights["number"]) == 1.5
