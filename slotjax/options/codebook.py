"""What the selection of a weight refers to: per connection, zero or random values that are stored or drawn again."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from slotjax.options.generator import Seed
from slotjax.options.options import options_at


class Codebook(NamedTuple):
    """The K values of each connection of one weight, of which an index names one.

    Attributes:
        k: how many values an index can name, 2 for a mask.
        values: stored values, `(K, *shape)`, or `(K,)` if all connections share them; without the zero if there is one.
        seed: where values are drawn again, their seed, else None.
        kind: the kind of their distribution.
        scale: its sigma.
        zero: whether index 0 stands for 0.
        rescaled: whether the weight is divided by the share of its connections that are not 0.
    """

    k: int
    values: Any = None
    seed: Seed | None = None
    kind: str | None = None
    scale: float | None = None
    zero: bool = False
    rescaled: bool = False


def weight_at(codebook: Codebook, index: Int[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """The weight that an index per connection stands for."""
    first = int(codebook.zero)
    if codebook.seed is not None:
        weight = options_at(codebook.seed, index, dtype, str(codebook.kind), float(codebook.scale or 0))
    elif codebook.values.ndim == 1:
        weight = codebook.values[index - first]
    else:
        place = jnp.maximum(index - first, 0)[None]
        weight = jnp.take_along_axis(codebook.values, place, 0)[0]
    weight = jnp.where(index == 0, jnp.zeros_like(weight), weight) if codebook.zero else weight
    return weight * share_ratio(index > 0, weight.dtype) if codebook.rescaled else weight


def share_ratio(mask: Array, dtype: DTypeLike) -> Float[Array, ""]:
    """The connections of a mask over those that it keeps: the dynamic rescaling of Zhou et al. (2019)."""
    kept = jnp.maximum(mask.sum(dtype=jnp.int32), 1).astype(jnp.float32)
    return (jnp.asarray(mask.size, jnp.float32) / kept).astype(dtype)
