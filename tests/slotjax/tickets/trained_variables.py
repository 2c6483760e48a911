"""Variables as after training, for tickets."""

import jax
import jax.numpy as jnp
import numpy as np

TREE = {"dense": {"kernel": jnp.zeros((5, 4)), "bias": jnp.arange(4.0)}, "conv": {"kernel": jnp.zeros((2, 2, 3, 2))}}


def trained(selector, params=TREE):
    """Variables whose scores are no longer the initial ones."""
    variables = selector.init(jax.random.key(0), params)
    random = np.random.default_rng(0)
    move = lambda leaf: leaf + jnp.asarray(random.normal(size=leaf.shape), leaf.dtype)  # noqa: E731
    return variables | {"params": jax.tree.map(move, variables["params"])}
