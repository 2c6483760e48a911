"""Train networks without ever updating a weight: training selects among frozen random values."""

import importlib
from typing import Any

from slotjax import analysis, data, models
from slotjax._baselines import fixed, learned, random_selection
from slotjax._distributions import (
    FAN_MODES,
    Distribution,
    flattened,
    glorot_deviation,
    glorot_normal,
    glorot_uniform,
    kaiming_normal,
    kaiming_uniform,
    scaled_for,
    signed_kaiming_constant,
    signed_xavier_constant,
    xavier_normal,
)
from slotjax._edge_popup import RANKINGS, edge_popup
from slotjax._factorable import check_factorable
from slotjax._linen import Conv, Dense
from slotjax._options import OPTIONS, draw_options, initial_scores
from slotjax._partition import partition
from slotjax._selection import greedy, probabilistic, straight_through
from slotjax._selector import Selector
from slotjax._slot_machine import INITIAL, SCORES, SELECTIONS, SHARES, slot_machine
from slotjax._supermask import EVALUATIONS, supermask
from slotjax._tickets import Ticket, load_ticket, read_ticket, save_ticket
from slotjax._top_fraction import top_fraction
from slotjax._tree import matrices_and_kernels

__version__ = "0.1.0"

__all__ = [
    "EVALUATIONS",
    "FAN_MODES",
    "INITIAL",
    "OPTIONS",
    "RANKINGS",
    "SCORES",
    "SELECTIONS",
    "SHARES",
    "Conv",
    "Dense",
    "Distribution",
    "Selector",
    "Ticket",
    "analysis",
    "check_factorable",
    "data",
    "draw_options",
    "edge_popup",
    "fixed",
    "flattened",
    "glorot_deviation",
    "glorot_normal",
    "glorot_uniform",
    "greedy",
    "initial_scores",
    "kaiming_normal",
    "kaiming_uniform",
    "learned",
    "load_ticket",
    "matrices_and_kernels",
    "models",
    "partition",
    "probabilistic",
    "random_selection",
    "read_ticket",
    "save_ticket",
    "scaled_for",
    "signed_kaiming_constant",
    "signed_xavier_constant",
    "slot_machine",
    "straight_through",
    "supermask",
    "top_fraction",
    "training",
    "xavier_normal",
]


def __getattr__(name: str) -> Any:
    # Imported on first use, because it brings Orbax.
    if name == "training":
        return importlib.import_module("slotjax.training")
    raise AttributeError(f"module 'slotjax' has no attribute {name!r}")
