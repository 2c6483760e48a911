"""Aladago & Torresani, "Slot Machines" (ICML 2021): its runs, figures and tables."""

from experiments.papers.slot_machines import figures, tables
from experiments.papers.slot_machines.runs import (
    NETWORKS,
    TITLES,
    K,
    finetuned,
    greedy,
    learned,
    network_run,
    sampled,
    untrained,
    varying_k,
)

FIGURES = (*figures.FIGURES, *tables.FIGURES)

__all__ = [
    "FIGURES",
    "NETWORKS",
    "TITLES",
    "K",
    "finetuned",
    "greedy",
    "learned",
    "network_run",
    "sampled",
    "untrained",
    "varying_k",
]
