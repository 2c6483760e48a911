"""What training changes."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from slotjax.selectors import Optimizer


class TrainState(NamedTuple):
    """Everything that a training step changes or draws from; the frozen random values stand beside it.

    Attributes:
        step: optimizer steps taken, `int32`.
        epoch: epochs finished, `int32`.
        key: the source of all randomness in training: shuffling and sampling. It never changes; the epoch and the
            step are folded into it.
        params: scores, and leaves that are not selected.
        opt_state: state of the optimizer.
        batch_stats: running statistics of batches, for batch norm; `{}` in a model without.
    """

    step: Int[Array, ""]
    epoch: Int[Array, ""]
    key: PRNGKeyArray
    params: PyTree
    opt_state: PyTree
    batch_stats: PyTree


def init_state(
    key: PRNGKeyArray, params: PyTree, optimizer: Optimizer, batch_stats: PyTree | None = None
) -> TrainState:
    """The state before the first step.

    Args:
        key: the source of all randomness in training.
        params: the trainable part of a selector's variables.
        optimizer: what updates them.
        batch_stats: the collection of that name of a model with batch norm.

    >>> state = training.init_state(jax.random.key(0), {"scores": jnp.ones(2)}, training.sgd(0.2))
    >>> int(state.step), int(state.epoch)
    (0, 0)
    """
    # Two arrays, because one cannot be donated twice.
    step, epoch = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    return TrainState(step, epoch, key, params, optimizer.init(params), {} if batch_stats is None else batch_stats)
