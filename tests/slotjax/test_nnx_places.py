"""NNX modules with selected weights, wherever the module holds them and whatever they are."""

import copy
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import slotjax
from tests.slotjax.nnx_steps import ten_steps

KEY = jax.random.key(1)
X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)), jnp.float32)
MACHINE = slotjax.slot_machine(k=4)


def matrix(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(4, 4)) / 2, jnp.float32)


class Both(NamedTuple):
    one: nnx.Param
    other: nnx.Param


class Held(nnx.Pytree):
    def __init__(self):
        self.kernel = nnx.Param(matrix(0))


class Everywhere(nnx.Module):
    """Parameters wherever NNX keeps them; the dictionary is not in the order of its names."""

    def __init__(self):
        self.experts = nnx.data({"two": nnx.Param(matrix(1)), "one": [nnx.Param(matrix(2))]})
        self.pair = nnx.data((nnx.Param(matrix(3)), {"deep": Both(nnx.Param(matrix(4)), nnx.Param(jnp.ones(4)))}))
        self.held = Held()
        self.tree = nnx.Param({"kernel": matrix(5), "more": (matrix(6), jnp.ones(4))})
        self.tied = self.pair[0]

    def __call__(self, x):
        two, one = self.experts["two"], self.experts["one"]
        deep, tree = self.pair[1]["deep"], self.tree.get_value()
        for kernel in (two, *one, self.pair[0], deep.one, self.held.kernel, self.tied):
            x = jnp.tanh(x @ kernel[...]) * deep.other[...][None]
        return x @ tree["kernel"] @ tree["more"][0] + tree["more"][1][None]


def selected(module=Everywhere, selector=MACHINE):
    return slotjax.nnx.Selected(module(), selector, KEY)


def params_of(module, kind=nnx.Param):
    return nnx.to_pure_dict(nnx.state(module, kind))


def loss(model):
    return jnp.sum((model(X) - 1) ** 2)


def with_weights(module, weights):
    """The module with a tree of weights; those of a tuple come by number."""
    for path, node in nnx.iter_graph(module):
        if isinstance(node, nnx.Param):
            value = weights
            for name in path:
                value = value[name]
            node.set_value(value)
    return module


@pytest.mark.quick("factored")
@pytest.mark.parametrize(
    "selector",
    [MACHINE, slotjax.slot_machine(k=4, options="stored", scores="explicit", initial="uniform")],
    ids=["factored", "explicit"],
)
def test_weights_are_selected_wherever_they_are(selector):
    model, plain = selected(selector=selector), Everywhere()
    expected = selector.init(KEY, params_of(plain))
    chex.assert_trees_all_equal(model.variables(), expected)
    names = ["experts/one/0", "experts/two", "held/kernel", "pair/0", "pair/1/deep/one", "tree/kernel", "tree/more/0"]
    assert sorted(slotjax.selectors.random_values(expected["frozen"])) == names
    np.testing.assert_array_equal(model(X), with_weights(plain, selector.select(expected))(X))


def test_their_gradients_are_those_of_the_weights():
    model = selected()
    gradient, plain = nnx.grad(loss)(model)["module"], nnx.grad(loss)(model.weights())
    for path in (
        ("experts", "two"),
        ("experts", "one", 0),
        ("pair", 0),
        ("pair", 1, "deep", "one"),
        ("held", "kernel"),
    ):
        mine, its = gradient, plain
        for name in path:
            mine, its = mine[name], its[name]
        np.testing.assert_allclose(mine["u"][...], its[...], rtol=1e-5)
        assert np.any(mine["u"][...] != 0)
    np.testing.assert_allclose(gradient["tree"]["parts"][0]["u"][...], plain["tree"]["kernel"], rtol=1e-5)


@pytest.mark.slow
def test_an_optimizer_under_jit_trains_them_all():
    model = selected()
    before, frozen = model.variables()["params"], jax.tree.map(np.asarray, nnx.state(model, slotjax.nnx.Frozen))
    first = float(loss(model))
    ten_steps(model, loss)
    assert loss(model) < first / 2
    chex.assert_trees_all_equal(nnx.state(model, slotjax.nnx.Frozen), frozen)
    same = jax.tree.map(lambda one, other: bool(np.all(one == other)), before, model.variables()["params"])
    assert {path[-1].key for path, is_same in jax.tree_util.tree_leaves_with_path(same) if is_same} == {"a"}


def test_their_weights_and_ticket_are_those_of_a_plain_module(tmp_path):
    model = selected()
    weights = model.weights()
    assert type(weights.pair[1]["deep"]) is Both
    assert list(model.module.experts) == ["two", "one"]
    assert weights.tied is weights.pair[0]
    slotjax.save_ticket(tmp_path / "ticket", model.selector, model.variables())
    plain = with_weights(Everywhere(), slotjax.load_ticket(tmp_path / "ticket").weights)
    for one in (weights, plain):
        np.testing.assert_array_equal(one(X), model(X))


class Hidden:
    """A node of NNX that is neither one of its classes nor a pytree."""

    def __init__(self):
        self.kernel = nnx.Param(matrix(0))


def test_a_place_without_scores_is_one_sentence():
    nnx.graph.register_graph_node_type(
        Hidden,
        lambda node: (sorted(vars(node).items()), None),
        setattr,
        lambda node, name: vars(node).pop(name),
        lambda _: object.__new__(Hidden),
        lambda node: vars(node).clear(),
        lambda node, items: vars(node).update(items),
    )
    module = nnx.Dict(hidden=nnx.data(Hidden()))
    with pytest.raises(
        ValueError, match=r"^module: hidden/kernel is held where scores cannot replace it; hold it in an"
    ):
        slotjax.nnx.Selected(module, MACHINE, KEY)


def test_a_module_of_another_trace_is_refused():
    plain, by_name = Everywhere(), slotjax.slot_machine(k=4, where=lambda name, _: name == "experts/two")
    with pytest.raises(flax.errors.TraceContextError):
        jax.eval_shape(lambda key: slotjax.nnx.Selected(plain, by_name, key).variables(), KEY)
    assert isinstance(plain.experts["two"], nnx.Param)


class Halved(nnx.Param):
    """A parameter of its own class, made and read in ways of its own."""

    def __init__(self, seed, **metadata):
        super().__init__(matrix(seed), **metadata)

    def get_value(self, *, index=None):
        value = self.get_raw_value()
        return (value if index is None or index is ... else value[index]) / 2


class Classes(nnx.Module):
    def __init__(self):
        self.base = nnx.Param(matrix(0), label="base")
        self.lora_a, self.lora_b = nnx.LoRAParam(matrix(1), label="a"), nnx.LoRAParam(jnp.zeros((4, 4)))
        self.halved, self.tree = Halved(2), nnx.LoRAParam({"kernel": matrix(3), "bias": jnp.ones(4)})

    def __call__(self, x):
        low = x @ self.lora_a[...] @ (self.lora_b[...] + self.tree["kernel"])
        return (x @ self.base[...] + low) @ self.halved[...] + self.tree["bias"][None]


def classes_of(module):
    return {path: type(node) for path, node in nnx.iter_graph(module) if isinstance(node, nnx.Param)}


def test_scores_and_weights_keep_class_and_metadata():
    model = selected(Classes)
    weights, plain = model.weights(), Classes()
    assert classes_of(weights) == classes_of(plain)
    assert sorted(params_of(model, nnx.LoRAParam)["module"]) == ["lora_a", "lora_b", "tree"]
    assert isinstance(model.module.halved.u, Halved)
    for one in (weights.lora_a, model.module.lora_a.u):
        assert one.get_metadata("label") == "a"


def test_an_optimizer_of_a_class_trains_its_scores():
    model = selected(Classes)
    before = params_of(model)["module"]
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.LoRAParam)
    optimizer.update(model, nnx.grad(loss, argnums=nnx.DiffState(0, nnx.LoRAParam))(model))
    after = params_of(model)["module"]
    assert np.any(after["lora_a"]["u"] != before["lora_a"]["u"])
    assert np.any(after["tree"]["parts"][1]["u"] != before["tree"]["parts"][1]["u"])
    chex.assert_trees_all_equal(after["base"], before["base"])


def test_a_class_that_reads_in_a_way_of_its_own_reads_what_is_selected():
    model = selected(Classes)
    weights = model.selector.select(model.variables())
    np.testing.assert_array_equal(model.weights().halved[...], weights["halved"] / 2)
    given = slotjax.slot_machine(k=256, initial="given")
    np.testing.assert_allclose(selected(Classes, given).weights().halved[...], matrix(2) / 2, atol=0.1)


class Gain(nnx.Module):
    def __init__(self):
        self.first, self.shift, self._power = nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Param(jnp.zeros(4)), 1
        self.gain, self.rngs, self.deterministic = 1.0, nnx.Rngs(0), False

    def __call__(self, x):
        return self.gain * x**self._power + self.shift[...][None]


def test_what_is_set_is_what_the_module_goes_on_with():
    model = selected(Gain)
    model.gain, model._power, model.shift = 10.0, 2, nnx.Param(jnp.ones(4))
    np.testing.assert_array_equal(model(X), 10 * X**2 + 1)
    np.testing.assert_array_equal(nnx.jit(lambda model: model(X))(model), 10 * X**2 + 1)
    assert (model.gain, model.module.gain, vars(model).get("gain")) == (10, 10, None)
    model.deterministic = True
    assert (model.deterministic, model.module.deterministic) == (True, True)
    model.train()
    assert (model.deterministic, model.module.deterministic) == (False, False)
    model.other, model.selector = 3, slotjax.slot_machine(k=4)
    assert model.other == 3
    assert not hasattr(model.module, "other")


def test_what_cannot_be_set_is_one_sentence():
    model = selected(Gain)
    with pytest.raises(
        ValueError, match=r"^rngs: the slotjax.nnx.Selected has it too; set that of the module, its \.mod"
    ):
        model.rngs = nnx.Rngs(1)
    for name, value in (("first", nnx.Linear(4, 4, rngs=nnx.Rngs(1))), ("first", None)):
        with pytest.raises(ValueError, match=r"^first: its weights are selected, so it cannot be set to anything else"):
            setattr(model, name, value)
    with pytest.raises(ValueError, match=r"^pair: its weights are selected"):
        selected().pair = ()


class Slow(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(matrix(0))

    def __call__(self, x):
        time.sleep(0.01)  # so that others come meanwhile
        return x @ self.kernel[...]


def test_threads_may_share_a_model():
    model = selected(Slow)
    expected, variables, call = model(X), model.variables(), nnx.jit(lambda model: model(X))
    with ThreadPoolExecutor(4) as threads:
        outputs = threads.map(lambda _: model(X), range(8))
        others = threads.map(lambda _: (model.variables(), model.weights()), range(4))
        for output in outputs:
            np.testing.assert_array_equal(output, expected)
        for mine, weights in others:
            chex.assert_trees_all_equal(mine, variables)
            np.testing.assert_array_equal(weights(X), expected)
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    for one in (model, again, selected(Slow)):
        np.testing.assert_allclose(call(one), expected, rtol=1e-6)
