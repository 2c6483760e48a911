"""Optimizers against Optax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from slotjax import training


def test_the_penalty_of_adam_enters_the_gradient():
    ours, plain = training.adam(0.1, weight_decay=0.5), optax.adam(0.1)
    weight, gradient = jnp.array([2.0, -1.0]), jnp.array([0.0, 3.0])
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = plain.update(gradient + 0.5 * weight, plain.init(weight))
        updates, _ = ours.update(gradient, ours.init(weight), weight)
    np.testing.assert_allclose(updates, expected, rtol=1e-6)
