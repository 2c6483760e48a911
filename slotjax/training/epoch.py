"""One epoch as one compiled call: shuffle, then a step for every batch, then evaluation."""

from collections.abc import Callable

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from slotjax.analysis import share_changed
from slotjax.data import Dataset
from slotjax.training.devices import DATA_AXIS, shard_batch
from slotjax.training.evaluation import evaluate_held_out, examples_in
from slotjax.training.learner import Learner
from slotjax.training.state import TrainState
from slotjax.training.step import key_for, train_step

Epoch = Callable[[TrainState, PyTree, Dataset], tuple[TrainState, dict[str, Array]]]


def compile_epoch(
    learner: Learner, mesh: Mesh, batch_size: int, state_shardings: PyTree | None = None, steps: int | None = None
) -> Epoch:
    """The jitted function of one epoch, to be compiled once and called once per epoch.

    Args:
        learner: what learns.
        mesh: the devices; each batch is sharded over them, all else is replicated.
        batch_size: examples per step, over all devices; a multiple of their number. The examples that fill no batch
            are left out, others in each epoch.
        state_shardings: how the state is split over the devices (`shardings`). Default: it is replicated.
        steps: of an epoch, on other examples in each. Default: as many as all examples are enough for.

    Returns:
        `epoch(state, frozen, dataset) -> (state, metrics)`. It donates `state`. Metrics are `losses`,
        one per step, and of the epoch: `train`, `validation` and `test`, each with `loss` and `accuracy` from 0 to 1,
        and where anything is selected `changed`, the share of connections whose selection is another than before.
        `train` is a mean over the steps as they were taken.

    Raises:
        ValueError: if `batch_size` is not a multiple of the number of devices; when called, if there are fewer training
            examples than are needed, or if a function of the learner's does not fit logits and labels.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> learner = training.Learner(apply=apply, selector=slotjax.slot_machine(k=2), optimizer=training.sgd(0.2))
    >>> split = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> variables = learner.selector.init(jax.random.key(0), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    >>> state = training.init_state(jax.random.key(1), variables["params"], learner.optimizer)
    >>> epoch = training.compile_epoch(learner, training.data_mesh(jax.devices()[:1]), batch_size=4)
    >>> state, metrics = epoch(state, variables["frozen"], slotjax.data.Dataset(split, split, split, 2))
    >>> int(state.step), metrics["losses"].shape
    (2, (2,))
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    state_shardings = replicated if state_shardings is None else state_shardings
    epoch = one_epoch(learner, mesh, batch_size, steps)
    return jax.jit(epoch, donate_argnums=0, out_shardings=(state_shardings, replicated))


def one_epoch(learner: Learner, mesh: Mesh, batch_size: int, steps: int | None = None) -> Epoch:
    """The pure function of one epoch, to be called within a compiled one; arguments as in `compile_epoch`."""
    if batch_size % mesh.shape[DATA_AXIS]:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {mesh.shape[DATA_AXIS]} devices")
    step, selection = train_step(learner), learner.selector.selection

    def epoch(state, frozen, dataset):
        def one_step(state, index):
            return step(state, frozen, jax.tree.map(lambda array: shard_batch(array[index], mesh), dataset.train))

        order = _batches(key_for(state.key, "shuffle", state.epoch), examples_in(dataset.train), batch_size, steps)
        before = selection({"params": state.params, "frozen": frozen})
        state, (losses, correct) = jax.lax.scan(one_step, state, order)
        variables = {"params": state.params, "frozen": frozen}
        metrics = {
            "losses": losses,
            "train": {"loss": losses.mean(), "accuracy": correct.sum() / order.size},
            **evaluate_held_out(learner, mesh, variables, state.batch_stats, dataset),
        }
        if jax.tree.leaves(before):
            metrics["changed"] = share_changed(before, selection(variables))
        return state._replace(epoch=state.epoch + 1), metrics

    return epoch


def _batches(key: PRNGKeyArray, examples: int, batch_size: int, steps: int | None = None) -> Int[Array, "steps batch"]:
    if batch_size > examples:
        raise ValueError(f"batch_size: {batch_size} was given, but there are only {examples} training examples")
    most = examples // batch_size
    steps = most if steps is None else steps
    if steps > most:
        raise ValueError(f"steps: {steps} was given, but {examples} training examples are enough for {most}")
    return jax.random.permutation(key, examples)[: steps * batch_size].reshape(steps, batch_size)
