"""However one enters a module with selected weights, it never computes with scores."""

import copy
import pickle
from typing import Any

import chex
import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax.linen import Selected

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
MASK = slotjax.edge_popup(0.5)  # whose scores have the weight's shape


class Coder(nn.Module):
    inner: nn.Module

    def setup(self):
        self.head = nn.Dense(2)
        self.norm = nn.BatchNorm(use_running_average=False)

    def encode(self, x):
        return self.norm(self.inner(x))

    def __call__(self, x):
        return self.head(self.encode(x))


PLAIN = Coder(nn.Dense(5))
MODEL = Selected(PLAIN, MASK)


@pytest.fixture(scope="module")
def variables():
    return MODEL.init(jax.random.key(0), X)


class WithParameter(nn.Module):
    def setup(self):
        self.first = self.param("first", nn.initializers.normal(), (4, 4))
        self.second = nn.Dense(4)

    def __call__(self, x):
        return self._hidden(x)

    def _hidden(self, x):
        return self.second(x @ self.first)

    @nn.nowrap
    def thrice(self, x):
        return 3 * x


class Outer(nn.Module):
    inner: nn.Module
    use: Any = lambda inner, x: inner(x)

    def __call__(self, x):
        return self.use(self.inner, x)


@pytest.mark.parametrize("selector", [MASK, slotjax.slot_machine()])
@pytest.mark.parametrize(
    "module", [WithParameter(), nn.Embed(7, 4), Outer(nn.Embed(7, 4))], ids=["own", "embed", "field"]
)
def test_parameters_of_setup_are_those_of_the_pytree(module, selector):
    inputs = X if isinstance(module, WithParameter) else jnp.arange(3)
    variables = Selected(module, selector).init(jax.random.key(0), inputs)
    plain = module.init(jax.random.key(0), inputs)["params"]
    chex.assert_trees_all_equal(variables, selector.init(jax.random.key(0), plain))
    expected = module.apply({"params": selector.select(variables)}, inputs)
    np.testing.assert_array_equal(Selected(module, selector).apply(variables, inputs), expected)


def test_another_module_gets_selected_weights_or_none():
    private = Outer(Selected(WithParameter(), MASK), lambda inner, x: inner._hidden(x))
    variables = private.init(jax.random.key(0), X)
    expected = WithParameter().apply({"params": MASK.select(variables)["inner"]}, X)
    np.testing.assert_array_equal(private.apply(variables, X), expected)
    for use in (lambda inner, x: x @ inner.first, lambda inner, x: inner.second(x)):
        with pytest.raises(AttributeError, match="SelectedWithParameter"):
            Outer(Selected(WithParameter(), MASK), use).apply(variables, X)


def test_it_pickles_and_its_other_methods_need_no_variables():
    model = Selected(WithParameter(), MASK)
    assert pickle.loads(pickle.dumps(model)) == model == copy.deepcopy(model)
    assert model.thrice(2) == 6


@pytest.mark.parametrize("method", ["encode", Coder.encode, MODEL.encode, lambda model, x: model.norm(model.inner(x))])
def test_any_function_of_the_module_has_its_selected_weights(method, variables):
    others = {"batch_stats": variables["batch_stats"], "params": MASK.select(variables)}
    expected, stats = PLAIN.apply(others, X, method="encode", mutable="batch_stats")
    found, changed = MODEL.apply(variables, X, method=method, mutable="batch_stats")
    np.testing.assert_array_equal(found, expected)
    assert set(changed) == {"batch_stats"}
    jax.tree.map(np.testing.assert_array_equal, changed, stats)


def test_its_parts_have_them_too(variables):
    expected = nn.Dense(5).apply({"params": MASK.select(variables)["inner"]}, X)
    np.testing.assert_array_equal(MODEL.apply(variables, X, method="inner"), expected)
    bound = MODEL.bind(variables)
    np.testing.assert_array_equal(bound.inner(X), expected)
    assert type(bound) is Coder
    np.testing.assert_array_equal(
        bound.variables["params"]["inner"]["kernel"], MASK.select(variables)["inner"]["kernel"]
    )


@pytest.mark.parametrize("method", [Coder.encode, lambda model, x: model.inner(x)])
def test_init_by_any_function_selects(method):
    made = MODEL.init(jax.random.key(0), X, method=method)
    assert set(made["frozen"]["inner"]["kernel"]) >= {"weight"}


def test_functions_of_flax_that_pass_it_by_are_refused(variables):
    sentence = "module: nn.apply and nn.init would run it on scores; use its own `apply`"
    with pytest.raises(ValueError, match=sentence):
        nn.apply(lambda model, x: model.inner(x), MODEL)(variables, X)
    with pytest.raises(ValueError, match=sentence):
        nn.init(lambda model, x: model.inner(x), MODEL)(jax.random.key(0), X)


def test_without_its_random_values_it_is_not_bound(variables):
    with pytest.raises(ValueError, match="frozen: the collection with the random values"):
        MODEL.bind({"params": variables["params"]})


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.WeightNorm(nn.Dense(4))(x)


class Frozen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(x) + self.variable("frozen", "shift", jnp.zeros, (4,)).value[None]


@pytest.mark.parametrize("module", [Normed(), Frozen()])
def test_modules_that_use_its_collections_are_refused(module):
    with pytest.raises(ValueError, match=r"^module: a part of it has a collection of the name 'frozen', or maps"):
        Selected(module, MASK).init(jax.random.key(0), X)


def test_another_collection_that_is_missing_is_flaxs_error(variables):
    with pytest.raises(flax.errors.ScopeCollectionNotFound, match="batch_stats"):
        MODEL.apply({name: variables[name] for name in ("params", "frozen")}, X)
