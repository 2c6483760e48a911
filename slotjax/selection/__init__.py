"""Selection on arrays: which option or which weights are chosen, and the straight-through gradient."""

from slotjax.selection.candidates import greedy, probabilistic, straight_through
from slotjax.selection.top_fraction import top_fraction

__all__ = ["greedy", "probabilistic", "straight_through", "top_fraction"]
