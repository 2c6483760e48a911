"""Several selectors in one network."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from experiments.configuration.choices import CHOICES
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import selector_of
from experiments.running.summary import summarize
from slotjax import training
from tests import paper

PARAMS = {
    "Conv_0": {"kernel": jnp.zeros((3, 3, 2, 4)), "bias": jnp.arange(4.0)},
    "Dense_0": {"kernel": jnp.zeros((6, 5))},
    "Dense_1": {"kernel": jnp.ones((5, 3)), "bias": jnp.ones(3)},
}
RULES = {
    "Conv_.*": paper.slot_machine(3, scores="factored", options="seeded"),
    "Dense_0/.*": paper.edge_popup(0.5),
    ".*": slotjax.learned(),
}
KEY = jax.random.key(0)


@pytest.mark.slow
def test_every_leaf_is_chosen_by_the_first_selector_that_matches():
    mixed = slotjax.partition(RULES)
    variables = mixed.init(KEY, PARAMS)
    alone = {pattern: selector.init(KEY, PARAMS) for pattern, selector in RULES.items()}
    weights = mixed.select(variables)
    chex.assert_trees_all_equal(weights["Conv_0"], RULES["Conv_.*"].select(alone["Conv_.*"])["Conv_0"])
    chex.assert_trees_all_equal(weights["Dense_0"], RULES["Dense_0/.*"].select(alone["Dense_0/.*"])["Dense_0"])
    chex.assert_trees_all_equal(weights["Dense_1"], PARAMS["Dense_1"])
    assert jax.tree.map(jnp.shape, variables["params"]["Conv_0"]) == {
        "kernel": {"u": (3, 3, 2, 4), "a": ()},
        "bias": (4,),
    }
    selection = mixed.selection(variables)
    assert selection["Dense_1"] == {"kernel": None, "bias": None}
    assert selection["Dense_0"]["kernel"].dtype == bool
    assert mixed.scores(variables)["Conv_0"]["kernel"].shape == (3, 3, 3, 2, 4)
    assert sorted(mixed.codebooks(variables)) == ["Conv_0/kernel", "Dense_0/kernel"]


def test_leaves_that_no_pattern_matches_are_listed():
    mixed = slotjax.partition({"Conv_.*": paper.slot_machine(), ".*bias": slotjax.learned()})
    with pytest.raises(ValueError, match=r"none of .* matches \['Dense_0/kernel', 'Dense_1/kernel'\]; slotjax.learned"):
        mixed.init(KEY, PARAMS)


def test_a_pattern_must_be_a_regular_expression():
    with pytest.raises(ValueError, match=r"selectors: '\*' is not a regular expression"):
        slotjax.partition({"*": paper.slot_machine()})


@pytest.mark.slow
def test_a_selector_none_of_whose_leaves_is_selected_changes_nothing():
    mixed = slotjax.partition({"Conv_0/bias": paper.edge_popup(), ".*": paper.slot_machine(2)})
    variables = mixed.init(KEY, PARAMS)
    np.testing.assert_array_equal(mixed.select(variables)["Conv_0"]["bias"], PARAMS["Conv_0"]["bias"])


@pytest.mark.slow
def test_partitions_can_be_nested_and_are_joint_if_one_of_theirs_is():
    inner = slotjax.partition({".*kernel": paper.edge_popup(ranking="global"), ".*": slotjax.learned()})
    outer = slotjax.partition({"Dense_.*": inner, ".*": paper.slot_machine(2)})
    assert inner.joint
    assert outer.joint
    masks = outer.selection(outer.init(KEY, PARAMS))
    kept = int(masks["Dense_0"]["kernel"].sum()) + int(masks["Dense_1"]["kernel"].sum())
    assert kept == slotjax.selection.kept_count(30 + 15, 0.5)


@pytest.mark.slow
def test_the_guard_sees_factored_scores_beside_others():
    import optax

    params = slotjax.partition(RULES).init(KEY, PARAMS)["params"]
    slotjax.check_factorable(training.sgd(0.1, 0.9, 1e-4), params)
    with pytest.raises(ValueError, match="so training is not exactly"):
        slotjax.check_factorable(optax.adam(0.1), params)


@pytest.mark.slow
def test_fixed_leaves_are_not_trained_and_come_back_from_a_ticket(tmp_path):
    mixed = slotjax.partition({".*bias": slotjax.fixed(), ".*": paper.slot_machine(3)})
    variables = mixed.init(KEY, PARAMS)
    assert variables["params"]["Conv_0"]["bias"] == {}
    assert variables["frozen"]["Conv_0"]["bias"].keys() == {"value"}
    gradient = jax.grad(lambda params: mixed.select(variables | {"params": params})["Conv_0"]["bias"].sum())
    assert len(jax.tree.leaves(gradient(variables["params"]))) == 3
    assert mixed.selection(variables)["Conv_0"]["bias"] is None
    slotjax.save_ticket(tmp_path / "ticket", mixed, variables)
    chex.assert_trees_all_equal(slotjax.load_ticket(tmp_path / "ticket").weights, mixed.select(variables))
    np.testing.assert_array_equal(mixed.select(variables)["Conv_0"]["bias"], jnp.arange(4.0))
    with pytest.raises(ValueError, match="'bias': it is to be fixed, so it needs an array"):
        slotjax.fixed().init(KEY, jax.eval_shape(lambda: {"bias": jnp.zeros(3)}))


@pytest.mark.slow
def test_a_run_says_which_parameters_were_trained_beside_the_scores():
    """Batch norm's scale and bias, learned or fixed by choice."""
    settings = resolve(Request(k=2))
    params = {
        "Conv_0": {"kernel": jnp.zeros((3, 3, 2, 4))},
        "BatchNorm_0": {"scale": jnp.ones(4), "bias": jnp.zeros(4)},
    }
    history = [{"epoch": epoch, "time": {"seconds": 1.0}, "frozen_sha256": ""} for epoch in (0, 1)]
    history = [
        record | {split: {"accuracy": 0.5, "loss": 1.0} for split in ("train", "validation", "test")}
        for record in history
    ]
    trained = {}
    for choice in CHOICES["biases_and_scales"]:
        selector = selector_of(dataclasses.replace(settings, biases_and_scales=choice))
        variables = selector.init(KEY, params)
        for optimizer in (training.sgd(0.1), training.adam(0.1)):
            trained.setdefault(choice, []).append(summarize(history, selector, variables, "", optimizer)["trained"])
    latent = "latent values (not the paper's scores)"
    rest = "and parameters that are not selected (bias, scale)"
    assert trained == {
        "learned": [f"scores {rest}", f"{latent} {rest}"],
        "fixed": ["scores only; fixed: bias, scale", f"{latent} only; fixed: bias, scale"],
    }


def test_frozen_values_that_are_missing_are_noticed():
    mixed = slotjax.partition(RULES)
    variables = mixed.init(KEY, PARAMS)
    for frozen in ({}, {name: values for name, values in variables["frozen"].items() if name != "Conv_0"}):
        with pytest.raises(ValueError, match="'frozen' must have the structure of 'params'"):
            mixed.select({"params": variables["params"], "frozen": frozen})


def test_a_pattern_matches_whole_names():
    with pytest.raises(ValueError, match=r"none of \['Dense_1'\] matches \['Dense_10'\]"):
        slotjax.partition({"Dense_1": slotjax.learned()}).init(KEY, {"Dense_10": jnp.ones((8, 6))})
