"""What batches add up to, on the devices: losses and right predictions, whose means are an evaluation."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Sums(NamedTuple):
    """What batches add up to.

    Attributes:
        loss: the sum over examples, in nats.
        correct: right predictions.
        examples: those that were valid.
    """

    loss: Float[Array, ""]
    correct: Int[Array, ""]
    examples: Int[Array, ""]

    def means(self) -> dict[str, Float[Array, ""]]:
        """`{"loss": nats, "accuracy": share from 0 to 1}`.

        >>> print(training.Sums(jnp.array(3.0), jnp.array(1), jnp.array(2)).means())
        {'loss': Array(1.5, dtype=float32), 'accuracy': Array(0.5, dtype=float32)}
        """
        examples = self.examples.astype(self.loss.dtype)
        return {"loss": self.loss / examples, "accuracy": self.correct.astype(self.loss.dtype) / examples}


def zero_sums() -> Sums:
    """The sums of no batch.

    >>> int(training.zero_sums().examples)
    0
    """
    return Sums(jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add_sums(sums: Sums, added: Sums) -> Sums:
    """The sums of both.

    >>> one = training.Sums(jnp.array(0.5), jnp.array(1), jnp.array(2))
    >>> int(training.sums.add_sums(training.zero_sums(), one).examples)
    2
    """
    return Sums(*(total + more for total, more in zip(sums, added, strict=True)))
