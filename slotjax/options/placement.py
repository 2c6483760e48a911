"""Arrays that are made inside a program take the sharding of the weight that they belong to."""

from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Array


def explicit_sharding(like: Any) -> NamedSharding | None:
    """The sharding of an array on a mesh with Explicit axes; None elsewhere, where XLA decides.

    >>> slotjax.options.explicit_sharding(jnp.ones((2, 3))) is None
    True
    """
    if not isinstance(like, jax.Array):
        return None
    sharding = jax.typeof(like).sharding
    return sharding if AxisType.Explicit in sharding.mesh.axis_types else None


def placed_like(array: Array, like: Any) -> Array:
    """The same array, whose last dimensions are those of `like`, sharded as `like` is.

    >>> slotjax.options.placed_like(jnp.ones((5, 2, 3)), jnp.ones((2, 3))).shape
    (5, 2, 3)
    """
    sharding = explicit_sharding(like)
    if sharding is None:
        return array
    # Without a use of `like` itself, a compiled function would not know of the mesh.
    array, _ = jax.lax.optimization_barrier((array, like))
    return jax.sharding.reshard(array, widened(sharding, array.ndim - like.ndim))


def widened(sharding: NamedSharding, dimensions: int) -> NamedSharding:
    """The sharding of an array with so many more leading dimensions, which are not sharded.

    >>> from jax.sharding import NamedSharding, PartitionSpec
    >>> sharding = NamedSharding(jax.make_mesh((1,), ("x",)), PartitionSpec("x"))
    >>> slotjax.options.widened(sharding, 1).spec == PartitionSpec(None, "x")
    True
    """
    return NamedSharding(sharding.mesh, PartitionSpec(*[None] * dimensions, *sharding.spec))
