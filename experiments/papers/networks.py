"""Table 1 of Aladago & Torresani (2021), from the networks and recipes themselves."""

import math

import jax

from experiments.configuration.recipes import resolve
from experiments.papers.slot_machines import TITLES, greedy, learned
from experiments.papers.tables import markdown
from experiments.running.components import Inputs, network

PRINTED_EPOCHS = {
    "lenet": (200, 200),
    "conv2": (200, 200),
    "conv4": (200, 330),
    "conv6": (200, 330),
    "vgg19": (220, 320),
}


def networks_table() -> str:
    """One row per network: its kernels, connections, and epochs of slot machines and of learned weights.

    >>> print(networks_table().splitlines()[2])
    | LeNet-300-100 on MNIST | 784x300, 300x100, 100x10 | 266,200 | 200 (paper 200) | 200 (paper 200) |
    """
    head = ["network", "kernels", "connections", "epochs, slot machine", "epochs, learned"]
    return markdown(head, [_row(model, *printed) for model, printed in PRINTED_EPOCHS.items()])


def _row(model: str, slot_machine: int, weights: int) -> list[str]:
    settings = resolve(greedy(model).settings)
    inputs = Inputs((28, 28, 1) if model == "lenet" else (32, 32, 3), "uint8", 10)
    kernels = [leaf.shape for leaf in jax.tree.leaves(network(settings, inputs).shapes)]
    order = sorted(kernels, key=lambda shape: (len(shape) == 2, shape[-2] if len(shape) == 4 else -shape[0]))
    epochs = settings.epochs, resolve(learned(model).settings).epochs
    printed = [f"{own} (paper {paper})" for own, paper in zip(epochs, (slot_machine, weights), strict=True)]
    shapes = ", ".join("x".join(map(str, shape)) for shape in order)
    return [TITLES[model], shapes, f"{sum(map(math.prod, kernels)):,}", *printed]
