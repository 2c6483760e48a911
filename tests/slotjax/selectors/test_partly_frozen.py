"""Selectors of which a share is frozen: what a seed decides stays, the rest is the selector's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import distributions
from slotjax.options import FrozenShare
from tests import reference

KEY = jax.random.key(0)
NORMAL = distributions.kaiming_normal()
SHARES = {"pruned": 0.3, "kept": 0.25}
SHAPE = (31, 12)


def made(inner, **shares):
    """A selector, its variables, and which connections are pruned and kept."""
    selector = slotjax.partly_frozen(inner, **shares)
    variables = jax.jit(selector.init)(KEY, jnp.zeros(SHAPE))
    drawn = variables["frozen"]
    share = FrozenShare(drawn["freeze"], drawn.made["pruned"], drawn.made["kept"])
    return selector, variables, *map(np.asarray, jax.jit(lambda: share.masks(SHAPE))())


def test_the_shares_are_those_of_a_transcription():
    bits = reference.random_bits([7, 9], 1, (4, 5))[0]
    pruned, kept = FrozenShare(jnp.array([7, 9], jnp.uint32), 2**30, 2**31).masks((4, 5))
    np.testing.assert_array_equal(pruned, bits < 2**30)
    np.testing.assert_array_equal(kept, (bits >= 2**30) & (bits < 2**30 + 2**31))


@pytest.mark.quick("0.5")
@pytest.mark.parametrize("fraction", [0.5, 0.1, 0.9])
def test_edge_popup_ranks_what_is_frozen_last_and_first(fraction):
    selector, variables, pruned, kept = made(slotjax.edge_popup(fraction, distribution=NORMAL), **SHARES)
    assert abs(pruned.mean() - 0.3) < 0.1
    assert abs(kept.mean() - 0.25) < 0.1
    weight, scores = np.asarray(variables["frozen"]["weight"]), np.asarray(variables["params"])
    mask = reference.top_fraction(np.where(pruned, 0, np.where(kept, np.inf, scores)), fraction)
    mask = (mask | kept) & ~pruned
    select = lambda scores: selector.select(variables | {"params": scores})  # noqa: E731
    chosen, pull = jax.vjp(select, variables["params"])
    np.testing.assert_array_equal(chosen, np.where(mask, weight, 0))
    np.testing.assert_array_equal(selector.selection(variables), mask)
    expected = np.where(pruned | kept, 0, weight * np.sign(scores))
    np.testing.assert_array_equal(pull(jnp.ones(SHAPE))[0], expected)


INNER = {
    "biprop": slotjax.biprop(0.6, options="seeded", distribution=NORMAL),
    "multicoat": slotjax.multicoat((0.6, 0.3), distribution=NORMAL),
    "supermask": slotjax.supermask(distribution=NORMAL),
    "slot_machine": slotjax.slot_machine(5, distribution=NORMAL),
    "sparse": slotjax.slot_machine(4, scores="explicit", initial="uniform", sparse=True, distribution=NORMAL),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INNER)
def test_the_rest_is_the_selectors(name, tmp_path):
    inner = INNER[name]
    selector, variables, pruned, kept = made(inner, **SHARES)
    plain = jax.jit(inner.init)(KEY, jnp.zeros(SHAPE))
    for one, other in zip(*map(jax.tree.leaves, (plain["params"], variables["params"])), strict=True):
        np.testing.assert_array_equal(one, other)
    value, book = np.asarray(selector.select(variables)), selector.codebooks(variables)[""]
    first = int(book.options.zero)
    np.testing.assert_array_equal(value[pruned], 0)
    np.testing.assert_array_equal(value[kept], np.asarray(book.options.numbered(first))[kept])
    if name not in ("biprop", "multicoat"):  # whose fractions count what is frozen
        free = ~(pruned | kept)
        np.testing.assert_array_equal(value[free], np.asarray(inner.select(plain))[free])
    np.testing.assert_array_equal(book.weight_at(selector.selection(variables).astype(jnp.int32)), value)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    np.testing.assert_array_equal(ticket.weights, value)
    assert ticket.selector == selector


def test_a_ticket_has_indices_of_the_rest_alone(tmp_path):
    inner = slotjax.slot_machine(8, distribution=NORMAL)
    selector, variables, pruned, kept = made(inner, pruned=0.5, kept=0.4)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    (part,) = slotjax.tickets.describe_ticket(tmp_path / "ticket").parts
    assert part.index_bytes == -(-3 * (SHAPE[0] * SHAPE[1] - (pruned | kept).sum()) // 8)
    assert part.made_from.endswith(", 90% frozen")


def test_what_is_frozen_is_part_of_the_proof():
    inner = slotjax.edge_popup(0.5, distribution=NORMAL)
    frozen = [made(inner, **SHARES)[1]["frozen"], made(inner, pruned=0.3, kept=0.3)[1]["frozen"]]
    other = frozen[0].with_more({"freeze": frozen[0]["freeze"] + 1})
    assert len({slotjax.proof({"w": one}) for one in (*frozen, other)}) == 3


def test_what_is_frozen_is_drawn_apart_from_options():
    selector = slotjax.partly_frozen(slotjax.slot_machine(5, distribution=NORMAL), **SHARES)
    drawn = selector.init(KEY, jnp.zeros(SHAPE))["frozen"]
    assert (drawn["freeze"] != drawn["seed"]).any()
