"""What a trained network is written as for other libraries, one file for each kind of format."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from experiments.formats.arrays import write_flax, write_npz
from experiments.formats.onnx_model import write_onnx
from experiments.formats.pytorch import write_torch
from experiments.formats.stablehlo import write_stablehlo
from experiments.running.shipped import Shipped


class Format(NamedTuple):
    """One kind of file.

    Attributes:
        write: writes the network of a ticket into a file that is not there.
        lacks: what it cannot hold, as a sentence.
    """

    write: Callable[[Shipped, Path], None]
    lacks: str


_NO_CHOICE = "seeds, options and selections"
FORMATS = {
    "flax": Format(write_flax, f"It has every weight in full, but no {_NO_CHOICE}."),
    "torch": Format(write_torch, f"It has every weight in full, but no network, and no {_NO_CHOICE}."),
    "npz": Format(
        write_npz, f"It has every weight in full, but nothing that says of which network, and no {_NO_CHOICE}."
    ),
    "stablehlo": Format(write_stablehlo, "It has the bits, but no names of weights and datasets: give it a --dataset."),
    "onnx": Format(write_onnx, f"It has every weight in full, but no names of weights, and no {_NO_CHOICE}."),
}
