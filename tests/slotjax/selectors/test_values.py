"""Selectors and distributions are values: they compare, hash and pickle, so that static arguments do not recompile."""

import pickle

import jax
import jax.numpy as jnp
import pytest

import slotjax
from slotjax import distributions
from tests import paper

MAKERS = {
    "slot_machine": lambda: paper.slot_machine(4, distribution=distributions.kaiming_uniform("fan_out")),
    "factored": lambda: paper.slot_machine(3, scores="factored", options="seeded", initial="nearest"),
    "network": lambda: paper.slot_machine(3, share="network", sparse=True),
    "edge_popup": lambda: paper.edge_popup(
        0.3, distribution=distributions.scaled_for(0.3, distributions.xavier_normal())
    ),
    "global": lambda: paper.edge_popup(0.3, ranking="global"),
    "supermask": lambda: paper.supermask(rescale=True),
    "learned": lambda: slotjax.learned(distributions.glorot_normal().for_matrix(2)),
    "random": paper.random_selection,
    "fixed": slotjax.fixed,
    "partition": lambda: slotjax.partition({"a": paper.slot_machine(2), ".*": slotjax.learned()}),
}


@pytest.mark.parametrize("name", MAKERS)
def test_made_twice_is_equal_and_pickles(name):
    one, two = MAKERS[name](), MAKERS[name]()
    assert one is not two
    assert (one, hash(one)) == (two, hash(two))
    assert pickle.loads(pickle.dumps(one)) == one
    assert all(one != other() for other_name, other in MAKERS.items() if other_name != name)


@pytest.mark.parametrize("selector", [slotjax.slot_machine(initial="given"), slotjax.fixed()])
def test_who_donates_the_variables_keeps_the_weights(selector):
    params = {"kernel": jnp.array([[1.0, -1.0]])}
    variables = selector.init(jax.random.key(0), params)
    jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + leaf, tree), donate_argnums=0)(variables)
    assert float(params["kernel"][0, 0]) == 1.0


def test_an_argument_more_makes_another():
    made = [paper.slot_machine(2), paper.slot_machine(3), paper.slot_machine(2, "probabilistic")]
    made += [
        paper.slot_machine(2, distribution=make())
        for make in (distributions.glorot_normal, distributions.kaiming_normal)
    ]
    made += [paper.slot_machine(2, where=lambda name, leaf: True)]
    assert len(set(made)) == len(made)


@pytest.mark.slow
def test_a_static_selector_does_not_recompile(compilations):
    select = jax.jit(lambda selector, variables: selector.select(variables), static_argnums=0)
    variables = paper.slot_machine(2).init(jax.random.key(0), jnp.zeros((2, 2)))
    select(paper.slot_machine(2), variables)
    before = len(compilations)
    select(paper.slot_machine(2), variables)
    assert len(compilations) == before
