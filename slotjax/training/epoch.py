"""One epoch as one compiled call: shuffle, select, forward, backward, update, evaluate."""

from collections.abc import Callable

import jax
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from slotjax._factorable import Optimizer
from slotjax._selector import Selector
from slotjax.analysis import share_changed
from slotjax.data import Dataset, Split, as_float
from slotjax.training.devices import DATA_AXIS, shard_batch
from slotjax.training.evaluation import Apply, evaluate, loss_and_correct
from slotjax.training.state import TrainState

Epoch = Callable[[TrainState, PyTree, Dataset], tuple[TrainState, dict[str, Array]]]


def compile_epoch(
    apply: Apply,
    selector: Selector,
    optimizer: Optimizer,
    batch_size: int,
    mesh: Mesh,
) -> Epoch:
    """The jitted function of one epoch, to be compiled once and called once per epoch.

    Args:
        apply: `apply(weights, images) -> logits`, the unmodified model.
        selector: how weights are chosen.
        optimizer: what updates the trainable part of the variables.
        batch_size: examples per step, over all devices; a multiple of their number. The examples that fill no batch
            are left out, others in each epoch.
        mesh: the devices; each batch is sharded over them, all else is replicated.

    Returns:
        `epoch(state, frozen, dataset) -> (state, metrics)`. It donates `state`. Metrics are `losses`,
        one per step, and of the epoch: `train`, `validation` and `test`, each with `loss` in nats and `accuracy` from 0
        to 1, and where anything is selected `changed`, the share of connections whose selection is another than before.
        `train` is a mean over the steps as they were taken.

    Raises:
        ValueError: if `batch_size` is not a multiple of the number of devices.

    >>> selector = slotjax.slot_machine(k=2)
    >>> apply = lambda weights, images: images @ weights
    >>> split = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> variables = selector.init(jax.random.key(0), jnp.zeros((3, 2)))
    >>> optimizer = training.sgd(0.2)
    >>> state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    >>> epoch = training.compile_epoch(apply, selector, optimizer, 4, training.data_mesh(jax.devices()[:1]))
    >>> state, metrics = epoch(state, variables["frozen"], slotjax.data.Dataset(split, split, split, 2))
    >>> int(state.step), metrics["losses"].shape
    (2, (2,))
    """
    if batch_size % mesh.shape[DATA_AXIS]:
        raise ValueError(f"batch_size: {batch_size} is not a multiple of the {mesh.shape[DATA_AXIS]} devices")

    def loss(params, frozen, key, batch):
        weights = selector.select({"params": params, "frozen": frozen}, key)
        losses, correct = loss_and_correct(apply(weights, as_float(batch.images)), batch.labels)
        return losses.mean(), correct.sum()

    def train_step(frozen, train, state, index):
        batch = Split(*(shard_batch(array[index], mesh) for array in train))
        key = _stream(state.key, "select", state.step)
        (value, correct), gradient = jax.value_and_grad(loss, has_aux=True)(state.params, frozen, key, batch)
        return _update(optimizer, state, gradient), (value, correct)

    def epoch(state, frozen, dataset):
        order = _batches(_stream(state.key, "shuffle", state.epoch), len(dataset.train.labels), batch_size)
        before = selector.selection({"params": state.params, "frozen": frozen})
        state, (losses, correct) = jax.lax.scan(
            lambda state, index: train_step(frozen, dataset.train, state, index), state, order
        )
        variables = {"params": state.params, "frozen": frozen}
        accuracy = correct.sum().astype(losses.dtype) / order.size
        metrics = {
            "losses": losses,
            "train": {"loss": losses.mean(), "accuracy": accuracy},
            **_held_out(apply, selector, variables, dataset, mesh),
        }
        if jax.tree.leaves(before):
            metrics["changed"] = share_changed(before, selector.selection(variables))
        return state._replace(epoch=state.epoch + 1), metrics

    replicated = NamedSharding(mesh, PartitionSpec())
    return jax.jit(epoch, donate_argnums=0, out_shardings=replicated)


def compile_evaluation(apply: Apply, selector: Selector, mesh: Mesh) -> Callable[..., dict[str, dict[str, Array]]]:
    """The jitted function `evaluate(variables, dataset) -> {"validation": ..., "test": ...}`.

    >>> apply = lambda weights, images: images @ weights
    >>> evaluation = training.compile_evaluation(apply, slotjax.slot_machine(), training.data_mesh())
    """
    return jax.jit(lambda variables, dataset: _held_out(apply, selector, variables, dataset, mesh))


def _held_out(apply, selector, variables, dataset, mesh):
    weights = selector.select(variables)
    return {name: evaluate(apply, weights, getattr(dataset, name), mesh) for name in ("validation", "test")}


def _update(optimizer: Optimizer, state: TrainState, gradient: PyTree) -> TrainState:
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    return state._replace(step=state.step + 1, params=params, opt_state=opt_state)


def _stream(key: PRNGKeyArray, name: str, count: Int[Array, ""]) -> PRNGKeyArray:
    """The key of one use of randomness at one time."""
    return jax.random.fold_in(jax.random.fold_in(key, ("shuffle", "select").index(name)), count)


def _batches(key: PRNGKeyArray, examples: int, batch_size: int) -> Int[Array, "steps batch"]:
    steps = examples // batch_size
    return jax.random.permutation(key, examples)[: steps * batch_size].reshape(steps, batch_size)
