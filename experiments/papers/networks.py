"""Table 1 of either paper, from the networks and recipes themselves."""

import math

import jax

from experiments.papers import hidden_networks, slot_machines
from experiments.papers.grid import Cell, Run, settings_of
from experiments.papers.markdown import markdown
from experiments.running.components import Inputs, network

# The epochs that the papers print, of what is selected and of learned weights.
PRINTED_EPOCHS = {
    "slot.table1": {
        "lenet": (200, 200),
        "conv2": (200, 200),
        "conv4": (200, 330),
        "conv6": (200, 330),
        "vgg19": (220, 320),
    },
    "hidden.table1": dict.fromkeys(hidden_networks.NETWORKS, (100, 100)),
}
_SLOT = ("slot machine", slot_machines.greedy, slot_machines.learned, slot_machines.TITLES.__getitem__)
_HIDDEN = ("edge-popup", hidden_networks.edge_popup, hidden_networks.learned, hidden_networks.network_title)


def networks_table(table: str) -> str:
    """One row per network: its kernels, connections, and epochs of what is selected and of learned weights.

    Args:
        table: `"slot.table1"` or `"hidden.table1"`.

    >>> print(networks_table("slot.table1").splitlines()[2])
    | LeNet-300-100 on MNIST | 784x300, 300x100, 100x10 | 266,200 | 200 (paper 200) | 200 (paper 200) |
    """
    method, selected, learned, title = _SLOT if table == "slot.table1" else _HIDDEN
    head = ["network", "kernels", "connections", f"epochs, {method}", "epochs, learned"]
    rows = [
        [title(model), *_described(selected(model), learned(model), printed)]
        for model, printed in PRINTED_EPOCHS[table].items()
    ]
    return markdown(head, rows)


def _described(selected: Run, learned: Run, printed_epochs: tuple[int, int]) -> list[str]:
    settings = settings_of(Cell(selected, 0))
    inputs = Inputs((28, 28, 1) if settings.model == "lenet" else (32, 32, 3), "uint8", 10)
    kernels = [leaf.shape for leaf in jax.tree.leaves(network(settings, inputs).shapes)]
    order = sorted(kernels, key=lambda shape: (len(shape) == 2, shape[-2] if len(shape) == 4 else -shape[0]))
    epochs = settings.epochs, settings_of(Cell(learned, 0)).epochs
    printed = [f"{own} (paper {paper})" for own, paper in zip(epochs, printed_epochs, strict=True)]
    shapes = ", ".join("x".join(map(str, shape)) for shape in order)
    return [shapes, f"{sum(map(math.prod, kernels)):,}", *printed]
