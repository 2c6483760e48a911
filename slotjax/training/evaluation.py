"""Loss and accuracy of fixed weights on a split."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from slotjax.data import Split, as_float
from slotjax.training.devices import DATA_AXIS, shard_batch

Apply = Callable[..., Float[Array, "batch classes"]]
_BATCH = 1000


def loss_and_correct(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]
) -> tuple[Float[Array, " batch"], Int[Array, " batch"]]:
    """Cross-entropy in nats, and 1 for a right prediction, per example.

    >>> losses, correct = training.evaluation.loss_and_correct(jnp.zeros((1, 2)), jnp.array([0]))
    >>> print(losses, correct)
    [0.6931472] [1]
    """
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, (jnp.argmax(logits, -1).astype(labels.dtype) == labels).astype(jnp.int32)


def evaluate(apply: Apply, weights: PyTree, split: Split, mesh: Mesh) -> dict[str, Float[Array, ""]]:
    """Mean loss and accuracy on a whole split; to be called within a compiled function.

    Args:
        apply: `apply(weights, images) -> logits`.
        weights: the weights that `apply` takes.
        split: images and labels, replicated.
        mesh: devices to share the work.

    Returns:
        `{"loss": nats, "accuracy": share from 0 to 1}`.

    >>> split = slotjax.data.Split(jnp.ones((4, 2)), jnp.array([0, 0, 0, 1]))
    >>> apply = lambda weights, images: images @ weights
    >>> result = training.evaluate(apply, jnp.zeros((2, 2)), split, training.data_mesh())
    >>> print(result["accuracy"])
    0.75
    """

    def batch_sums(images, labels):
        losses, correct = loss_and_correct(apply(weights, as_float(images)), labels)
        return losses.sum(), correct.sum()

    count = len(split.labels)
    size = mesh.shape[DATA_AXIS] * max(1, _BATCH // mesh.shape[DATA_AXIS])
    whole = count - count % size

    def one_batch(index):
        return batch_sums(*(shard_batch(array[index], mesh) for array in split))

    sums = [batch_sums(*(array[whole:] for array in split))] if count % size else []
    if whole:
        losses, correct = jax.lax.map(one_batch, jnp.arange(whole).reshape(-1, size))
        sums.append((losses.sum(), correct.sum()))
    loss, correct = (sum(values) for values in zip(*sums, strict=True))
    return {"loss": loss / count, "accuracy": correct.astype(loss.dtype) / count}
