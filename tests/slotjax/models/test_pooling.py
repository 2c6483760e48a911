"""2x2 max pooling is that of Flax, in value and gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax.models.pooling import max_pool_2x2


def value_and_gradient(function, images):
    pooled, pullback = jax.vjp(function, images)
    cotangent = jnp.cos(jnp.arange(pooled.size)).reshape(pooled.shape).astype(pooled.dtype)
    return pooled, pullback(cotangent)[0]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (3, 5, 7, 2), (1, 2, 3, 1)])
def test_values_and_gradients_are_those_of_flax_with_ties_too(shape, dtype):
    # Few values, so that most windows hold equal ones.
    images = jnp.asarray(np.random.default_rng(0).integers(0, 3, shape), dtype)
    ours = jax.jit(lambda images: value_and_gradient(max_pool_2x2, images))(images)
    theirs = value_and_gradient(lambda images: nn.max_pool(images, (2, 2), (2, 2)), images)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_only_cpus_take_it_apart():
    images = jnp.ones((2, 4, 4, 1))

    def lowered(platform):
        function = jax.jit(lambda images: value_and_gradient(max_pool_2x2, images))
        return function.trace(images).lower(lowering_platforms=(platform,)).as_text()

    assert "select_and_scatter" not in lowered("cpu")
    assert "select_and_scatter" in lowered("tpu")
