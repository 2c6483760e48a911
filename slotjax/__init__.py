"""Train networks without ever updating a weight: training selects among frozen random values."""

from slotjax._linen import Conv, Dense
from slotjax._options import Distribution, draw_options, glorot_deviation, glorot_uniform, initial_scores
from slotjax._selection import greedy, probabilistic, straight_through
from slotjax._selectors import SELECTIONS, Selector, slot_machine
from slotjax._tree import matrices_and_kernels

__version__ = "0.1.0"

__all__ = [
    "SELECTIONS",
    "Conv",
    "Dense",
    "Distribution",
    "Selector",
    "draw_options",
    "glorot_deviation",
    "glorot_uniform",
    "greedy",
    "initial_scores",
    "matrices_and_kernels",
    "probabilistic",
    "slot_machine",
    "straight_through",
]
