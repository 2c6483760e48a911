"""Selectors: ways of choosing the weights of a network, one file per method."""

from slotjax.selectors.biprop import biprop
from slotjax.selectors.checks import check_selector, check_variables, is_array, kind_of
from slotjax.selectors.deciding import (
    decided,
    drawn_names,
    names_a_scale,
    needs_values,
    some_vary,
    varying_names,
    within,
)
from slotjax.selectors.edge_popup import Ranking, edge_popup
from slotjax.selectors.factorable import Optimizer, check_factorable, hold_shares, is_factorable
from slotjax.selectors.factored import is_factored
from slotjax.selectors.fixed import every_leaf, fixed
from slotjax.selectors.initial_scores import Initial
from slotjax.selectors.learned import learned
from slotjax.selectors.multicoat import multicoat
from slotjax.selectors.partition import Partition, partition
from slotjax.selectors.partly_frozen import MOST_FROZEN, partly_frozen
from slotjax.selectors.proof import proof
from slotjax.selectors.random_selection import random_selection
from slotjax.selectors.selector import (
    JointMethod,
    Method,
    Selector,
    Weight,
    Where,
    default_where,
    drawn_about_zero,
    matrices_and_kernels,
)
from slotjax.selectors.slot_machine import Scores, Selection, Share, slot_machine
from slotjax.selectors.supermask import Evaluation, supermask
from slotjax.selectors.tree import leaf_namer, make_selector, named_leaves, nest, random_values, unnest

__all__ = [
    "MOST_FROZEN",
    "Evaluation",
    "Initial",
    "JointMethod",
    "Method",
    "Optimizer",
    "Partition",
    "Ranking",
    "Scores",
    "Selection",
    "Selector",
    "Share",
    "Weight",
    "Where",
    "biprop",
    "check_factorable",
    "check_selector",
    "check_variables",
    "decided",
    "default_where",
    "drawn_about_zero",
    "drawn_names",
    "edge_popup",
    "every_leaf",
    "fixed",
    "hold_shares",
    "is_array",
    "is_factorable",
    "is_factored",
    "kind_of",
    "leaf_namer",
    "learned",
    "make_selector",
    "matrices_and_kernels",
    "multicoat",
    "named_leaves",
    "names_a_scale",
    "needs_values",
    "nest",
    "partition",
    "partly_frozen",
    "proof",
    "random_selection",
    "random_values",
    "slot_machine",
    "some_vary",
    "supermask",
    "unnest",
    "varying_names",
    "within",
]
