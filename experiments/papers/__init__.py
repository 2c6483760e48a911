"""Every figure and table of both papers as data: which networks are trained, and where their results stand."""

from experiments.papers import beyond, hidden_networks, slot_machines

FIGURES = {figure.name: figure for figure in (*slot_machines.FIGURES, *hidden_networks.FIGURES, *beyond.FIGURES)}

__all__ = ["FIGURES"]
