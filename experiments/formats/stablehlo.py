"""A program that makes its weights from their bits, as StableHLO with the signature of `jax.export`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.running.shipped import Shipped
from slotjax.data import require
from slotjax.tickets import from_bits

PLATFORMS = ("cpu", "cuda", "tpu")


def write_stablehlo(shipped: Shipped, path: Path) -> None:
    """From any number of images, as the dataset has them, to logits: `jax.export.deserialize(bytes).call(images)`.

    Raises:
        ImportError: if flatbuffers is not installed.
    """
    require("interop", "--format: stablehlo", "flatbuffers")
    apply, ticket = shipped.network.apply, shipped.ticket

    def logits(images: jax.Array) -> jax.Array:
        run = from_bits(lambda weights, batch_stats, images: apply(weights, batch_stats, images)[0])
        return run(ticket.packed, shipped.batch_stats, images)

    images = jax.ShapeDtypeStruct(
        (*jax.export.symbolic_shape("images"), *shipped.inputs.image_shape), shipped.inputs.dtype
    )
    path.write_bytes(jax.export.export(jax.jit(logits), platforms=PLATFORMS)(images).serialize())


def stablehlo_logits(path: Path) -> Callable[[Any], Any]:
    """The network of a file as a function from images to logits.

    Raises:
        ImportError: if flatbuffers is not installed.
        ValueError: if `write_stablehlo` did not write the file.
    """
    require("interop", "a StableHLO file", "flatbuffers")
    content = bytearray(path.read_bytes())
    try:
        exported = jax.export.deserialize(content)
        (images,) = exported.in_avals
    except Exception as error:  # of a parser, which raises whatever the bytes lead to
        raise ValueError(f"--stablehlo: {path} is not what experiments.export wrote ({error!r})") from error

    def logits(given: Any) -> Any:
        if (given.shape[1:], given.dtype) != (images.shape[1:], images.dtype):
            raise ValueError(f"--dataset: it has images of {given.dtype}{given.shape[1:]}, but {path} takes {images}")
        return np.asarray(exported.call(given))

    return logits
