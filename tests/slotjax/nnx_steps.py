"""Training an NNX model for a few steps."""

import jax
import optax
from flax import nnx


def ten_steps(model, loss):
    """Adam on all parameters, under jit."""
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        optimizer.update(model, nnx.grad(loss)(model))

    with jax.numpy_dtype_promotion("standard"):  # of Adam
        for _ in range(10):
            step(model, optimizer)
