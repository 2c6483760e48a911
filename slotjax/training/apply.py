"""What training calls a model by."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import PRNGKeyArray, PyTree

# `apply(weights, batch_stats, images, key=None) -> (logits, batch_stats)`: a model as a pure function. With a key it
# trains, as `select` does: it may drop units, and returns updated running statistics of batches. Logits are what the
# learner's loss takes, `(batch, classes)` for that of the default.
Apply = Callable[..., tuple[PyTree, PyTree]]


def linen_apply(model: nn.Module) -> Apply:
    """A Linen model as a pure function of weights, batch statistics, images and, in training, a key.

    Args:
        model: called as `model(images, train=...)`, with collections `params` and, if it has batch norm,
            `batch_stats`, and the rng stream `dropout`.

    >>> model = slotjax.models.LeNet(widths=(8,))
    >>> weights = model.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))["params"]
    >>> logits, batch_stats = training.linen_apply(model)(weights, {}, jnp.ones((2, 28, 28, 1)))
    >>> logits.shape, batch_stats
    ((2, 10), {})
    """

    def apply(weights: PyTree, batch_stats: PyTree, images: Any, key: PRNGKeyArray | None = None) -> tuple[Any, PyTree]:
        variables = {"params": weights, "batch_stats": batch_stats}
        if key is None:
            return model.apply(variables, images), batch_stats
        logits, updated = model.apply(variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return logits, updated.get("batch_stats", batch_stats)

    return apply
