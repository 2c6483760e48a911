"""Devices: a one-dimensional mesh over which batches are split, and all else is replicated or, if asked for, split."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

DATA_AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the single axis `data`. Default: over all devices.

    >>> training.data_mesh(jax.devices()[:1]).shape["data"]
    1
    """
    devices = jax.devices() if devices is None else devices
    return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The tree with every array on every device of the mesh; several processes must all have the same.

    >>> mesh = training.data_mesh()
    >>> training.replicate(jnp.ones(3), mesh).is_fully_replicated
    True
    """
    return _place(tree, jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree))


def shard(tree: Any, mesh: Mesh) -> Any:
    """The tree with every array split over the devices of the mesh, as `shardings` says; see `replicate`.

    >>> mesh = training.data_mesh(jax.devices()[:2])
    >>> training.shard(jnp.ones((3, 4)), mesh).addressable_shards[0].data.shape
    (3, 2)
    """
    return _place(tree, shardings(tree, mesh))


def shardings(tree: Any, mesh: Mesh) -> Any:
    """How every array is split: along the largest dimension that the number of devices divides, else not at all.

    >>> training.shardings(jnp.ones((3, 4)), training.data_mesh(jax.devices()[:2])).spec
    P(None, 'data')
    """

    def along_largest(array: Any) -> NamedSharding:
        dimensions = [size if size % mesh.size == 0 else 0 for size in np.shape(array)]
        spec: list[str | None] = [None] * len(dimensions)
        if any(dimensions):
            spec[dimensions.index(max(dimensions))] = DATA_AXIS
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(along_largest, tree)


def _place(tree: Any, placement: Any) -> Any:
    if all(sharding.is_fully_addressable for sharding in jax.tree.leaves(placement)):
        return jax.device_put(tree, placement)
    return jax.tree.map(lambda array, sharding: _place_over_processes(jnp.asarray(array), sharding), tree, placement)


def _place_over_processes(array: Array, sharding: NamedSharding) -> Array:
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        words = _place_over_processes(jax.random.key_data(array), NamedSharding(sharding.mesh, PartitionSpec()))
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(array))
    whole = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: whole[index])


def fetch(array: Any) -> np.ndarray:
    """The whole array on the host, also if other processes hold parts of it; then all have to ask.

    >>> training.fetch(jnp.ones(2))
    array([1., 1.], dtype=float32)
    """
    if getattr(array, "is_fully_addressable", True) or array.is_fully_replicated:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def all_processes(here: bool) -> bool:
    """Whether what holds `here`, in this process, holds in every one; all have to ask.

    >>> training.all_processes(True)
    True
    """
    if jax.process_count() == 1:
        return here
    return bool(multihost_utils.process_allgather(np.asarray(here)).all())


def wait_for_processes(name: str) -> None:
    """Returns when every process has called it with this name.

    >>> training.wait_for_processes("start")
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def shard_batch(batch: Shaped[Array, "batch ..."], mesh: Mesh) -> Shaped[Array, "batch ..."]:
    """Within a compiled function: the batch with its first axis split over the devices."""
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(DATA_AXIS)))


def place_batch(batch: Any, mesh: Mesh) -> Any:
    """Arrays of this process's part of a batch as arrays of the whole batch, split over the devices of all processes.

    >>> training.place_batch(np.ones((4, 2)), training.data_mesh(jax.devices()[:1])).shape
    (4, 2)
    """
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return jax.tree.map(lambda array: jax.make_array_from_process_local_data(sharding, array), batch)
