"""Networks of others, with no argument but K: each weight at its own scale, and no gain among the selected."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax.selectors import named_leaves
from tests.slotjax.foreign import INITS

KEY = jax.random.key(1)
SELECTOR = slotjax.slot_machine(k=8)


@pytest.fixture(scope="module", params=INITS)
def params(request):
    return jax.jit(INITS[request.param])(jax.random.key(0))


@pytest.mark.slow
def test_every_weight_is_drawn_with_its_own_deviation(params):
    variables, leaves = SELECTOR.init(KEY, params), named_leaves(params)
    books = SELECTOR.codebooks(variables)
    assert books
    for name, book in books.items():
        options, own = np.asarray(book.options.values(), np.float64), np.std(np.asarray(leaves[name], np.float64))
        assert options.std() == pytest.approx(own, rel=0.005 + 2 / np.sqrt(options.size))
        assert np.abs(options).max() <= np.sqrt(12) * own * 1.005  # where a bell ends
    for name, leaf in leaves.items():
        values = np.asarray(leaf)
        drawn = values.ndim >= 2 and np.ptp(values) > 0
        assert (name in books) == (drawn and name.rsplit("/", 1)[-1] not in ("b", "bias", "scale"))


@pytest.mark.slow
@pytest.mark.parametrize("params", ["Linen CNN", "NNX MLP", "Equinox MLP", "Haiku MLP"], indirect=True)
def test_the_same_under_jit_and_vmap(params):
    names = set(SELECTOR.codebooks(SELECTOR.init(KEY, params)))
    chosen = dataclasses.replace(SELECTOR, where=lambda name, leaf: name in names)
    expected = chosen.init(KEY, params)
    keys = jnp.stack([KEY, KEY])
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    stacked = jax.jit(jax.vmap(chosen.init))(keys, both)
    again = jax.tree.map(lambda leaf: leaf[1], stacked)
    jax.tree.map(np.testing.assert_array_equal, again, expected)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(chosen.select)(again), SELECTOR.select(expected))
