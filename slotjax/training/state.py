"""What training changes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from slotjax._factorable import Optimizer, check_factorable
from slotjax._factored import is_factored


class TrainState(NamedTuple):
    """Everything that a training step changes or draws from; the frozen random values stand beside it.

    Attributes:
        step: optimizer steps taken, `int32`.
        epoch: epochs finished, `int32`.
        key: the source of all randomness in training: shuffling and sampling. It never changes; the epoch and the
            step are folded into it.
        params: scores, and leaves that are not selected.
        opt_state: state of the optimizer.
    """

    step: Int[Array, ""]
    epoch: Int[Array, ""]
    key: PRNGKeyArray
    params: PyTree
    opt_state: PyTree


def init_state(key: PRNGKeyArray, params: PyTree, optimizer: Optimizer) -> TrainState:
    """The state before the first step.

    Raises:
        ValueError: if `params` hold factored scores and the optimizer does not allow them (`slotjax.check_factorable`).

    >>> state = training.init_state(jax.random.key(0), {"scores": jnp.ones(2)}, training.sgd(0.2))
    >>> int(state.step), int(state.epoch)
    (0, 0)
    """
    if any(map(is_factored, jax.tree.leaves(params, is_leaf=is_factored))):
        check_factorable(optimizer, params)
    return TrainState(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), key, params, optimizer.init(params))
