"""One epoch as one compiled call: shuffle, then a step for every batch, then evaluation."""

from collections.abc import Callable

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from slotjax.analysis import share_changed
from slotjax.data import Dataset, Split
from slotjax.selectors import Optimizer, Selector
from slotjax.training.apply import Apply
from slotjax.training.devices import DATA_AXIS, shard_batch
from slotjax.training.evaluation import evaluate_held_out
from slotjax.training.state import TrainState
from slotjax.training.step import stream, train_step

Epoch = Callable[[TrainState, PyTree, Dataset], tuple[TrainState, dict[str, Array]]]


def compile_epoch(
    apply: Apply,
    selector: Selector,
    optimizer: Optimizer,
    batch_size: int,
    mesh: Mesh,
    label_smoothing: float = 0.0,
    state_shardings: PyTree | None = None,
) -> Epoch:
    """The jitted function of one epoch, to be compiled once and called once per epoch.

    Args:
        apply: the unmodified model, as a function of weights, batch statistics, images and a key
            (`slotjax.training.linen_apply`).
        selector: how weights are chosen.
        optimizer: what updates the trainable part of the variables.
        batch_size: examples per step, over all devices; a multiple of their number. The examples that fill no batch
            are left out, others in each epoch.
        mesh: the devices; each batch is sharded over them, all else is replicated.
        label_smoothing: the share of each label's probability that is spread over all classes, in training.
        state_shardings: how the state is split over the devices (`shardings`); it is replicated unless given.

    Returns:
        `epoch(state, frozen, dataset) -> (state, metrics)`. It donates `state`. Metrics are `losses`,
        one per step, and of the epoch: `train`, `validation` and `test`, each with `loss` in nats and `accuracy` from 0
        to 1, and where anything is selected `changed`, the share of connections whose selection is another than before.
        `train` is a mean over the steps as they were taken.

    Raises:
        ValueError: if `batch_size` is not a multiple of the number of devices; when called, if there are fewer training
            examples.

    >>> selector = slotjax.slot_machine(k=2)
    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> split = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> variables = selector.init(jax.random.key(0), jnp.zeros((3, 2)))
    >>> optimizer = training.sgd(0.2)
    >>> state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    >>> epoch = training.compile_epoch(apply, selector, optimizer, 4, training.data_mesh(jax.devices()[:1]))
    >>> state, metrics = epoch(state, variables["frozen"], slotjax.data.Dataset(split, split, split, 2))
    >>> int(state.step), metrics["losses"].shape
    (2, (2,))
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    state_shardings = replicated if state_shardings is None else state_shardings
    epoch = one_epoch(apply, selector, optimizer, batch_size, mesh, label_smoothing)
    return jax.jit(epoch, donate_argnums=0, out_shardings=(state_shardings, replicated))


def one_epoch(
    apply: Apply, selector: Selector, optimizer: Optimizer, batch_size: int, mesh: Mesh, label_smoothing: float
) -> Epoch:
    """The pure function of one epoch, to be called within a compiled one; arguments as in `compile_epoch`."""
    if batch_size % mesh.shape[DATA_AXIS]:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {mesh.shape[DATA_AXIS]} devices")
    step = train_step(apply, selector, optimizer, label_smoothing)

    def epoch(state, frozen, dataset):
        def one_step(state, index):
            return step(state, frozen, Split(*(shard_batch(array[index], mesh) for array in dataset.train)))

        order = _batches(stream(state.key, "shuffle", state.epoch), len(dataset.train.labels), batch_size)
        before = selector.selection({"params": state.params, "frozen": frozen})
        state, (losses, correct) = jax.lax.scan(one_step, state, order)
        variables = {"params": state.params, "frozen": frozen}
        accuracy = correct.sum().astype(losses.dtype) / order.size
        metrics = {
            "losses": losses,
            "train": {"loss": losses.mean(), "accuracy": accuracy},
            **evaluate_held_out(apply, selector, variables, state.batch_stats, dataset, mesh),
        }
        if jax.tree.leaves(before):
            metrics["changed"] = share_changed(before, selector.selection(variables))
        return state._replace(epoch=state.epoch + 1), metrics

    return epoch


def _batches(key: PRNGKeyArray, examples: int, batch_size: int) -> Int[Array, "steps batch"]:
    steps = examples // batch_size
    if steps == 0:
        raise ValueError(f"batch_size: {batch_size} was given, but there are only {examples} training examples")
    return jax.random.permutation(key, examples)[: steps * batch_size].reshape(steps, batch_size)
