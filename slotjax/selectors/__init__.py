"""Selectors: ways of choosing the weights of a network, one file per method."""

from slotjax.selectors.baselines import fixed, learned, random_selection
from slotjax.selectors.edge_popup import RANKINGS, edge_popup
from slotjax.selectors.factorable import Optimizer, check_factorable
from slotjax.selectors.factored import is_factored
from slotjax.selectors.partition import partition
from slotjax.selectors.selector import Selector
from slotjax.selectors.slot_machine import INITIAL, SCORES, SELECTIONS, SHARES, slot_machine
from slotjax.selectors.supermask import EVALUATIONS, supermask
from slotjax.selectors.tree import matrices_and_kernels

__all__ = [
    "EVALUATIONS",
    "INITIAL",
    "RANKINGS",
    "SCORES",
    "SELECTIONS",
    "SHARES",
    "Optimizer",
    "Selector",
    "check_factorable",
    "edge_popup",
    "fixed",
    "is_factored",
    "learned",
    "matrices_and_kernels",
    "partition",
    "random_selection",
    "slot_machine",
    "supermask",
]
