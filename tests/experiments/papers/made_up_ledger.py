"""Lines of a ledger with made-up accuracies."""

from pathlib import Path

from experiments.papers import FIGURES
from experiments.papers.cells import positions_of
from experiments.papers.grid import Cell, identity, is_tryout, key

FIGURE_3 = FIGURES["slot.figure3"]
GREEDY = FIGURE_3.panels[0].lines[0]
ROOT = Path(__file__).parents[3]


def line(cell, accuracy, **more):
    """A line of the ledger, of which the report needs no more."""
    fields = {
        "key": key(cell),
        "cells": positions_of(cell) if is_tryout(cell) else [],  # of which only those of try-outs are read
        **identity(cell),
        "epochs": 200,
        "epochs_of_the_paper": 200,
        "epochs_scale": cell.scale,
        "test_accuracy_at_best_validation": accuracy,
        "last_test_accuracy": accuracy - 0.1,
        "sparsity": 0.25,
        "flops": 2e15,
        "start_flops": 0.0,
        "best_epoch": 100,
        "curve": {"test": [0.1, *[accuracy] * 200], "changed": []},
        "changes": {str(epoch): 1 / epoch for epoch in range(10, 101, 5)},
        "values": {
            name: {"edges": [-1.0, 0.0, 1.0], "offered": [9, 9], **{str(epoch): [3, epoch] for epoch in (5, 25, 100)}}
            for name in ("Conv_0/kernel", "Conv_1/kernel", "Dense_0/kernel")
        },
        "finished": "2026-01-01",
    }
    return fields | more


def ledger_of(*lines):
    return {one["key"]: one for one in lines}


def four(run, *accuracies, **more):
    return ledger_of(*(line(Cell(run, seed), accuracy, **more) for seed, accuracy in enumerate(accuracies)))
