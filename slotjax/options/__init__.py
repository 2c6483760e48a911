"""Random values: the K options of each connection and the scores that training starts from."""

from slotjax.options.options import OPTIONS, draw_options, initial_scores

__all__ = ["OPTIONS", "draw_options", "initial_scores"]
