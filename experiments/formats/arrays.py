"""Plain weights under their names: a safetensors file as Flax's users have them, or an npz file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from experiments.running.shipped import Shipped
from slotjax.selectors import named_leaves


def write_flax(shipped: Shipped, path: Path) -> None:
    """`COLLECTION/NAME` for every array of `params` and `batch_stats`; metadata as JSON, under `slotjax`."""
    write_safetensors(plain_arrays(shipped), path, shipped.ticket.metadata)


def write_safetensors(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, Any]) -> None:
    """A file of safetensors, with metadata as JSON, under `slotjax`."""
    # Not `save_file`, whose files nobody but their owner may read, whatever the umask.
    path.write_bytes(save(arrays, metadata={"slotjax": json.dumps(metadata)}))


def write_npz(shipped: Shipped, path: Path) -> None:
    """`COLLECTION/NAME` for every array of `params` and `batch_stats`."""
    arrays: dict[str, Any] = plain_arrays(shipped)
    with path.open("xb") as file:  # np.savez would add .npz to a name
        np.savez(file, **arrays)


def plain_arrays(shipped: Shipped) -> dict[str, np.ndarray]:
    """Every array of a network by its collection and name."""
    collections = {"params": shipped.ticket.weights, "batch_stats": shipped.batch_stats}
    return {
        f"{collection}/{name}": np.asarray(leaf)
        for collection, tree in collections.items()
        for name, leaf in named_leaves(tree).items()
    }
