"""Whether a selector learns: its gradient leads to weights that a network wants."""

import jax
import jax.numpy as jnp
import optax

KERNELS = {"conv": {"kernel": jnp.zeros((2, 2, 3, 4))}, "dense": {"kernel": jnp.zeros((6, 5))}}
RATES = jnp.array([0.01, 0.1, 1.0, 10.0, 100.0])  # scores have scales of their own


def learns(selector, steps=30):
    """Whether the weights come a quarter nearer, in squares, to half of another draw at one of some rates."""
    wanted = jax.tree.map(lambda leaf: leaf / 2, selector.select(selector.init(jax.random.key(9), KERNELS)))
    variables = selector.init(jax.random.key(0), KERNELS)

    def distance(params, key=None):
        weights = selector.select({"params": params, "frozen": variables["frozen"]}, key)
        return sum(jnp.sum((one - two) ** 2) for one, two in zip(*map(jax.tree.leaves, (weights, wanted)), strict=True))

    def train(rate):
        def step(params, key):
            gradient = jax.grad(distance)(params, key)
            return optax.apply_updates(params, jax.tree.map(lambda g: -rate.astype(g.dtype) * g, gradient)), None

        params, _ = jax.lax.scan(step, variables["params"], jax.random.split(jax.random.key(1), steps))
        return distance(params)

    return bool(jax.jit(jax.vmap(train))(RATES).min() < 0.75 * distance(variables["params"]))
