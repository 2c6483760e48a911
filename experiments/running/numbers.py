"""Numbers that arrays hold, as they are written down."""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


def number(value: Any) -> float:
    """The number whose shortest text is that of an array's only entry: 0.948, and not 0.9480000138282776.

    >>> number(np.float32(0.948))
    0.948
    """
    return float(str(np.asarray(value)))


def numbers(tree: PyTree) -> Any:
    """The same for every leaf; what is an int already stays one.

    >>> numbers({"loss": np.float32(0.1), "skipped": 2})
    {'loss': 0.1, 'skipped': 2}
    """
    return jax.tree.map(lambda value: value if isinstance(value, int) else number(value), tree)


def bits(nats: float) -> float:
    """A loss in nats, in bits: of bytes of a text, bits per character.

    >>> round(bits(math.log(2)), 6)
    1.0
    """
    return nats / math.log(2)
