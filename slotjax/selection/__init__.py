"""Selection on arrays: which option or which weights are chosen, and the straight-through gradient."""

from slotjax.selection.candidates import (
    Candidates,
    candidate_at,
    candidate_values,
    greedy,
    greedy_candidate,
    probabilistic,
    probabilistic_index,
)
from slotjax.selection.straight_through import straight_through
from slotjax.selection.top_fraction import check_keep_fraction, coats, kept_count, top_fraction, top_masks

__all__ = [
    "Candidates",
    "candidate_at",
    "candidate_values",
    "check_keep_fraction",
    "coats",
    "greedy",
    "greedy_candidate",
    "kept_count",
    "probabilistic",
    "probabilistic_index",
    "straight_through",
    "top_fraction",
    "top_masks",
]
