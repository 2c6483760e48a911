"""Train networks without ever updating a weight: training selects among frozen random values.

    selector = slotjax.slot_machine(k=8)
    variables = selector.init(key, params)  # {"params": scores, which train, "frozen": random values, which do not}
    weights = selector.select(variables)    # ordinary weights, for the unmodified model

Every method is a function that returns a `Selector`: `slot_machine`, `edge_popup`, `supermask`, `biprop`, `multicoat`,
`partly_frozen`, and, to compare with, `learned`, `random_selection` and `fixed`; `partition` mixes them. `summary` says
what a selector would make of a model. `save_ticket` packs what was trained into a seed and a few bits per connection,
and `load_ticket` gives back the weights. `slotjax.linen.Selected` and `slotjax.nnx.Selected` wrap whole modules.
`slotjax.selectors.selector` shows how to write a method of your own.
"""

import importlib
from typing import Any

from slotjax import analysis, data, distributions, linen, models, nnx, options, selection, selectors, tickets
from slotjax._summary import summary
from slotjax.linen import Conv, Dense
from slotjax.selectors import (
    Selector,
    biprop,
    check_factorable,
    edge_popup,
    fixed,
    learned,
    multicoat,
    partition,
    partly_frozen,
    proof,
    random_selection,
    slot_machine,
    supermask,
)
from slotjax.tickets import Ticket, load_ticket, save_ticket

__version__ = "0.2.0"

__all__ = [
    "Conv",
    "Dense",
    "Selector",
    "Ticket",
    "analysis",
    "biprop",
    "check_factorable",
    "data",
    "distributions",
    "edge_popup",
    "fixed",
    "learned",
    "linen",
    "load_ticket",
    "models",
    "multicoat",
    "nnx",
    "options",
    "partition",
    "partly_frozen",
    "proof",
    "random_selection",
    "save_ticket",
    "selection",
    "selectors",
    "slot_machine",
    "summary",
    "supermask",
    "tickets",
    "training",
]


def __getattr__(name: str) -> Any:
    # Imported on first use, because it brings Orbax.
    if name == "training":
        return importlib.import_module("slotjax.training")
    raise AttributeError(f"module 'slotjax' has no attribute {name!r}")
