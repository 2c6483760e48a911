"""Weights and collections come back in their own structure, and a ticket has nothing imported or run for that."""

import json
import sys
from collections import namedtuple
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import chex
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import slotjax
from slotjax.selectors import named_leaves
from slotjax.tickets import container, reader
from slotjax.tickets.rebuilt import rebuilt
from slotjax.tickets.structure import nested, structure
from tests.slotjax.foreign import INITS

ONES = jnp.ones(2)


class Layer(NamedTuple):
    kernel: Any
    bias: Any


class Attention(NamedTuple):
    query: Any
    value: Any


class Outer:
    class Inner(NamedTuple):
        a: Any
        b: Any


class Mine(nnx.Variable):
    """A variable of one's own."""


class Running(nnx.Variable):
    """A variable whose class does something when it is made."""

    def __init__(self, value, **more):
        pytest.fail("a class that a ticket names was run")


def saved(collection, path):
    """What comes back of a collection."""
    selector = slotjax.slot_machine(2)
    variables = selector.init(jax.random.key(0), jnp.array([[1.0, -1.0]]))
    slotjax.save_ticket(path / "ticket", selector, variables, {"stats": collection})
    reader.parse((path / "ticket").read_bytes())
    return slotjax.load_ticket(path / "ticket").collections["stats"]


TREES = {
    "named tuple": Layer(ONES, [ONES, {"a/b": 2 * ONES}]),
    "value beside another": {"a": Attention(ONES, 2 * ONES), "b": nnx.Param(3 * ONES)},
    "nested class": {"x": Outer.Inner(None, (ONES,))},
    "none": {"a": None, "b": [None, ONES], "c": ()},
    "integer keys": {"a": {10: ONES, 9: 2 * ONES}, "b/c": ONES},
    "state": nnx.State({"a/b": {0: nnx.Param(ONES), 1: ONES}, "c": nnx.State({"d": Mine(ONES)})}),
    "statistics": nnx.State({"mean": nnx.BatchStat(ONES), "of a state": nnx.Param({"x": ONES})}),
    "in a list": [nnx.State({"a": Layer(ONES, nnx.Param(3 * ONES))})],
}


@pytest.mark.quick("state", "value beside another")
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_a_tree_comes_back_as_it_was(tree, tmp_path):
    again = saved(tree, tmp_path)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    chex.assert_trees_all_equal(again, tree)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in INITS if not name.startswith("Equinox")])
def test_weights_of_every_library_have_a_structure(name):
    shapes = jax.eval_shape(INITS[name], jax.random.key(0))
    named = named_leaves(shapes)
    node = json.loads(json.dumps(structure(shapes), sort_keys=True))
    again = nested(named) if node is None else rebuilt(node, named)
    assert jax.tree.structure(again) == jax.tree.structure(shapes)
    assert named_leaves(again) == named


def perceptron(images):
    return hk.nets.MLP([20, 5])(images)


@pytest.mark.slow
def test_a_haiku_network_runs_from_its_ticket(tmp_path):
    """Its modules are called `mlp/~/linear_0`, and its biases are not selected."""
    network, images = hk.without_apply_rng(hk.transform(perceptron)), jnp.ones((3, 7))
    selector = slotjax.partition({".*/w": slotjax.slot_machine(4), ".*": slotjax.learned()})
    variables = selector.init(jax.random.key(1), network.init(jax.random.key(0), images))
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket").weights
    assert sorted(weights) == ["mlp/~/linear_0", "mlp/~/linear_1"]
    np.testing.assert_array_equal(network.apply(weights, images), network.apply(selector.select(variables), images))


@pytest.mark.slow
def test_an_nnx_module_takes_the_weights_of_a_ticket(tmp_path):
    model, x, selector = nnx.Linear(7, 5, rngs=nnx.Rngs(0)), jnp.ones((3, 7)), slotjax.slot_machine(4)
    variables = selector.init(jax.random.key(1), nnx.state(model, nnx.Param))
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket").weights
    assert jax.tree.structure(weights) == jax.tree.structure(nnx.state(model, nnx.Param))
    nnx.update(model, weights)
    np.testing.assert_array_equal(model.kernel[...], selector.select(variables)["kernel"][...])
    assert model(x).shape == (3, 5)


def test_metadata_of_variables_comes_from_like_and_its_loss_is_said(tmp_path):
    state = nnx.State({"kernel": nnx.Param(jnp.array([[1.0, -1.0]]), out_sharding=("in", "out"), eager_sharding=False)})
    selector = slotjax.slot_machine(2)
    variables = selector.init(jax.random.key(0), state)
    with pytest.warns(UserWarning, match=r"^ticket: it does not hold the metadata \['out_sharding'\] of NNX variables"):
        slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    weights = slotjax.load_ticket(tmp_path / "ticket", like=state).weights
    assert weights["kernel"].get_metadata() == state["kernel"].get_metadata()
    chex.assert_trees_all_equal(weights, selector.select(variables))
    assert "out_sharding" not in slotjax.load_ticket(tmp_path / "ticket").weights["kernel"].get_metadata()


def gone():
    return namedtuple("Gone", ["kernel", "bias"])


@pytest.mark.parametrize(
    "other",
    [None, gone(), namedtuple("Layer", ["bias", "kernel"]), dict, lambda *values: pytest.fail("it was run")],
)
def test_a_named_tuple_whose_class_is_another_becomes_a_dictionary(other, tmp_path, monkeypatch):
    class_of_then = gone()
    class_of_then.__module__ = __name__
    monkeypatch.setattr(sys.modules[__name__], "Gone", class_of_then, raising=False)
    assert type(saved(class_of_then(ONES, 2 * ONES), tmp_path)) is class_of_then
    monkeypatch.setattr(sys.modules[__name__], "Gone", other)
    if getattr(other, "_fields", None) == ("kernel", "bias"):
        assert type(slotjax.load_ticket(tmp_path / "ticket").collections["stats"]) is other
        return
    with pytest.warns(UserWarning, match=r"Gone is not imported or not a named tuple with the fields \['kernel', 'bia"):
        again = slotjax.load_ticket(tmp_path / "ticket").collections["stats"]
    chex.assert_trees_all_equal(again, {"kernel": ONES, "bias": 2 * ONES})


def test_like_needs_no_class(tmp_path, monkeypatch):
    selector, params = slotjax.slot_machine(2), Layer(jnp.array([[1.0, -1.0]]), ONES)
    variables = selector.init(jax.random.key(0), params)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    monkeypatch.delattr(sys.modules[__name__], "Layer")
    weights = slotjax.load_ticket(tmp_path / "ticket", like=params).weights
    chex.assert_trees_all_equal(weights, selector.select(variables))


class Lazy(ModuleType):
    """A module that would import what it is asked for."""

    asked: ClassVar = []

    def __getattr__(self, name):
        self.asked.append(name)
        raise AttributeError(name)


@pytest.mark.parametrize(
    "names", [("lazy_module", "A"), ("this", "A"), ("os", "system"), ("os", "path.join.A"), ("", "")]
)
def test_nothing_is_imported_or_run_for_a_named_tuple(names, monkeypatch):
    monkeypatch.setitem(sys.modules, "lazy_module", Lazy("lazy_module"))
    monkeypatch.delitem(sys.modules, "this", raising=False)
    node = {"namedtuple": {"class": list(names), "fields": [["a", "x"]]}}
    with pytest.warns(UserWarning, match="is not imported or not a named tuple"):
        assert rebuilt(node, {"x": 1}) == {"a": 1}
    assert "this" not in sys.modules
    assert "A" not in Lazy.asked


@pytest.mark.parametrize("names", [[__name__, "Running"], [__name__, "Layer"], ["missing", "Param"]])
def test_a_variable_of_another_class_is_a_plain_one(names):
    node = {"variable": {"class": names, "value": "x"}}
    with pytest.warns(UserWarning, match="is not imported or not a variable of NNX"):
        again = rebuilt(node, {"x": ONES})
    assert type(again) is nnx.Variable
    np.testing.assert_array_equal(again[...], ONES)


FORGERIES = [
    {"items": [["a", "x"], ["a", "y"]]},
    {"items": [["a", "x"], [1.5, "y"]]},
    {"items": [["a", "x"], [True, "y"]]},
    {"items": [["a", "x"], [[], "y"]]},
    {"items": {"a": "x", "b": "y"}},
    {"state": {"list": ["x", "y"]}},
    {"state": "x"},
    {"variable": {"class": "x", "value": {"list": ["x", "y"]}}},
    {"variable": {"class": [1, 2], "value": {"list": ["x", "y"]}}},
    {"variable": {"class": ["flax", []], "value": {"list": ["x", "y"]}}},
    {"namedtuple": {"class": ["a", "b"], "fields": {"x": "x", "y": "y"}}},
    {"namedtuple": {"class": ["a", "b"], "fields": [["a", "x"], ["a", "y"]]}},
    {"namedtuple": {"fields": [["a", "x"], ["b", "y"]]}},
    {"namedtuple": []},
    {"list": ["x", {"list": []}, None, 3, "y"]},
    {"list": ["x"]},
    {"list": ["x", "x", "y"]},
]


@pytest.mark.filterwarnings("ignore:ticket. a.b is not imported")
@pytest.mark.parametrize("node", FORGERIES)
def test_a_forged_structure_is_refused(node, tmp_path):
    content = {"format": 2, "selector": {}, "weights": {}, "metadata": {}, "trees": {"stats": node}}
    content["arrays"] = {"stats/x": "float32", "stats/y": "float32"}
    tensors = {f"array/stats/{name}": np.zeros(3, np.float32) for name in "xy"}
    (tmp_path / "ticket").write_bytes(container.serialized(tensors, json.dumps(content)))
    reader.parse((tmp_path / "ticket").read_bytes())
    with pytest.raises(ValueError, match=r"ticket: .* cannot be read: "):
        slotjax.load_ticket(tmp_path / "ticket")


def test_an_empty_collection_is_left_out(tmp_path):
    selector = slotjax.slot_machine(2)
    variables = selector.init(jax.random.key(0), jnp.array([[1.0, -1.0]]))
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, {"stats": {"a": ()}, "more": nnx.State({})})
    assert slotjax.load_ticket(tmp_path / "ticket").collections == {}


def test_names_say_what_is_nested_dictionaries():
    assert structure({"a": {"b": ONES}, "c": ONES}) is None
    assert structure({"a/b": ONES}) == {"dict": {"a/b": "a/b"}}


def test_truth_values_as_keys_are_told_by_no_structure():
    assert structure({True: jnp.ones(2), False: jnp.ones(2)}) is None
