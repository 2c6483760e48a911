"""The container of a ticket: named arrays and a JSON description, with a checksum of both, in a safetensors file."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

FORMAT = 1
Tensors = Mapping[str, np.ndarray]


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description and the arrays of a file.

    Raises:
        ValueError: for a file that is damaged, cut off, foreign or of a later format.
        OSError: for a file that cannot be read.
    """
    with safetensors.safe_open(path, "np") as file:
        content = _content(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if content.pop("sha256") != _digest(content, tensors):
        raise ValueError("its checksum does not match, so it is damaged")
    return content, tensors


def write(path: Path, tensors: dict[str, np.ndarray], content: dict[str, Any]) -> None:
    """Writes a file, which appears when it is complete."""
    try:
        content = json.loads(_json(content))  # as it will be read: all names are strings
        metadata = {"slotjax": _json(content | {"sha256": _digest(content, tensors)})}
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata: it must be what JSON can hold ({error})") from error
    data = safetensors.numpy.save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _content(metadata: dict[str, str] | None) -> dict[str, Any]:
    if metadata is None or "slotjax" not in metadata:
        raise ValueError("it is not a slotjax ticket")
    content = json.loads(metadata["slotjax"])
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise ValueError("it has no format, so it is damaged")
    if content["format"] > FORMAT:
        raise ValueError(f"its format is {content['format']}, and this version of slotjax reads formats up to {FORMAT}")
    if metadata["slotjax"] != _json(content) or len(metadata) != 1:
        raise ValueError("its metadata are not as they were written, so it is damaged")
    return content


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name], order="C")
        digest.update(_json({"name": name, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}).encode())
        digest.update(tensor.data)
    return digest.hexdigest()
