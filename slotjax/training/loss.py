"""Cross-entropy and right predictions of one batch."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from slotjax.options import at_least_float32


def loss_and_correct(
    logits: Float[Array, "batch classes"], labels: Int[Array, " batch"], label_smoothing: float = 0.0
) -> tuple[Float[Array, " batch"], Int[Array, " batch"]]:
    """Cross-entropy in nats, and 1 for a right prediction, per example; in float32 or the logits' wider dtype.

    Args:
        logits: of any floating dtype.
        labels: from 0 to the number of classes - 1.
        label_smoothing: the share of each label's probability that is spread over all classes (Szegedy et al., 2016).

    >>> losses, correct = training.loss_and_correct(jnp.zeros((1, 2)), jnp.array([0]))
    >>> print(losses, correct)
    [0.6931472] [1]
    """
    logits = logits.astype(at_least_float32(logits.dtype))
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        if label_smoothing:
            smooth = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), label_smoothing)
            losses = optax.softmax_cross_entropy(logits, smooth)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, (jnp.argmax(logits, -1).astype(labels.dtype) == labels).astype(jnp.int32)
