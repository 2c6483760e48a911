"""Weights for the same network in PyTorch: its layouts, and its names of what is in a layer."""

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from experiments.formats.arrays import plain_arrays, write_safetensors
from experiments.running.shipped import Shipped, logits_of
from slotjax import data, models

NAMES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
NAMES |= {"mean": "running_mean", "var": "running_var"}
AXES = {2: (1, 0), 4: (3, 2, 0, 1)}  # from Flax's inputs and outputs, rows, columns, inputs and outputs


def write_torch(shipped: Shipped, path: Path) -> None:
    """A state dict as safetensors: `Conv_0.weight`, `(outputs, inputs, rows, columns)`, and so on.

    Layers have Flax's names. The network takes `(batch, channels, height, width)`, as `normalization` in the metadata
    says, and where it flattens images, it does so in that order. One of texts takes bytes, and has a number in the
    names of its layers: `layers.0.wide.weight`.

    Raises:
        ValueError: for a network whose library names weights in another way than Flax.
    """
    arrays, flattened = plain_arrays(shipped), _flattened(shipped)
    if flattened:
        first = next(name for name, array in arrays.items() if array.ndim == 2)
        arrays[first] = _from_channels(arrays[first], flattened)
    if _is_of_text(shipped):
        arrays = {name: array for stacked, value in arrays.items() for name, array in _unstacked(stacked, value)}
    tensors = {_name(name): np.ascontiguousarray(_laid_out(name, array)) for name, array in arrays.items()}
    write_safetensors(tensors, path, shipped.ticket.metadata | _normalization(shipped))


def _name(name: str) -> str:
    """Of an array of Flax in PyTorch: without its collection, and with points in its path."""
    *layers, kind = name.split("/")[1:]
    if kind not in NAMES:
        given = f"has Flax's names, such as kernel, but {name} is named otherwise"
        raise ValueError(f"--format: torch {given}; flax and npz take any")
    return ".".join([*layers, NAMES[kind]])


def _laid_out(name: str, array: np.ndarray) -> np.ndarray:
    return array.transpose(AXES[array.ndim]) if name.endswith("/kernel") else array


def _unstacked(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of the layers of a scan, which Flax stacks, with the heads of attention one after another."""
    collection, layers, *path = name.split("/")
    if layers != "layers":
        yield name, array
        return
    for number, one in enumerate(array):
        yield "/".join([collection, layers, str(number), *path]), _with_joined_heads(path, one)


def _with_joined_heads(path: list[str], array: np.ndarray) -> np.ndarray:
    """As a matrix or a vector: of queries, keys and values the outputs are heads, of what comes out the inputs."""
    if path[0] != "attention":
        return array
    if path[1] == "out":
        return array.reshape(-1, array.shape[-1]) if path[2] == "kernel" else array
    return array.reshape(len(array), -1) if path[2] == "kernel" else array.reshape(-1)


def _from_channels(kernel: np.ndarray, flattened: tuple[int, ...]) -> np.ndarray:
    """The rows of a matrix in the order of channels, rows and columns, in place of rows, columns and channels."""
    return kernel.reshape(*flattened, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def _flattened(shipped: Shipped) -> tuple[int, ...] | None:
    """Rows, columns and channels of what the network flattens before its first matrix; None if it flattens nothing."""
    if _is_of_text(shipped):
        return None
    image = jax.ShapeDtypeStruct((1, *shipped.inputs.image_shape), shipped.inputs.dtype)
    for equation in jax.make_jaxpr(logits_of(shipped))(image).jaxpr.eqns:
        if equation.primitive.name != "reshape":  # iota, for one, has no input
            continue
        before, after = (variables[0].aval.shape for variables in (equation.invars, equation.outvars))
        if (len(before), len(after)) == (4, 2):
            return tuple(before[1:])
    return None


def _is_of_text(shipped: Shipped) -> bool:
    return shipped.settings.model in models.TEXT_MODELS


def _normalization(shipped: Shipped) -> dict[str, object]:
    if shipped.inputs.dtype != "uint8" or _is_of_text(shipped):
        return {}
    used = data.NORMALIZATIONS.get(shipped.settings.dataset, data.Normalization())
    return {"normalization": {"divided by": 255, **used._asdict()}}
