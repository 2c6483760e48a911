"""The proof is of the values of all options: it differs with whatever decides one of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import slotjax
from slotjax.distributions import glorot_normal, glorot_uniform, kaiming_uniform
from slotjax.options import generator

PARAMS = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(12, 8)), jnp.float32), "bias": jnp.zeros(8)}


def proof(selector, seed=0, params=PARAMS):
    return slotjax.proof(selector.init(jax.random.key(seed), params)["frozen"])


@pytest.mark.slow
def test_every_change_changes_it():
    machine = slotjax.slot_machine
    hashes = [
        proof(machine(8)),
        proof(machine(8), seed=1),
        proof(machine(9)),
        proof(machine(8, distribution=glorot_uniform())),
        proof(machine(8, distribution=kaiming_uniform())),
        proof(machine(8, distribution=glorot_normal())),
        proof(machine(8, sparse=True)),
        proof(machine(8, share="layer")),
        proof(machine(8), params={**PARAMS, "kernel": 2 * PARAMS["kernel"]}),
        proof(slotjax.edge_popup()),
        proof(slotjax.supermask()),
        proof(slotjax.random_selection()),
        proof(slotjax.fixed()),
    ]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.slow
@pytest.mark.parametrize("make", [slotjax.slot_machine, slotjax.random_selection])
def test_values_count_and_not_how_they_are_held(make):
    if make is slotjax.slot_machine:
        assert proof(make(8)) == proof(make(8, options="stored")) == proof(make(8, scores="explicit"))
    values = PARAMS["kernel"]
    sharding = NamedSharding(jax.make_mesh((4,), ("x",)), PartitionSpec("x"))
    assert proof(make()) == proof(make(), params={"kernel": jax.device_put(values, sharding), "bias": PARAMS["bias"]})


def test_another_generator_is_seen(monkeypatch):
    selector = slotjax.slot_machine(8)
    variables = selector.init(jax.random.key(0), PARAMS)
    before = slotjax.proof(variables["frozen"])
    monkeypatch.setattr(generator, "mix", lambda word: word * jnp.uint32(0x9E3779B1))
    jax.clear_caches()
    assert slotjax.proof(variables["frozen"]) != before
    jax.clear_caches()


def test_learned_weights_have_none():
    assert proof(slotjax.learned()) is None


def test_it_is_known():
    """The same in every version and on every platform: of integers until one multiplication."""
    selector = slotjax.slot_machine(4, distribution=slotjax.distributions.Distribution("uniform", _half))
    assert proof(selector) == KNOWN


def _half(shape):
    return 0.5


KNOWN = "f95444d8fea2ebbe946e435304a6707f3bde9cf1edad2c9172111df63d005033"
