"""Devices: a one-dimensional mesh over which batches are sharded and everything else is replicated."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

DATA_AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the single axis `data`, over all devices unless given.

    >>> training.data_mesh(jax.devices()[:1]).shape["data"]
    1
    """
    devices = jax.devices() if devices is None else devices
    return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """The tree with every array on every device of the mesh.

    >>> mesh = training.data_mesh()
    >>> training.replicate(jnp.ones(3), mesh).is_fully_replicated
    True
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


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
