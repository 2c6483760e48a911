"""Slot machines with shared, sparse and nearest options, and the pruned network that a slot machine is."""

from typing import get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

import slotjax
from tests import paper, reference

PARAMS = {"a": jnp.zeros((60, 50)), "d": jnp.zeros((50, 8)), "c": jnp.zeros((3, 3, 4, 5))}
KEY = jax.random.key(3)


def made(**arguments):
    selector = paper.slot_machine(**arguments)
    return selector, selector.init(jax.random.key(0), PARAMS)


@pytest.mark.slow
@pytest.mark.parametrize("scores", get_args(slotjax.selectors.Scores))
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_connections_of_a_layer_share_their_options(scores, options):
    selector, variables = made(k=6, scores=scores, options=options, share="layer")
    weights = selector.select(variables)
    for name, weight in weights.items():
        table = np.asarray(variables["frozen"][name]["options"])
        assert table.shape == (6,)
        assert np.isin(np.asarray(weight), table).all()
        assert np.abs(table).max() <= slotjax.distributions.glorot_uniform().scale(weight.shape)
    assert not np.isin(np.asarray(weights["a"]), np.asarray(weights["d"])).any()


@pytest.mark.slow
def test_all_connections_of_a_network_share_options_of_the_mean_scale():
    """Section 4.5: U(-s, s) with s the mean of the layers' sigmas."""
    selector, variables = made(k=5000, share="network")
    tables = [np.asarray(variables["frozen"][name]["options"]) for name in PARAMS]
    for table in tables:
        np.testing.assert_array_equal(table, tables[0])
    mean = np.mean([slotjax.distributions.glorot_uniform().scale(leaf.shape) for leaf in PARAMS.values()])
    assert scipy.stats.kstest(tables[0], scipy.stats.uniform(-mean, 2 * mean).cdf).pvalue > 1e-3
    assert selector.joint


@pytest.mark.slow
def test_shared_options_are_the_explicit_slot_machine_with_equal_rows():
    selector, variables = made(k=4, share="layer")
    plain = paper.slot_machine(4)
    spread = {
        name: {
            "options": jnp.broadcast_to(
                values["options"].reshape(4, *[1] * PARAMS[name].ndim), (4, *PARAMS[name].shape)
            )
        }
        for name, values in variables["frozen"].items()
    }

    def gradient(selector, frozen):
        loss = lambda params: sum(  # noqa: E731
            jnp.sum(jnp.sin(3 * leaf))
            for leaf in jax.tree.leaves(selector.select({"params": params, "frozen": frozen}))
        )
        return jax.grad(loss)(variables["params"])

    chex.assert_trees_all_equal(selector.select(variables), plain.select(variables | {"frozen": spread}))
    chex.assert_trees_all_close(gradient(selector, variables["frozen"]), gradient(plain, spread), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("share", get_args(slotjax.selectors.Share))
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_option_0_of_a_sparse_slot_machine_is_0_and_the_others_are_not(options, share):
    selector, variables = made(k=3, options=options, share=share, sparse=True)
    index, weights = selector.selection(variables), selector.select(variables)
    for name in PARAMS:
        np.testing.assert_array_equal(np.asarray(index[name]) == 0, np.asarray(weights[name]) == 0)
        assert 0.2 < np.mean(np.asarray(index[name]) == 0) < 0.5


def test_a_sparse_slot_machine_needs_a_second_option():
    with pytest.raises(ValueError, match="k: 1 was given, but a sparse slot machine needs an option beside 0"):
        paper.slot_machine(1, sparse=True)


@pytest.mark.quick("layer-stored-factored")
@pytest.mark.parametrize("scores", get_args(slotjax.selectors.Scores))
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
@pytest.mark.parametrize("share", get_args(slotjax.selectors.Share))
def test_nearest_scores_select_the_option_nearest_to_a_latent_value(share, options, scores, x64):
    """Design: s_k(0) = c W_k - W_k^2 / 2, so that after training greedy selection is nearest to c + u / a."""
    selector = paper.slot_machine(9, scores=scores, options=options, share=share, initial="nearest", exact=True)
    variables = selector.init(jax.random.key(0), {"w": jnp.zeros((40, 30))})
    bare = paper.slot_machine(9, share=share, initial="nearest")
    bare_variables = bare.init(jax.random.key(0), {"w": jnp.zeros((40, 30))})
    table = np.asarray(bare_variables["frozen"]["w"]["options"])
    table = table if share == "connection" else table[:, None, None]
    first = np.asarray(selector.scores(variables)["w"])
    # Two scores give c: s_0 - s_1 = c (W_0 - W_1) - (W_0^2 - W_1^2) / 2.
    centre = (first[0] - first[1] + (table[0] ** 2 - table[1] ** 2) / 2) / (table[0] - table[1])
    np.testing.assert_allclose(first, centre * table - table**2 / 2, atol=1e-12)
    expected = np.argmin(np.abs(table - centre), 0)
    np.testing.assert_array_equal(selector.selection(variables)["w"], expected)
    assert np.unique(np.round(centre, 9)).size > 1000
    if scores == "factored":
        u, a = 0.02 * np.random.default_rng(0).normal(size=(40, 30)), 0.8
        variables["params"]["w"] = {"u": jnp.asarray(u), "a": jnp.asarray(a)}
        latent = np.argmin(np.abs(table - (centre + u / a)), 0)
        np.testing.assert_array_equal(selector.selection(variables)["w"], latent)


@pytest.mark.slow
@pytest.mark.parametrize("initial", [pytest.param("uniform", marks=pytest.mark.slow), "nearest"])
@pytest.mark.parametrize("sparse", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("share", get_args(slotjax.selectors.Share))
def test_neither_storage_changes_what_is_drawn(share, sparse, initial, x64):
    arguments = {"k": 4, "selection": "probabilistic", "share": share, "sparse": sparse, "initial": initial}
    results = []
    params = {"w": jax.ShapeDtypeStruct((30, 20), jnp.float64)}
    for scores in get_args(slotjax.selectors.Scores):
        for options in get_args(slotjax.options.Storage):
            selector = paper.slot_machine(**arguments, scores=scores, options=options)
            variables = jax.jit(lambda s=selector: s.init(jax.random.key(0), params))()
            results.append(
                jax.jit(lambda v, s=selector: (s.select(v), s.select(v, KEY), s.selection(v, KEY), s.scores(v)))(
                    variables
                )
            )
    for other in results[1:]:
        chex.assert_trees_all_close(results[0], other, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_a_slot_machine_is_a_pruned_larger_network_with_identity_units():
    """Figure 10 and section 4.7 of Aladago & Torresani (2021).

    Between a layer of n and one of m neurons stands a dummy layer of K n m identity units, one for each option of each
    connection: the random values lead into it, ones lead out of it, and every edge of an option that is not selected
    is pruned.
    """
    n, m, k, batch = 7, 5, 4, 3
    selector = paper.slot_machine(k, "probabilistic")
    variables = selector.init(jax.random.key(0), jnp.zeros((n, m)))
    options = np.asarray(variables["frozen"]["options"], np.float64)
    index = np.asarray(selector.selection(variables, KEY))
    into, out = np.zeros((n, k * n * m)), np.zeros((k * n * m, m))
    for unit, (option, source, target) in enumerate(np.ndindex(k, n, m)):
        kept = index[source, target] == option
        into[source, unit] = options[option, source, target] * kept
        out[unit, target] = 1
    x = np.random.default_rng(0).normal(size=(batch, n))
    pruned = (x @ into) @ out
    machine = x @ np.asarray(selector.select(variables, KEY), np.float64)
    np.testing.assert_allclose(machine, pruned, rtol=1e-12)
    assert np.count_nonzero(into) == n * m
    np.testing.assert_array_equal(reference.selected(options, index), (into @ out))
