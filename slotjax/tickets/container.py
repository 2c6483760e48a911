"""Writing a ticket's container: named tensors and a description in JSON, in a safetensors file with a checksum."""

import hashlib
import json
import os
import secrets
import struct
from pathlib import Path
from typing import Any

import numpy as np

from slotjax.tickets.reader import STORED, parse

FORMAT = 4  # the latest; what an earlier one from 2 on has words for is written in that
_CODES = {np.dtype(code): name for name, code in STORED.items()}


def write(path: Path, tensors: dict[str, np.ndarray], content: dict[str, Any]) -> None:
    """Writes a file, which appears when it is complete."""
    try:
        data = serialized(tensors, json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata: it must be what JSON can hold ({error})") from error
    try:
        parse(data)
    except ValueError as error:
        raise ValueError(f"variables: a ticket cannot hold them: {error}") from error
    _write_whole(path, data)


def serialized(tensors: dict[str, np.ndarray], description: str) -> bytes:
    """A safetensors file, the same for the same tensors, whose last tensor is the SHA-256 of all bytes before it."""
    # Larger items first, so that each tensor is aligned to its own.
    named = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": {"slotjax": description}}
    end = 0
    for name, tensor in [*named, ("sha256", np.zeros(32, np.uint8))]:
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join([struct.pack("<Q", len(text)), text, *(tensor.tobytes() for _, tensor in named)])
    return data + hashlib.sha256(data).digest()


def _write_whole(path: Path, data: bytes) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileExistsError(f"{path} is not a regular file")
    # Neither a link nor a file of somebody else can stand where nobody foresees the name.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
