"""Loss and accuracy of fixed weights on a split."""

import math
from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from slotjax.data import Dataset, Split
from slotjax.training.apply import Apply
from slotjax.training.devices import DATA_AXIS, shard_batch
from slotjax.training.learner import Learner
from slotjax.training.loss import Correct, Loss, correct_predictions, cross_entropy, losses_and_correct
from slotjax.training.sums import Sums, add_sums

_BATCH = 1000
_PREDICTIONS = 8000  # of a batch, where an example has several


def evaluate(
    apply: Apply,
    weights: PyTree,
    batch_stats: PyTree,
    split: Split,
    mesh: Mesh,
    loss: Loss = cross_entropy,
    correct: Correct = correct_predictions,
) -> dict[str, Float[Array, ""]]:
    """Mean loss and accuracy of given weights on a whole split; to be called within a compiled function.

    Args:
        apply: the model, called without a key.
        weights: the weights that it takes.
        batch_stats: running statistics of batches, `{}` for a model that has none.
        split: images and labels, replicated.
        mesh: devices to share the work.
        loss: as a `Learner` has it.
        correct: as a `Learner` has it.

    Returns:
        `{"loss": mean, "accuracy": share from 0 to 1}`; cross-entropy is in nats.

    Raises:
        ValueError: if a function does not fit logits and labels.

    >>> split = slotjax.data.Split(jnp.ones((4, 2)), jnp.array([0, 0, 0, 1]))
    >>> apply = lambda weights, batch_stats, images: (images @ weights, batch_stats)
    >>> result = training.evaluate(apply, jnp.zeros((2, 2)), {}, split, training.data_mesh())
    >>> print(result["accuracy"])
    0.75
    """

    def batch_sums(batch):
        logits, _ = apply(weights, batch_stats, batch.images)
        losses, is_correct = losses_and_correct(loss, correct, logits, batch.labels)
        return losses.sum(), is_correct.sum()

    count = examples_in(split)
    size = mesh.shape[DATA_AXIS] * max(1, _batch_size(split) // mesh.shape[DATA_AXIS])
    whole = count - count % size

    def one_batch(index):
        return batch_sums(jax.tree.map(lambda array: shard_batch(array[index], mesh), split))

    sums = []
    if count % size:
        losses, hits = batch_sums(jax.tree.map(lambda array: array[whole:], split))
        sums.append(Sums(loss=losses, correct=hits, examples=jnp.asarray(count % size)))
    if whole:
        losses, hits = jax.lax.map(one_batch, jnp.arange(whole).reshape(-1, size))
        sums.append(Sums(loss=losses.sum(), correct=hits.sum(), examples=jnp.asarray(whole)))
    return reduce(add_sums, sums).means()


def examples_in(split: Split) -> int:
    """How many examples a split has: the first dimension of all its arrays.

    >>> training.evaluation.examples_in(slotjax.data.Split(jnp.ones((4, 2)), {"class": jnp.zeros(4, jnp.int32)}))
    4
    """
    return len(jax.tree.leaves(split)[0])


def _batch_size(split: Split) -> int:
    """As many examples as fit into memory, of texts too, whose predictions are many."""
    predictions = math.prod(jax.tree.leaves(split.labels)[0].shape[1:])
    return min(_BATCH, max(1, _PREDICTIONS // max(1, predictions)))


def evaluate_held_out(
    learner: Learner, mesh: Mesh, variables: PyTree, batch_stats: PyTree, dataset: Dataset
) -> dict[str, dict[str, Float[Array, ""]]]:
    """`{"validation": ..., "test": ...}` of what is selected, each as `evaluate` has it."""
    weights, loss = learner.selector.select(variables), learner.evaluation_loss or learner.loss
    return {
        name: evaluate(learner.apply, weights, batch_stats, getattr(dataset, name), mesh, loss, learner.correct)
        for name in ("validation", "test")
    }


def compile_evaluation(learner: Learner, mesh: Mesh) -> Callable[..., dict[str, dict[str, Array]]]:
    """The jitted function `evaluate(variables, batch_stats, dataset) -> {"validation": ..., "test": ...}`.

    Args:
        learner: whose `apply`, `selector`, `evaluation_loss` and `correct` are used.
        mesh: devices to share the work.

    Returns:
        A function of a selector's variables, running statistics of batches (`{}` for a model that has none) and a
        dataset; it gives for each split what `evaluate` does, and raises what that raises.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> learner = training.Learner(apply=apply, selector=slotjax.slot_machine(k=2), optimizer=training.sgd(0.2))
    >>> evaluation = training.compile_evaluation(learner, training.data_mesh())
    >>> split = slotjax.data.Split(jnp.zeros((4, 3)), jnp.array([0, 0, 0, 1]))
    >>> variables = learner.selector.init(jax.random.key(0), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    >>> print(evaluation(variables, {}, slotjax.data.Dataset(split, split, split, 2))["test"]["accuracy"])
    0.75
    """

    def evaluation(variables, batch_stats, dataset):
        return evaluate_held_out(learner, mesh, variables, batch_stats, dataset)

    return jax.jit(evaluation)
