"""Variables as after training, for tickets."""

import jax
import jax.numpy as jnp
import numpy as np

TREE = {"dense": {"kernel": jnp.zeros((5, 4)), "bias": jnp.arange(4.0)}, "conv": {"kernel": jnp.zeros((2, 2, 3, 2))}}


def trained(selector, params=TREE):
    """Variables whose scores are no longer the initial ones."""
    # The zeros of TREE have no scale of their own, so that what they become may be compiled.
    init = jax.jit(selector.init) if params is TREE else selector.init
    variables = init(jax.random.key(0), params)
    random = np.random.default_rng(0)
    move = lambda leaf: jnp.asarray(np.asarray(leaf) + random.normal(size=leaf.shape).astype(leaf.dtype))  # noqa: E731
    return variables | {"params": jax.tree.map(move, variables["params"])}
