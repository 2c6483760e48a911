"""Which leaves a model draws, as its traced program says: those that depend on the key, and no others."""

import jax
import jax.numpy as jnp
import pytest

from slotjax.selectors import drawn_names


def layer(key):
    first, second = jax.random.split(key)
    noise = jax.random.normal(second, (2, 3))
    return {"down": jax.random.normal(first, (2, 3)), "up": jnp.zeros((2, 3)), "gain": jnp.ones((2, 3)), "late": noise}


def scanned(key):
    def turn(carry, key):
        made = layer(key)
        return (carry[0] + made["down"], carry[0], carry[2]), made

    start = jnp.zeros((2, 3)), jnp.zeros((2, 3)), jnp.ones((2, 3))
    (total, last, constant), made = jax.lax.scan(turn, start, jax.random.split(key, 3))
    return made | {"total": total, "last": last, "constant": constant}


@jax.custom_jvp
def custom(key):
    return layer(key)


custom.defjvp(lambda primals, tangents: (layer(*primals), layer(*primals)))

NESTED = {
    "plain": layer,
    "jit": jax.jit(layer),
    "remat": jax.checkpoint(layer),
    "vmap": lambda key: jax.vmap(layer)(jax.random.split(key, 3)),
    "both": jax.jit(jax.checkpoint(jax.jit(layer))),
    "custom": custom,
}


@pytest.mark.parametrize("init", NESTED.values(), ids=NESTED)
def test_constants_within_other_programs_are_not_drawn(init):
    assert drawn_names(init, jax.random.key(0)) == {"down", "late"}


def test_what_a_scan_carries_is_followed_from_turn_to_turn():
    assert drawn_names(scanned, jax.random.key(0)) == {"down", "late", "total", "last"}


def test_of_what_is_not_followed_everything_counts_as_drawn():
    both = lambda key: jax.lax.cond(True, layer, layer, key)  # noqa: E731
    assert drawn_names(both, jax.random.key(0)) == {"down", "late", "up", "gain"}
