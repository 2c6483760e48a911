"""The slot machine selector over pytrees: structure, randomness, gradients and errors."""

from typing import get_args

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from tests import paper, reference

TREES = {
    "array": jnp.zeros((6, 4)),
    "dict": {"dense": {"kernel": jnp.zeros((6, 4)), "bias": jnp.ones(4)}, "conv": {"kernel": jnp.zeros((3, 3, 2, 5))}},
    "list": [jnp.zeros((6, 4)), (jnp.zeros((4, 2)), jnp.ones(2))],
    "frozen dict": flax.core.freeze({"kernel": jnp.zeros((6, 4)), "scale": jnp.ones((1, 4))}),
}
SELECTIONS = get_args(slotjax.selectors.Selection)


@pytest.fixture(params=TREES)
def params(request):
    return TREES[request.param]


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
def test_weights_are_shaped_like_params_and_the_rest_is_untouched(params, selection):
    selector = paper.slot_machine(3, selection)
    variables = selector.init(jax.random.key(0), params)
    weights = selector.select(variables, jax.random.key(1))
    chex.assert_trees_all_equal_shapes_and_dtypes(weights, params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not slotjax.selectors.matrices_and_kernels(jax.tree_util.keystr(path, simple=True, separator="/"), leaf):
            chosen = dict(jax.tree_util.tree_leaves_with_path(weights))[path]
            np.testing.assert_array_equal(chosen, leaf)


def test_scores_and_options_have_one_more_axis_and_stand_where_the_weight_stood():
    variables = paper.slot_machine(3).init(jax.random.key(0), TREES["dict"])
    assert variables["params"]["conv"]["kernel"].shape == (3, 3, 3, 2, 5)
    assert variables["params"]["dense"]["bias"].shape == (4,)
    assert variables["frozen"]["conv"]["kernel"]["options"].shape == (3, 3, 3, 2, 5)
    assert len(jax.tree.leaves(variables["frozen"])) == 2


@pytest.mark.quick("dict")
def test_every_weight_is_the_option_that_selection_names(params):
    selector = paper.slot_machine(5)
    variables = selector.init(jax.random.key(0), params)
    indices = jax.tree.leaves(selector.selection(variables))
    options = jax.tree.leaves(variables["frozen"])
    weights = [leaf for leaf in jax.tree.leaves(selector.select(variables)) if leaf.ndim >= 2 and leaf.shape != (1, 4)]
    assert len(indices) == len(options) == len(weights) > 0
    for index, option, weight in zip(indices, options, weights, strict=True):
        np.testing.assert_array_equal(weight, reference.selected(np.asarray(option), np.asarray(index)))


@pytest.mark.parametrize("selection", SELECTIONS)
def test_without_a_key_the_best_score_is_selected(selection):
    selector = paper.slot_machine(5, selection)
    variables = selector.init(jax.random.key(0), jnp.zeros((6, 4)))
    expected = reference.greedy(np.asarray(variables["params"]))
    np.testing.assert_array_equal(selector.selection(variables), expected)


def test_draws_are_fresh_for_every_key_and_leaf():
    selector = paper.slot_machine(2, "probabilistic")
    variables = selector.init(jax.random.key(0), {"a": jnp.zeros((30, 30)), "d": jnp.zeros((30, 30))})
    first, second = (selector.selection(variables, jax.random.key(key)) for key in (1, 2))
    for one, other in ((first["a"], second["a"]), (first["a"], first["d"])):
        assert 0.4 < np.mean(np.asarray(one) != np.asarray(other)) < 0.6
    chex.assert_trees_all_equal(first, selector.selection(variables, jax.random.key(1)))


def test_random_values_follow_the_name_of_a_weight_and_not_its_place():
    selector, key = paper.slot_machine(3), jax.random.key(0)
    alone = selector.init(key, {"a": {"kernel": jnp.zeros((6, 4))}})
    among = selector.init(key, {"A": jnp.zeros((2, 2)), "a": {"bias": jnp.zeros(3), "kernel": jnp.zeros((6, 4))}})
    np.testing.assert_array_equal(alone["params"]["a"]["kernel"], among["params"]["a"]["kernel"])
    np.testing.assert_array_equal(alone["frozen"]["a"]["kernel"]["options"], among["frozen"]["a"]["kernel"]["options"])


def test_equal_shapes_under_different_names_have_different_options():
    kernel = {"kernel": jnp.zeros((6, 4))}
    frozen = paper.slot_machine(3).init(jax.random.key(0), {"a": kernel, "d": kernel, "a2": {"a": kernel}})["frozen"]
    first, *others = (np.asarray(leaf["kernel"]["options"]) for leaf in (frozen["a"], frozen["d"], frozen["a2"]["a"]))
    assert not any(np.any(first == other) for other in others)


def test_shapes_are_enough():
    selector, key, params = paper.slot_machine(3), jax.random.key(0), {"kernel": jnp.zeros((6, 4))}
    shapes = jax.eval_shape(lambda: params)
    chex.assert_trees_all_equal(selector.init(key, shapes), selector.init(key, params))


def test_bfloat16_weights_have_float32_scores():
    selector = paper.slot_machine(3)
    variables = selector.init(jax.random.key(0), jnp.zeros((6, 4), jnp.bfloat16))
    assert variables["params"].dtype == jnp.float32
    assert variables["frozen"]["options"].dtype == jnp.bfloat16
    assert selector.select(variables).dtype == jnp.bfloat16
    gradient = jax.grad(lambda p: selector.select(variables | {"params": p}).astype(jnp.float32).sum())
    options = np.asarray(variables["frozen"]["options"], np.float32)
    np.testing.assert_array_equal(gradient(variables["params"]), options)


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
def test_select_under_jit_vmap_and_one_compilation(selection):
    selector = paper.slot_machine(3, selection)
    seeds = jax.random.split(jax.random.key(0), 4)
    batched = jax.vmap(lambda key: selector.init(key, jnp.zeros((6, 4))))(seeds)
    traces = []
    select = jax.jit(lambda *arguments: traces.append(1) or selector.select(*arguments))
    for index, seed in enumerate(seeds):
        single = selector.init(seed, jnp.zeros((6, 4)))
        chex.assert_trees_all_equal(jax.tree.map(lambda leaf, i=index: leaf[i], batched), single)
        np.testing.assert_array_equal(select(single, seed), selector.select(single, seed))
    assert len(traces) == 1


def test_where_chooses_the_weights():
    selector = paper.slot_machine(2, where=lambda name, leaf: name.startswith("head"))
    variables = selector.init(jax.random.key(0), {"body": jnp.zeros((6, 4)), "head": jnp.zeros((4, 2))})
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {"body": (6, 4), "head": (2, 4, 2)},
        "frozen": {"body": {}, "head": {"options": (2, 4, 2)}},
    }


def test_a_tree_without_any_weight_to_select_is_refused():
    selector = paper.slot_machine()
    variables = selector.init(jax.random.key(0), {"bias": jnp.zeros(3)})
    with pytest.raises(ValueError, match="no weight is selected; see `where`"):
        selector.select(variables)


def test_a_leaf_that_stays_needs_a_value():
    shapes = jax.eval_shape(lambda: {"kernel": jnp.zeros((6, 4)), "bias": jnp.zeros(4)})
    with pytest.raises(ValueError, match="'bias' is not selected by `where`, so it needs an array"):
        paper.slot_machine().init(jax.random.key(0), shapes)


def test_a_weight_that_cannot_be_drawn_is_named():
    selector = paper.slot_machine(where=lambda name, leaf: True)
    with pytest.raises(ValueError, match=r"'a/bias': fans need a weight of two or more"):
        selector.init(jax.random.key(0), {"a": {"bias": jnp.zeros(3)}})


def test_boxes_around_a_leaf_are_no_part_of_its_name():
    from flax import nnx

    attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0))
    state = nnx.state(attention, nnx.Param)
    selector = paper.slot_machine(3)
    boxed, plain = (selector.init(jax.random.key(0), tree) for tree in (state, nnx.to_pure_dict(state)))
    chex.assert_trees_all_equal(*(jax.tree.leaves(variables) for variables in (boxed, plain)))
    assert plain["params"]["query"]["bias"].shape == (2, 4)
    chex.assert_trees_all_equal_shapes_and_dtypes(selector.select(boxed), state)


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"params: \['a/b'\] name two leaves"):
        paper.slot_machine().init(jax.random.key(0), {"a/b": jnp.zeros((6, 4)), "a": {"b": jnp.zeros((6, 4))}})


def test_odd_leaves_stay_as_they_are():
    params = {
        "w": np.ones((6, 4)),
        "none": None,
        "number": 1.0,
        "empty": {},
        "nothing": jnp.zeros((0, 3)),
        "n": np.eye(2, dtype=int),
    }
    selector = paper.slot_machine(3)
    variables = selector.init(jax.random.key(0), params)
    weights = selector.select(variables)
    assert jax.tree.structure(weights) == jax.tree.structure(params)
    assert weights["w"].dtype == jnp.float32
    assert weights["number"] == 1.0
    assert selector.init(jax.random.key(0), {}) == {"params": {}, "frozen": {}}


def test_scores_and_options_of_different_shapes_are_refused():
    variables = paper.slot_machine(3).init(jax.random.key(0), {"a": jnp.zeros((6, 4))})
    variables["frozen"]["a"]["options"] = variables["frozen"]["a"]["options"][:2]
    with pytest.raises(ValueError, match=r"'a' has scores of shape \(3, 6, 4\), but options of shape \(2, 6, 4\)"):
        paper.slot_machine(3).select(variables)


def test_variables_without_frozen_are_refused():
    selector = paper.slot_machine()
    with pytest.raises(ValueError, match="must have both 'params' and 'frozen'"):
        selector.select(selector.init(jax.random.key(0), {"a": jnp.zeros((6, 4))})["params"])


def test_frozen_values_without_their_scores_are_refused():
    selector = paper.slot_machine()
    variables = selector.init(jax.random.key(0), {"a": jnp.zeros((6, 4)), "d": jnp.zeros((6, 4))})
    with pytest.raises(ValueError, match=r"random values for \['d'\]"):
        selector.select({"params": {"a": variables["params"]["a"]}, "frozen": variables["frozen"]})


def test_stored_options_of_half_precision_are_compared_as_seeded_ones_are():
    chosen = []
    for options in get_args(slotjax.options.Storage):
        selector = slotjax.slot_machine(64, options=options, distribution=slotjax.distributions.glorot_uniform())
        variables = selector.init(jax.random.key(0), jnp.zeros((60, 50), jnp.bfloat16))
        chosen.append(selector.select(variables))
    np.testing.assert_array_equal(*chosen)
