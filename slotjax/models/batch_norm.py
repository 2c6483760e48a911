"""Batch normalization as both papers use it: without parameters that could be learned."""

from functools import partial
from typing import Any

import flax.linen as nn


def batch_norm(train: bool, affine: bool, dtype: Any) -> partial[nn.BatchNorm]:
    """`nn.BatchNorm` with PyTorch's constants: statistics of the batch in training, and running ones at evaluation.

    Args:
        train: whether statistics are taken from the batch, and the running ones updated.
        affine: whether there are a scale and a bias.
        dtype: of the result; statistics are always in float32.

    >>> slotjax.models.batch_norm.batch_norm(train=False, affine=False, dtype=jnp.float32)().use_scale
    False
    """
    return partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        use_scale=affine,
        use_bias=affine,
        dtype=dtype,
    )
