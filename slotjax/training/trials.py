"""Several trials as one compiled program: networks that differ in their random numbers only."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from slotjax.training.epoch import Epoch, one_epoch
from slotjax.training.learner import Learner


def compile_trials(learner: Learner, mesh: Mesh, batch_size: int) -> Epoch:
    """The jitted function of one epoch of several networks at once, which differ in nothing but their random numbers.

    Args:
        learner: what learns.
        mesh: the devices; each batch is sharded over them, all else is replicated.
        batch_size: examples per step of each network; a multiple of the number of devices.

    Returns:
        `epoch(states, frozen, dataset) -> (states, metrics)`, in which states, frozen values and metrics have one more
        dimension in front, that of the trials (`stack_trials`). Each trial has the order of examples and the samples
        that it has alone. It donates `states`.

    Raises:
        ValueError: as in `compile_epoch`.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> learner = training.Learner(apply=apply, selector=slotjax.slot_machine(k=2), optimizer=training.sgd(0.2))
    >>> def start(seed):
    ...     variables = learner.selector.init(jax.random.key(seed), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    ...     state = training.init_state(jax.random.key(seed), variables["params"], learner.optimizer)
    ...     return state, variables["frozen"]
    >>> states, frozen = training.stack_trials([start(seed) for seed in range(5)])
    >>> split = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> epoch = training.compile_trials(learner, training.data_mesh(jax.devices()[:1]), batch_size=4)
    >>> states, metrics = epoch(states, frozen, slotjax.data.Dataset(split, split, split, 2))
    >>> metrics["losses"].shape, metrics["test"]["accuracy"].shape
    ((5, 2), (5,))
    """
    epoch = one_epoch(learner, mesh, batch_size)
    replicated = NamedSharding(mesh, PartitionSpec())
    return jax.jit(jax.vmap(epoch, in_axes=(0, 0, None)), donate_argnums=0, out_shardings=replicated)


def stack_trials(trials: Sequence[PyTree]) -> PyTree:
    """Trees of the same structure as one, whose arrays have the trials as their first dimension.

    >>> training.stack_trials([{"u": jnp.zeros(3)}, {"u": jnp.ones(3)}])["u"].shape
    (2, 3)
    """
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trials)
