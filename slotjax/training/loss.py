"""Losses and correct predictions of a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Num, PyTree

from slotjax.options import at_least_float32

Loss = Callable[[Any, Any], Float[Array, "batch ..."]]
Correct = Callable[[Any, Any], Bool[Array, "batch ..."]]


def cross_entropy(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"], label_smoothing: float = 0.0
) -> Float[Array, "*batch"]:
    """Cross-entropy in nats, of every prediction; in float32 or the logits' wider dtype.

    Its gradient scatters on CPUs only: GPUs add up in no fixed order what is scattered, and slowly if they have to.

    Args:
        logits: of any floating dtype.
        labels: from 0 to the number of classes - 1, of any integer dtype.
        label_smoothing: the share of each label's probability that is spread over all classes (Szegedy et al., 2016);
            `functools.partial` makes a loss of it.

    >>> print(training.cross_entropy(jnp.zeros((1, 2)), jnp.array([0])))
    [0.6931472]
    """
    logits = logits.astype(at_least_float32(logits.dtype))
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        if label_smoothing:
            smooth = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), label_smoothing)
            return optax.softmax_cross_entropy(logits, smooth)
        gathered = optax.softmax_cross_entropy_with_integer_labels
        return jax.lax.platform_dependent(logits, labels, cpu=gathered, default=_cross_entropy_by_comparison)


def _cross_entropy_by_comparison(logits: Array, labels: Array) -> Array:
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    # Not a product, in which a logit of minus infinity would make it NaN.
    return jax.nn.logsumexp(logits, -1) - jnp.where(is_label, logits, jnp.zeros((), logits.dtype)).sum(-1)


def correct_predictions(logits: Float[Array, "*batch classes"], labels: PyTree) -> Bool[Array, "*batch"]:
    """Which predictions are correct: the largest logit, of equal ones the first, is that of the label.

    Args:
        logits: of any floating dtype.
        labels: as in `cross_entropy`, `(*batch,)`.

    Raises:
        ValueError: for other labels, which need a function of their own.

    >>> print(training.correct_predictions(jnp.array([[0.0, 1.0], [0.0, 1.0]]), jnp.array([0, 1])))
    [False  True]
    """
    expected = logits.shape[:-1]
    if getattr(labels, "shape", None) != expected or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"correct: without a function of its own, a learner needs integer labels of shape {expected}")
    return jnp.argmax(logits, -1).astype(labels.dtype) == labels


def losses_and_correct(
    loss: Loss, correct: Correct, logits: PyTree, labels: PyTree
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """The loss of every example, and which are predicted correctly, from 0 to 1; each the mean if there are several.

    Raises:
        ValueError: if one of the functions returns a number, and not an array with a dimension for the examples.

    >>> both = training.cross_entropy, training.correct_predictions
    >>> losses, correct = training.loss.losses_and_correct(*both, jnp.zeros((1, 4, 2)), jnp.array([[0, 0, 0, 1]]))
    >>> print(losses, correct)
    [0.6931472] [0.75]
    """
    losses = _of_examples("loss", loss(logits, labels))
    return losses, _of_examples("correct", correct(logits, labels).astype(losses.dtype))


def _of_examples(name: str, values: Num[Array, "..."]) -> Num[Array, " batch"]:
    if values.ndim == 0:
        raise ValueError(f"{name}: it returned a single number, but it must return one for each example of a batch")
    return values if values.ndim == 1 else values.reshape(len(values), -1).mean(1)
