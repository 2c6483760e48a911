"""Weights for the same network in PyTorch: its layouts, and its names of what is in a layer."""

from pathlib import Path

import jax
import numpy as np

from experiments.formats.arrays import plain_arrays, write_safetensors
from experiments.running.shipped import Shipped, logits_of
from slotjax import data

NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}  # from Flax's inputs and outputs, rows, columns, inputs and outputs


def write_torch(shipped: Shipped, path: Path) -> None:
    """A state dict as safetensors: `Conv_0.weight`, `(outputs, inputs, rows, columns)`, and so on.

    Layers have Flax's names. The network takes `(batch, channels, height, width)`, as `normalization` in the metadata
    says, and where it flattens images, it does so in that order.
    """
    arrays, flattened = plain_arrays(shipped), _flattened(shipped)
    if flattened:
        first = next(name for name, array in arrays.items() if array.ndim == 2)
        arrays[first] = _from_channels(arrays[first], flattened)
    tensors = {_name(name): np.ascontiguousarray(array.transpose(AXES[array.ndim])) for name, array in arrays.items()}
    write_safetensors(tensors, path, shipped.ticket.metadata | _normalization(shipped))


def _name(name: str) -> str:
    """Of an array of Flax in PyTorch: without its collection, and with points in its path."""
    *layers, kind = name.split("/")[1:]
    return ".".join([*layers, NAMES[kind]])


def _from_channels(kernel: np.ndarray, flattened: tuple[int, ...]) -> np.ndarray:
    """The rows of a matrix in the order of channels, rows and columns, in place of rows, columns and channels."""
    return kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def _flattened(shipped: Shipped) -> tuple[int, ...] | None:
    """Rows, columns and channels of what the network flattens before its first matrix; None if it flattens nothing."""
    image = jax.ShapeDtypeStruct((1, *shipped.inputs.image_shape), shipped.inputs.dtype)
    for equation in jax.make_jaxpr(logits_of(shipped))(image).jaxpr.eqns:
        before, after = (variables[0].aval.shape for variables in (equation.invars, equation.outvars))
        if equation.primitive.name == "reshape" and (len(before), len(after)) == (4, 2):
            return tuple(before[1:])
    return None


def _normalization(shipped: Shipped) -> dict[str, object]:
    if shipped.inputs.dtype != "uint8":
        return {}
    used = data.NORMALIZATIONS.get(shipped.settings.dataset, data.Normalization())
    return {"normalization": {"divided by": 255, **used._asdict()}}
