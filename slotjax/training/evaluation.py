"""Loss and accuracy of fixed weights on a split."""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from slotjax.data import Dataset, Split
from slotjax.selectors import Selector
from slotjax.training.apply import Apply
from slotjax.training.devices import DATA_AXIS, shard_batch
from slotjax.training.loss import loss_and_correct
from slotjax.training.sums import Sums, add_sums

_BATCH = 1000


def evaluate(
    apply: Apply, weights: PyTree, batch_stats: PyTree, split: Split, mesh: Mesh
) -> dict[str, Float[Array, ""]]:
    """Mean loss and accuracy on a whole split; to be called within a compiled function.

    Args:
        apply: the model, called without a key.
        weights: the weights that it takes.
        batch_stats: running statistics of batches, `{}` for a model that has none.
        split: images and labels, replicated.
        mesh: devices to share the work.

    Returns:
        `{"loss": nats, "accuracy": share from 0 to 1}`.

    >>> split = slotjax.data.Split(jnp.ones((4, 2)), jnp.array([0, 0, 0, 1]))
    >>> apply = lambda weights, batch_stats, images: (images @ weights, batch_stats)
    >>> result = training.evaluate(apply, jnp.zeros((2, 2)), {}, split, training.data_mesh())
    >>> print(result["accuracy"])
    0.75
    """

    def batch_sums(images, labels):
        losses, correct = loss_and_correct(apply(weights, batch_stats, images)[0], labels)
        return losses.sum(), correct.sum()

    count = len(split.labels)
    size = mesh.shape[DATA_AXIS] * max(1, _BATCH // mesh.shape[DATA_AXIS])
    whole = count - count % size

    def one_batch(index):
        return batch_sums(*(shard_batch(array[index], mesh) for array in split))

    sums = []
    if count % size:
        loss, correct = batch_sums(*(array[whole:] for array in split))
        sums.append(Sums(loss, correct, jnp.asarray(count % size)))
    if whole:
        losses, correct = jax.lax.map(one_batch, jnp.arange(whole).reshape(-1, size))
        sums.append(Sums(losses.sum(), correct.sum(), jnp.asarray(whole)))
    return reduce(add_sums, sums).means()


def evaluate_held_out(
    apply: Apply, selector: Selector, variables: PyTree, batch_stats: PyTree, dataset: Dataset, mesh: Mesh
) -> dict[str, dict[str, Float[Array, ""]]]:
    """`{"validation": ..., "test": ...}` of what is selected, each as `evaluate` has it."""
    weights = selector.select(variables)
    splits = {"validation": dataset.validation, "test": dataset.test}
    return {name: evaluate(apply, weights, batch_stats, split, mesh) for name, split in splits.items()}


def compile_evaluation(apply: Apply, selector: Selector, mesh: Mesh) -> Callable[..., dict[str, dict[str, Array]]]:
    """The jitted function `evaluate(variables, batch_stats, dataset) -> {"validation": ..., "test": ...}`.

    >>> apply = lambda weights, batch_stats, images: (images @ weights, batch_stats)
    >>> evaluation = training.compile_evaluation(apply, slotjax.slot_machine(), training.data_mesh())
    """
    return jax.jit(
        lambda variables, batch_stats, dataset: evaluate_held_out(
            apply, selector, variables, batch_stats, dataset, mesh
        )
    )
