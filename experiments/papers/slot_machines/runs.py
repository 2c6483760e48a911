"""The runs of Aladago & Torresani: every method of the paper, for any of its networks."""

from collections.abc import Callable
from typing import Any

from experiments.configuration.settings import Request
from experiments.papers.grid import Line, Run

K = (2, 4, 8, 16, 32, 64)
NETWORKS = ("lenet", "conv2", "conv4", "conv6")
TITLES = {
    "lenet": "LeNet-300-100 on MNIST",
    "conv2": "CONV-2 on CIFAR-10",
    "conv4": "CONV-4 on CIFAR-10",
    "conv6": "CONV-6 on CIFAR-10",
    "vgg19": "VGG-19 on CIFAR-10",
}


def network_run(model: str, **settings: Any) -> Run:
    """A run of a network on the dataset that the paper has for it."""
    return Run(Request(model=model, dataset="mnist" if model == "lenet" else "cifar10", **settings))


def greedy(model: str, k: int = 8, **settings: Any) -> Run:
    """A slot machine with greedy selection (GS)."""
    return network_run(model, k=k, **settings)


def sampled(model: str, k: int = 8, **settings: Any) -> Run:
    """A slot machine with probabilistic sampling (PS)."""
    return network_run(model, k=k, selection="probabilistic", **settings)


def learned(model: str, **settings: Any) -> Run:
    """Ordinary training from scratch."""
    return network_run(model, method="learned", **settings)


def untrained(model: str) -> Run:
    """Random weights."""
    return network_run(model, method="random")


def edge_popup(model: str, **settings: Any) -> Run:
    """Edge-popup that keeps half of the weights."""
    return network_run(model, method="edge_popup", **settings)


def rescaled_supermask(model: str, **settings: Any) -> Run:
    """A supermask whose kept weights are scaled up for those that are dropped, as in Zhou et al."""
    return network_run(model, method="supermask", rescale=True, learning_rate=50.0, **settings)


def finetuned(model: str, epoch: int | None = None) -> Run:
    """Ordinary training for 100 epochs, from what a slot machine with K = 8 had selected."""
    return Run(learned(model, epochs=100).settings, greedy(model), epoch)


def varying_k(
    model: str, run: Callable[..., Run], *, label: str, printed: dict[int, float] | None = None, **settings: Any
) -> Line:
    """One run for every K."""
    return Line(label=label, runs={k: run(model, k, **settings) for k in K}, printed=printed or {})
