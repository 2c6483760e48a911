"""Max pooling is that of Flax, in value and gradient, and scatters nowhere."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax.models.pooling import max_pool_2x2, max_pool_3x3

POOLINGS = {
    max_pool_2x2: partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2)),
    max_pool_3x3: partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2), padding=((1, 1), (1, 1))),
}
ALL = pytest.mark.parametrize("pool", POOLINGS, ids=["2x2", "3x3"])


def value_and_gradient(function, images):
    pooled, pullback = jax.vjp(function, images)
    cotangent = jnp.cos(jnp.arange(pooled.size)).reshape(pooled.shape).astype(pooled.dtype)
    return pooled, pullback(cotangent)[0]


def assert_bitwise_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.quick("shape0-float32-3x3")
@ALL
@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 4, 6, 3), jnp.float32), ((3, 5, 7, 2), jnp.bfloat16), ((1, 2, 3, 1), jnp.float32)]
)
def test_values_and_gradients_are_those_of_flax_with_ties_too(pool, shape, dtype):
    # Few values, so that most windows hold equal ones.
    images = jnp.asarray(np.random.default_rng(0).integers(0, 3, shape), dtype)
    ours, theirs = (jax.jit(partial(value_and_gradient, function))(images) for function in (pool, POOLINGS[pool]))
    assert_bitwise_equal(ours, theirs)


@pytest.mark.quick("3x3")
@ALL
def test_many_at_once_are_as_each_is_alone(pool):
    images = jnp.asarray(np.random.default_rng(0).integers(0, 3, (3, 2, 6, 5, 2)), jnp.float32)
    one = jax.jit(partial(value_and_gradient, pool))
    at_once = jax.jit(jax.vmap(one))(images)
    for number, alone in enumerate(images):
        assert_bitwise_equal([array[number] for array in at_once], one(alone))


@ALL
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_no_platform_scatters(pool, platform):
    def lowered(function):
        traced = jax.jit(lambda images: value_and_gradient(function, images)).trace(jnp.ones((2, 4, 4, 1)))
        return traced.lower(lowering_platforms=(platform,)).as_text()

    assert "scatter" in lowered(POOLINGS[pool])
    assert "scatter" not in lowered(pool)


def test_no_gradient_is_lost_where_all_is_zero():
    gradient = jax.grad(lambda images: max_pool_3x3(images).sum())(jnp.zeros((1, 4, 4, 1)))
    assert gradient.sum() == 4
