"""What factored scores select, what they cost, and which variables they refuse."""

from typing import get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import training
from tests import paper


@pytest.mark.slow
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
def test_u_has_the_gradient_of_the_weight_and_a_has_none(selection, options, x64):
    selector = paper.slot_machine(4, selection, scores="factored", options=options)
    variables = selector.init(jax.random.key(0), jnp.zeros((6, 5)))
    cotangent = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)))

    def loss(trainable):
        return jnp.sum(selector.select(variables | {"params": trainable}, jax.random.key(1)) * cotangent)

    gradient = jax.grad(loss)(variables["params"])
    np.testing.assert_array_equal(gradient["u"], cotangent)
    assert gradient["a"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("scores", get_args(slotjax.selectors.Scores))
@pytest.mark.parametrize("selection", [pytest.param("greedy", marks=pytest.mark.slow), "probabilistic"])
@pytest.mark.parametrize(
    "kind", ["uniform", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("normal", "signed_constant"))]
)
def test_neither_storage_changes_what_is_drawn(kind, selection, scores):
    distribution = slotjax.distributions.Distribution(kind, lambda shape: 0.1)
    weights, all_scores, key = [], [], jax.random.key(2)
    for machine in ({}, {"scores": scores, "options": "stored"}, {"scores": scores, "options": "seeded"}):
        selector = paper.slot_machine(20, selection, distribution=distribution, **machine)
        variables = jax.jit(
            lambda s=selector: s.init(key, {"kernel": jnp.zeros((30, 40)), "conv": jnp.zeros((3, 3, 4, 5))})
        )()
        see = jax.jit(lambda v, s=selector: ((s.select(v), s.select(v, key), s.selection(v)), s.scores(v)))
        for made, one in zip((weights, all_scores), see(variables), strict=True):
            made.append(one)
    for other in (1, 2):
        chex.assert_trees_all_equal(weights[0], weights[other])
        chex.assert_trees_all_equal(all_scores[0], all_scores[other])


@pytest.mark.slow
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
def test_every_weight_is_exactly_an_option_whatever_u_is(selection, options):
    """In float32, where `u + (weight - u)` would round."""
    arguments = {"scores": "factored", "options": options}
    selector = paper.slot_machine(8, selection, **arguments)
    variables = selector.init(jax.random.key(0), jnp.zeros((50, 40)))
    options = np.asarray(paper.slot_machine(8).init(jax.random.key(0), jnp.zeros((50, 40)))["frozen"]["options"])
    u = jnp.asarray(np.random.default_rng(0).normal(size=(50, 40)), jnp.float32) * 1000
    variables["params"] = {"u": u, "a": jnp.float32(0.7)}
    for call in (selector.select, jax.jit(selector.select)):
        index = np.asarray(selector.selection(variables, jax.random.key(1)))
        np.testing.assert_array_equal(
            call(variables, jax.random.key(1)), np.take_along_axis(options, index[None], 0)[0]
        )
    best = np.argmax(np.asarray(selector.scores(variables)), 0)
    np.testing.assert_array_equal(selector.selection(variables), best)


def test_the_state_of_training_is_two_numbers_per_connection():
    for k in (2, 256):
        selector = paper.slot_machine(k, scores="factored", options="seeded")
        variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((100, 50))})
        state = training.sgd(0.1, 0.9).init(variables["params"])
        size = sum(leaf.nbytes for leaf in jax.tree.leaves((variables, state)))
        assert size <= 8 * 100 * 50 + 32


@pytest.mark.slow
def test_trials_can_be_vmapped_over_their_seeds():
    selector = paper.slot_machine(20, scores="factored", options="seeded")
    keys = jax.random.split(jax.random.key(0), 3)
    variables = jax.vmap(lambda key: selector.init(key, jnp.zeros((6, 4))))(keys)
    together = jax.vmap(selector.select)(variables)
    for index, key in enumerate(keys):
        np.testing.assert_array_equal(together[index], selector.select(selector.init(key, jnp.zeros((6, 4)))))


@pytest.mark.slow
def test_layers_take_factored_scores():
    selector = paper.slot_machine(5, "probabilistic", scores="factored", options="seeded")
    layer, x = slotjax.Dense(4, selector=selector), jnp.ones((2, 3))
    variables = layer.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables["params"]["kernel"]) == {"u": (3, 4), "a": ()}
    assert variables["frozen"]["kernel"]["seed"].dtype == jnp.uint32
    whole = selector.init(jax.random.key(0), {"kernel": jnp.zeros((3, 4))})
    key = jax.random.key(1)
    kernel = selector.select(whole, key)["kernel"]
    np.testing.assert_allclose(layer.apply(variables, x, rngs={"select": key}), x @ kernel, rtol=1e-6)


def variables_of(**arguments):
    return paper.slot_machine(3, **arguments).init(jax.random.key(0), {"w": jnp.zeros((6, 4))})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "used", "message"),
    [
        ({}, {"scores": "factored"}, "'w' has explicit scores, which cannot be turned into factored ones"),
        ({"scores": "factored"}, {}, r"'w' has factored scores, but .* scores='explicit'; `scores` of the selector"),
        ({"options": "seeded"}, {}, r"'w' has frozen \['seed'\], but .* needs \['options'\]"),
        ({"scores": "factored"}, {"scores": "factored", "options": "seeded"}, r"needs \['seed'\]"),
    ],
)
def test_variables_of_another_kind_of_selector_are_refused(made, used, message):
    for function in ("select", "selection", "scores"):
        with pytest.raises(ValueError, match=message):
            getattr(paper.slot_machine(3, **used), function)(variables_of(**made))


def test_u_of_another_shape_is_refused():
    variables = variables_of(scores="factored")
    variables["params"]["w"]["u"] = jnp.zeros((6, 5))
    with pytest.raises(ValueError, match=r"'w' has u of shape \(6, 5\), but options of shape \(3, 6, 4\)"):
        paper.slot_machine(3, scores="factored").select(variables)


@pytest.mark.slow
def test_stored_options_of_half_precision_have_factored_scores_in_float32():
    selector = paper.slot_machine(3, scores="factored")
    variables = selector.init(jax.random.key(0), jnp.zeros((6, 4), jnp.bfloat16))
    assert variables["params"]["u"].dtype == variables["params"]["a"].dtype == jnp.float32
    weights = selector.select(variables)
    assert weights.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(
        weights,
        paper.slot_machine(3).select(paper.slot_machine(3).init(jax.random.key(0), jnp.zeros((6, 4), jnp.bfloat16))),
    )
