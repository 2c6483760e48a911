"""Train networks without ever updating a weight: training selects among frozen random values."""

import importlib
from typing import Any

from slotjax import data, models
from slotjax._factorable import check_factorable
from slotjax._linen import Conv, Dense
from slotjax._options import (
    Distribution,
    draw_options,
    glorot_deviation,
    glorot_normal,
    glorot_uniform,
    initial_scores,
    signed_kaiming_constant,
)
from slotjax._selection import greedy, probabilistic, straight_through
from slotjax._selectors import OPTIONS, SCORES, SELECTIONS, Selector, slot_machine
from slotjax._tickets import Ticket, load_ticket, read_ticket, save_ticket
from slotjax._tree import matrices_and_kernels

__version__ = "0.1.0"

__all__ = [
    "OPTIONS",
    "SCORES",
    "SELECTIONS",
    "Conv",
    "Dense",
    "Distribution",
    "Selector",
    "Ticket",
    "check_factorable",
    "data",
    "draw_options",
    "glorot_deviation",
    "glorot_normal",
    "glorot_uniform",
    "greedy",
    "initial_scores",
    "load_ticket",
    "matrices_and_kernels",
    "models",
    "probabilistic",
    "read_ticket",
    "save_ticket",
    "signed_kaiming_constant",
    "slot_machine",
    "straight_through",
    "training",
]


def __getattr__(name: str) -> Any:
    # Imported on first use, because it brings Orbax.
    if name == "training":
        return importlib.import_module("slotjax.training")
    raise AttributeError(f"module 'slotjax' has no attribute {name!r}")
