"""The table of methods: every entry is whole, and fits the settings and the programs' flags."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request, Settings
from experiments.flags.resolve import resolve
from experiments.flags.rules import check
from experiments.methods import METHODS, describe, method_of, selector_of
from slotjax.selectors import named_leaves

FILLED = {field.name for field in dataclasses.fields(Settings) if field.default is dataclasses.MISSING}
TEXT = {"model": "char_transformer", "dataset": "stdlib"}
DATASETS, MODELS = ("mnist", "cifar10", "imagenet2012"), ("lenet", "conv2", "vgg19", "resnet50")


@pytest.mark.parametrize("name", METHODS)
def test_a_recipe_fills_what_may_be_absent_and_nothing_else(name):
    assert set(METHODS[name].recipe) == FILLED
    assert {field.name for field in dataclasses.fields(Request) if field.name in FILLED and field.default is None} == (
        FILLED
    )


@pytest.mark.parametrize("name", METHODS)
def test_whatever_is_asked_for_a_recipe_gives_settings_that_are_allowed(name):
    for dataset in DATASETS:
        for model in MODELS:
            settings = resolve(Request(method=name, dataset=dataset, model=model))
            check(settings, Execution())
            # None stands for as many steps as there are.
            assert None not in {getattr(settings, field) for field in FILLED - {"epoch_steps"}}
            assert resolve(settings) == settings


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_words_and_a_selector_of_its_own(name):
    settings = resolve(Request(method=name))
    assert set(METHODS[name].flags) < {field.name for field in dataclasses.fields(Request)} - FILLED
    selector = selector_of(settings)
    variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)})
    assert selector.select(variables)["kernel"].shape == (4, 3)
    params = {"kernel": jnp.ones((4, 3)) * jnp.array([[1.0, -1.0, 2.0]])}
    (row,) = slotjax.summary(selector, params).rows
    assert METHODS[name].bits(settings) == pytest.approx(row.bits)
    others = [resolve(Request(method=other)) for other in METHODS if other != name]
    assert describe(settings) not in map(describe, others)
    assert METHODS[name].short(settings) not in {method_of(other).short(other) for other in others}


def test_a_value_that_is_given_is_kept():
    asked = Request(method="edge_popup", learning_rate=0.0, epochs=3, dataset="imagenet2012", dropout=0.0)
    settings = resolve(asked)
    assert (settings.learning_rate, settings.epochs, settings.dropout) == (0.0, 3, 0.0)
    assert settings.warmup_epochs == 2  # of 5, so that there is one epoch after it
    assert resolve(dataclasses.replace(asked, warmup_epochs=4)).warmup_epochs == 4


def test_random_weights_of_edge_popup_are_scaled_for_the_share_that_is_kept():
    plain, scaled = (
        selector_of(resolve(Request(method="edge_popup", keep_fraction=0.25, scale_for_kept=scale)))
        for scale in (False, True)
    )
    key, params = jax.random.key(0), {"kernel": jnp.zeros((4, 4))}
    one, other = (
        np.max(np.abs(jax.jit(lambda s=s: s.select(s.init(key, params)))()["kernel"])) for s in (plain, scaled)
    )
    assert other == pytest.approx(2 * one)


@pytest.mark.parametrize(
    ("where", "fixed", "selected"),
    [
        ("kernels", "learned", ["a/kernel"]),
        ("all", "learned", ["a/kernel", "b/embedding"]),
        ("kernels", "fixed", ["a/kernel"]),
    ],
)
@pytest.mark.parametrize("name", ["slot_machine", "edge_popup"])
def test_of_a_transformer_kernels_are_selected_or_all(name, where, fixed, selected):
    settings = resolve(Request(method=name, where=where, biases_and_scales=fixed, **TEXT))
    draw = jax.nn.initializers.normal(0.5)
    params = {"a": {"kernel": draw(jax.random.key(1), (2, 3, 4)), "bias": jnp.zeros(4)}}
    params["b"] = {"embedding": draw(jax.random.key(2), (3, 4)), "scale": jnp.ones(4)}
    selector = selector_of(settings)
    variables = selector.init(jax.random.key(0), params)
    assert [*named_leaves(jax.eval_shape(selector.selection, variables))] == selected
    trained = {*named_leaves(variables["params"])}
    assert ("a/bias" in trained, "b/scale" in trained) == (fixed == "learned",) * 2


def options_of(selector, params):
    """All options of the only kernel."""
    draw = jax.jit(lambda variables: selector.codebooks(variables)["kernel"].options.values())
    return draw(selector.init(jax.random.key(0), params))


@pytest.mark.parametrize(
    ("distribution", "deviations"), [("own", 3**0.5), ("own_uniform", 3**0.5), ("own_bell", None), ("own_normal", None)]
)
def test_own_distributions_have_the_deviation_of_the_weights(distribution, deviations):
    settings = resolve(Request(distribution=distribution, k=16, initial="nearest"))
    weights = {"kernel": 0.5 * jax.random.normal(jax.random.key(1), (64, 64))}
    selector = selector_of(settings)
    options = np.asarray(options_of(selector, weights))
    assert float(options.std()) == pytest.approx(0.5, rel=0.03)
    greatest = float(np.abs(options).max()) / 0.5
    assert greatest > 3 if deviations is None else greatest == pytest.approx(deviations, rel=0.03)


def test_a_factor_widens_the_options():
    weights = {"kernel": jax.random.normal(jax.random.key(1), (32, 32))}
    one, three = (
        selector_of(resolve(Request(distribution="own_normal", scale_factor=factor, initial="nearest")))
        for factor in (1.0, 3.0)
    )
    narrow, wide = (options_of(selector, weights) for selector in (one, three))
    np.testing.assert_allclose(3 * narrow, wide, rtol=1e-6)
