"""Numbers among arguments."""

from numbers import Real
from typing import Any

import numpy as np


def is_number(value: Any) -> bool:
    """Whether it is one real number, of Python, NumPy or JAX.

    >>> from slotjax._numbers import is_number
    >>> is_number(0.5), is_number(jnp.float32(0.5)), is_number("0.5"), is_number(jnp.ones(2))
    (True, True, False, False)
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return isinstance(value, Real) or (kind in ("f", "i", "u", "V") and np.ndim(value) == 0)
