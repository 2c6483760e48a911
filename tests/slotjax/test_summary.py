"""The table of a network says what `init` does with it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from tests.slotjax.foreign import INITS

KERNEL = jnp.asarray(np.random.default_rng(0).normal(size=(30, 20)), jnp.float32)
PARAMS = {
    "norm": {"scale": jnp.ones((2, 3)), "weight": jnp.ones((2, 3))},
    "dense": {
        "kernel": jnp.asarray(np.random.default_rng(0).normal(size=(30, 20)), jnp.float32),
        "bias": jnp.zeros(20),
    },
    "steps": jnp.zeros((2, 2), jnp.int32),
}


def rows(selector, params=PARAMS):
    return {row.name: row for row in slotjax.summary(selector, params).rows}


def test_it_says_why_a_leaf_is_not_selected():
    reasons = {name: row.reason for name, row in rows(slotjax.slot_machine(k=8)).items()}
    assert reasons == {
        "norm/scale": "called scale",
        "norm/weight": "does not vary about zero",
        "dense/kernel": "",
        "dense/bias": "fewer than 2 dimensions",
        "steps": "is int32",
    }
    assert rows(slotjax.slot_machine(where=lambda name, leaf: False))["dense/kernel"].reason == "left out"


@pytest.mark.quick("selector0-8-3-12-2404", "selector3-2-1-2404-2400", "selector5-8-0.75-20-2404")
@pytest.mark.parametrize(
    ("selector", "k", "bits", "frozen", "trainable"),
    [
        (slotjax.slot_machine(k=8), 8, 3, 12, 2404),
        (slotjax.slot_machine(k=100, scores="explicit", options="stored"), 100, 7, 240004, 240000),
        (slotjax.edge_popup(options="seeded"), 2, 1, 12, 2400),
        (slotjax.supermask(), 2, 1, 2404, 2400),
        (slotjax.biprop(options="seeded"), 2, 1, 12, 2400),
        (slotjax.partly_frozen(slotjax.slot_machine(8), 0.5, 0.25), 8, 0.75, 20, 2404),
        (slotjax.multicoat((0.7, 0.5, 0.3, 0.1), options="seeded"), 5, 3, 12, 2400),
    ],
)
def test_it_counts_what_init_makes(selector, k, bits, frozen, trainable):
    row = rows(selector)["dense/kernel"]
    assert (row.k, row.bits, row.frozen, row.trainable) == (k, bits, frozen, trainable)
    made = selector.init(jax.random.key(0), {"dense": PARAMS["dense"]})
    sizes = [sum(leaf.nbytes for leaf in jax.tree.leaves(made[one]["dense"]["kernel"])) for one in ("frozen", "params")]
    assert sizes == [frozen, trainable]


class Attention(NamedTuple):
    query: Any
    value: Any


def test_a_field_called_value_is_a_name_like_any_other():
    weights = {"a": Attention(PARAMS["dense"]["kernel"], PARAMS["dense"]["kernel"]), "a/query": jnp.zeros(3)}
    selector = slotjax.edge_popup(options="seeded")
    with pytest.raises(ValueError, match="'a/query'"):
        slotjax.summary(selector, weights)
    del weights["a/query"]
    found = rows(selector, weights)
    assert {name: row.trainable for name, row in found.items()} == {"a/query": 2400, "a/value": 2400}
    assert set(slotjax.selectors.random_values(selector.init(jax.random.key(0), weights)["frozen"])) == set(found)


def test_it_marks_a_scale_that_is_far_from_the_own_one():
    glorot = slotjax.distributions.glorot_uniform()
    assert rows(slotjax.slot_machine(distribution=glorot))["dense/kernel"].is_far
    assert not rows(slotjax.slot_machine())["dense/kernel"].is_far
    assert not rows(slotjax.slot_machine(distribution=slotjax.distributions.Distribution("normal", _one)))[
        "dense/kernel"
    ].is_far
    text = str(slotjax.summary(slotjax.slot_machine(distribution=glorot), PARAMS))
    assert "0.2!" in text
    assert "not within 1.5 times" in text


def _one(shape):
    return 1.0


def test_it_says_where_scores_start_and_how_much_is_learned():
    summary = slotjax.summary(slotjax.slot_machine(initial="given"), {"dense": PARAMS["dense"]})
    assert {row.name: row.start for row in summary.rows} == {"dense/kernel": "given", "dense/bias": ""}
    assert summary.learned_share == 20 / 620


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Linen scanned transformer", "NNX transformer", "Equinox CNN", "Haiku CNN"])
def test_any_network_has_a_table(name):
    params = INITS[name](jax.random.key(0))
    selector = slotjax.slot_machine(k=64)
    names = {row.name for row in slotjax.summary(selector, params).rows if row.method}
    assert names == set(selector.codebooks(selector.init(jax.random.key(0), params)))


def test_shapes_have_a_table_too():
    shapes = jax.eval_shape(lambda: PARAMS["dense"])
    row = rows(slotjax.slot_machine(distribution=slotjax.distributions.glorot_uniform()), shapes)["kernel"]
    assert (row.own, row.k) == (None, 8)


def test_sigma_is_that_of_what_is_drawn():
    params = {"one": KERNEL, "other": 10 * KERNEL}
    wide = slotjax.slot_machine(64, distribution=slotjax.distributions.own_scale("bell", factor=3.0))
    shared = slotjax.slot_machine(512, share="network", distribution=slotjax.distributions.own_scale())
    for selector in (wide, shared):
        books = selector.codebooks(selector.init(jax.random.key(0), params))
        for name, row in rows(selector, params).items():
            assert row.sigma == pytest.approx(float(books[name].options.values().std()), rel=0.05)
            assert row.is_far


def test_variables_of_another_factor_are_refused():
    one, other = (slotjax.slot_machine(distribution=slotjax.distributions.own_scale(factor=f)) for f in (1.0, 2.0))
    with pytest.raises(ValueError, match="was made with factor=2"):
        one.select(other.init(jax.random.key(0), {"kernel": KERNEL}))
