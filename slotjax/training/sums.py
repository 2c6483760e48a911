"""What batches add up to, on the devices: losses and correct predictions, whose means are an evaluation."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Sums(NamedTuple):
    """What batches add up to.

    Attributes:
        loss: the sum over examples; of cross-entropy, in nats.
        correct: how many were predicted correctly; of an example with several predictions, the share.
        examples: those that were valid, `int32`.
    """

    loss: Float[Array, ""]
    correct: Float[Array, ""]
    examples: Int[Array, ""]

    def means(self) -> dict[str, Float[Array, ""]]:
        """`{"loss": mean, "accuracy": share from 0 to 1}`.

        >>> print(training.Sums(loss=jnp.array(3.0), correct=jnp.array(1.0), examples=jnp.array(2)).means())
        {'loss': Array(1.5, dtype=float32), 'accuracy': Array(0.5, dtype=float32)}
        """
        examples = self.examples.astype(self.loss.dtype)
        return {"loss": self.loss / examples, "accuracy": self.correct / examples}


def zero_sums() -> Sums:
    """The sums of no batch.

    >>> int(training.zero_sums().examples)
    0
    """
    return Sums(loss=jnp.zeros(()), correct=jnp.zeros(()), examples=jnp.zeros((), jnp.int32))


def add_sums(sums: Sums, added: Sums) -> Sums:
    """The sums of both.

    >>> one = training.Sums(loss=jnp.array(0.5), correct=jnp.array(1.0), examples=jnp.array(2))
    >>> int(training.sums.add_sums(training.zero_sums(), one).examples)
    2
    """
    return Sums(*(total + more for total, more in zip(sums, added, strict=True)))
