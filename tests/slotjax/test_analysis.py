"""Analyses against counts by hand."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import analysis, models
from tests import paper

PARAMS = {"a": jnp.zeros((30, 20)), "d": jnp.zeros((20, 10))}


def test_share_changed_counts_connections_over_all_leaves():
    before = {"a": jnp.array([0, 1, 2]), "d": jnp.array([True]), "c": None}
    after = {"a": jnp.array([0, 2, 2]), "d": jnp.array([False]), "c": None}
    assert float(analysis.share_changed(before, after)) == 0.5
    assert float(analysis.share_changed(before, before)) == 0
    assert float(analysis.share_changed({"c": None}, {"c": None})) == 0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [([1, 1, 0], [1, 0, 0], 0.5), ([0, 0], [0, 0], 1.0), ([1, 0], [0, 1], 0.0), ([1, 1], [1, 1], 1.0)],
)
def test_overlap(one, other, expected):
    assert float(analysis.overlap(np.array(one, bool), np.array(other, bool))) == expected
    assert float(analysis.overlap([jnp.array(one, jnp.float32)], [jnp.array(other, jnp.float32)])) == expected


@pytest.mark.slow
def test_sparsity_and_parameters_kept():
    selector = paper.edge_popup(0.3)
    weights = selector.select(selector.init(jax.random.key(0), PARAMS))
    assert float(analysis.sparsity(weights)) == pytest.approx(0.7)
    assert analysis.parameters_kept(weights) == 180 + 60


@pytest.mark.slow
def test_index_counts_of_indices_and_masks():
    machine, mask = paper.slot_machine(5), paper.edge_popup(0.25)
    counts = analysis.index_counts(machine.selection(machine.init(jax.random.key(0), PARAMS)), 5)
    assert counts.sum() == 800
    assert counts.min() > 100
    masks = mask.selection(mask.init(jax.random.key(0), PARAMS))
    assert analysis.index_counts(masks, 2).tolist() == [600, 200]


@pytest.mark.quick("network-seeded")
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
@pytest.mark.parametrize("share", get_args(slotjax.selectors.Share))
def test_histograms_of_offered_and_selected_values(options, share):
    selector = paper.slot_machine(4, options=options, share=share)
    variables = selector.init(jax.random.key(0), PARAMS)
    offered, selected, edges = analysis.offered_and_selected(selector, variables, bins=10)["a"]
    assert (offered.sum(), selected.sum(), len(edges)) == (4 * 600, 600, 11)
    values = np.asarray(paper.slot_machine(4, share=share).init(jax.random.key(0), PARAMS)["frozen"]["a"]["options"])
    if share == "connection":
        np.testing.assert_array_equal(offered, np.histogram(values, edges)[0])
    np.testing.assert_array_equal(selected, np.histogram(np.asarray(selector.select(variables)["a"]), edges)[0])


def test_the_share_of_outermost_options_is_that_of_numpy():
    selector = paper.slot_machine(4, scores="explicit", options="stored")
    variables = selector.init(jax.random.key(0), PARAMS)
    offered, weight = np.asarray(variables["frozen"]["a"]["options"]), np.asarray(selector.select(variables)["a"])
    expected = np.mean((weight == offered.min(0)) | (weight == offered.max(0)))
    assert 0 < expected < 1
    assert analysis.share_outermost(selector, variables)["a"] == pytest.approx(expected)


@pytest.mark.parametrize("selector", [paper.edge_popup(0.5), paper.supermask(rescale=True)], ids=["half", "rescaled"])
def test_both_options_of_a_mask_are_outermost(selector):
    assert set(analysis.share_outermost(selector, selector.init(jax.random.key(0), PARAMS)).values()) == {1.0}


@pytest.mark.slow
def test_histograms_of_masks_and_random_weights():
    for selector, count in ((paper.edge_popup(0.5), 2), (paper.supermask(rescale=True), 2)):
        histograms = analysis.offered_and_selected(selector, selector.init(jax.random.key(0), PARAMS))
        assert histograms["d"][0].sum() == count * 200
        assert histograms["d"][1].sum() == 200


def test_flops_of_a_dense_network():
    model = models.LeNet()
    weights = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 784)))
    counted = analysis.flops(model.apply, weights, jax.ShapeDtypeStruct((128, 784), jnp.float32))
    products = 2 * 128 * (784 * 300 + 300 * 100 + 100 * 10)
    assert products <= counted < 1.01 * products


def test_flops_that_cannot_be_counted_are_an_error(monkeypatch):
    monkeypatch.setattr(jax.stages.Lowered, "cost_analysis", lambda lowered: None)
    with pytest.raises(RuntimeError, match="operations cannot be counted"):
        analysis.flops(lambda x: x @ x, jnp.ones((3, 3)))


def test_flops_need_a_cpu(monkeypatch):
    def devices(backend):
        raise RuntimeError(f"Unknown backend {backend}")

    monkeypatch.setattr(jax, "devices", devices)
    with pytest.raises(RuntimeError, match="JAX_PLATFORMS must name too: cuda,cpu"):
        analysis.flops(lambda x: x @ x, jnp.ones((3, 3)))


def test_flops_of_nothing_and_sparsity_of_nothing_are_0():
    assert analysis.flops(lambda x: x.reshape(3, 1)[:2], jnp.ones(3)) == 0
    assert float(analysis.sparsity({"a": None})) == 0


@pytest.mark.parametrize("compare", [analysis.share_changed, analysis.overlap])
@pytest.mark.parametrize("other", [{"a": jnp.ones((1, 4))}, {"d": jnp.ones((4, 1))}, {}])
def test_selections_of_different_networks_are_refused(compare, other):
    with pytest.raises(ValueError, match="selections of different networks cannot be compared"):
        compare({"a": jnp.ones((4, 1))}, other)


def test_histograms_of_a_rescaled_mask_are_of_rescaled_values():
    selector = paper.supermask(rescale=True)
    offered, selected, _ = analysis.offered_and_selected(selector, selector.init(jax.random.key(0), PARAMS))["a"]
    assert np.all(offered[selected > 0] > 0)
