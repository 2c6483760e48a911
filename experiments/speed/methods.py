"""What a step of every method takes, with a dense and with a convolutional network, learned weights = 1."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import selector_of
from experiments.papers.beyond.methods import METHODS
from experiments.papers.grid import Run
from experiments.running.components import Inputs, network
from experiments.speed.curves import TRAFFIC, Curve, ratios
from experiments.speed.measure import CIFAR, MNIST, Variant, variant_of

LENET = "LeNet-300-100"
# The model, what it sees, and the steps of a call.
NETWORKS: Mapping[str, tuple[str, Inputs, int]] = {LENET: ("lenet", MNIST, 10), "CONV-2": ("conv2", CIFAR, 2)}


def against_methods(rounds: int, names: Sequence[str] = tuple(NETWORKS)) -> Curve:
    """The methods of `beyond.methods`, all of a network by turns in this process."""
    taken = []
    for model, inputs, steps in map(NETWORKS.__getitem__, names):
        taken.append(ratios(_variants(model, inputs), inputs, rounds, steps))
    return Curve([*names], {label: [one[label] for one in taken] for label in taken[0] if label != TRAFFIC})


def _variants(model: str, inputs: Inputs) -> dict[str, Variant]:
    """In training by every method, with one optimizer."""
    requests = {"learned": Request(method="learned")}
    for line in METHODS.panels[0].lines:
        (run,) = line.runs.values()
        assert isinstance(run, Run)
        requests[line.label] = run.settings
    return {label: _variant(request, model, inputs) for label, request in requests.items()}


def _variant(request: Request, model: str, inputs: Inputs) -> Variant:
    fields: dict[str, Any] = {"model": model, "padding": "SAME", "dropout": 0.0}
    settings = resolve(dataclasses.replace(request, **fields))
    built, selector = network(settings, inputs), selector_of(settings)
    return variant_of(built, selector, selector.init(jax.random.key(0), built.shapes))
