"""Tickets of format 1, the first: read as if they were of format 2."""

import hashlib
import json
from typing import Any

import numpy as np

from slotjax.tickets.reader import Leaf, leaves


def first_leaves(content: dict[str, Any], tensors: dict[str, np.ndarray], text: str) -> list[Leaf]:
    """The arrays of a ticket of format 1.

    Raises:
        ValueError: if it is damaged.
    """
    is_as_written, stated = _text(content) == text, content.pop("sha256")
    if not is_as_written or stated != _digest(content, tensors):
        raise ValueError("its checksum does not match, so it is damaged")
    rescaled = {name for name, entry in content["weights"].items() if entry.pop("rescaled", False) is True}
    made = leaves(content, tensors)
    return [_rescaled(leaf) if leaf.path.removeprefix("params/") in rescaled and leaf.entry else leaf for leaf in made]


def _rescaled(leaf: Leaf) -> Leaf:
    """With the factor that format 1 leaves to its reader: all connections over those that the mask keeps."""
    kept = sum(np.count_nonzero(index) for _, index in leaf.tiles())
    ratio = np.float32(np.prod(leaf.shape)) / np.float32(max(1, kept))
    return leaf._replace(entry=leaf.entry | {"factor": float(ratio.astype(leaf.dtype))})


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(_text(content).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_text({"name": name, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}).encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
