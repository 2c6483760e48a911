"""Who saves a large ticket of stored options learns what would make it small."""

import warnings

import jax
import jax.numpy as jnp
import pytest

import slotjax
from slotjax.tickets import LargeTicket

PARAMS = {"kernel": jnp.zeros((160, 128))}
GLOROT = slotjax.distributions.glorot_uniform()
STORED = {
    "slot machine": slotjax.slot_machine(4, options="stored", distribution=GLOROT),
    "edge-popup": slotjax.edge_popup(distribution=GLOROT),
    "supermask": slotjax.supermask(distribution=GLOROT),
    "partition": slotjax.partition({".*": slotjax.edge_popup(distribution=GLOROT)}),
}
SMALL = {
    "seeded slot machine": slotjax.slot_machine(4, distribution=GLOROT),
    "seeded mask": slotjax.edge_popup(options="seeded", distribution=GLOROT),
    "shared": slotjax.slot_machine(4, share="layer", distribution=GLOROT),
    "learned": slotjax.learned(),
}


def save(selector, path, params=PARAMS):
    slotjax.save_ticket(path, selector, selector.init(jax.random.key(0), params))


@pytest.mark.quick("supermask")
@pytest.mark.parametrize("selector", STORED.values(), ids=STORED)
def test_a_large_ticket_says_so_in_one_line(selector, tmp_path):
    with pytest.warns(LargeTicket, match=r"ticket takes [\d,]+ bytes\. .*with options='seeded'") as caught:
        save(selector, tmp_path / "ticket")
    (message,) = [str(warning.message) for warning in caught]
    assert f"{(tmp_path / 'ticket').stat().st_size:,}" in message
    assert "\n" not in message


@pytest.mark.quick("shared", "learned")
@pytest.mark.parametrize("selector", SMALL.values(), ids=SMALL)
def test_what_needs_no_advice_does_not_warn(selector, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(selector, tmp_path / "ticket")


@pytest.mark.slow
def test_many_options_that_a_small_weight_shares_do_not_warn(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = slotjax.slot_machine(2**15, share="layer", options="stored", distribution=GLOROT)
        save(shared, tmp_path / "ticket", {"kernel": jnp.zeros((8, 4))})
    assert slotjax.tickets.describe_ticket(tmp_path / "ticket").advice is None


@pytest.mark.slow
def test_a_toy_does_not_warn(tmp_path):
    save(STORED["edge-popup"], tmp_path / "ticket", {"kernel": jnp.zeros((8, 4))})
