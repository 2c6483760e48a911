"""The runs of Ramanujan et al.: every method of the paper, for any of its networks."""

from typing import Any

from experiments.configuration.settings import Request
from experiments.papers.grid import Figure, Run

NETWORKS = ("conv2", "conv4", "conv6", "conv8")
KEEP = (0.1, 0.3, 0.5, 0.7, 0.9)
WIDTHS = (0.5, 1.0, 1.5, 2.0)
DISTRIBUTIONS = {
    "signed Kaiming constant": "signed_kaiming_constant",
    "Kaiming normal": "kaiming_normal",
}


def cifar_run(model: str, **settings: Any) -> Run:
    """A run of the paper's protocol on CIFAR-10."""
    return Run(Request(model=model, dataset="cifar10", train_on_all=True, **settings))


def edge_popup(model: str, keep: float = 0.5, distribution: str = "signed_kaiming_constant", **settings: Any) -> Run:
    """Edge-popup with the share that is kept."""
    return cifar_run(model, method="edge_popup", keep_fraction=keep, distribution=distribution, **settings)


def zhou_supermask(model: str, distribution: str) -> Run:
    """The algorithm of Zhou et al., with the rate that this paper found for it."""
    return cifar_run(model, method="supermask", distribution=distribution, weight_decay=1e-4)


def learned(model: str, optimizer: str = "sgd", **settings: Any) -> Run:
    """All weights learned: SGD with rate 0.01 and cosine decay, or Adam with a constant rate."""
    settings = {
        "method": "learned",
        "optimizer": optimizer,
        "schedule": "cosine" if optimizer == "sgd" else "constant",
        "distribution": "kaiming_normal",
        "padding": "SAME",
        "dropout": 0.0,
        "augmentation": "flip_and_crop",
        "epochs": 100,
    } | settings
    return cifar_run(model, **settings)


def imagenet_run(model: str, keep: float = 0.3, distribution: str = "signed_kaiming_constant", **settings: Any) -> Run:
    """A run on ImageNet as the authors released it, of edge-popup by default."""
    chosen: dict[str, Any] = {"method": "edge_popup", "keep_fraction": keep, "distribution": distribution} | settings
    return Run(Request(model=model, dataset="imagenet2012", **chosen))


def imagenet_learned(model: str) -> Run:
    """All weights learned, as well as scales and biases of batch norm."""
    settings = Request(
        model=model, dataset="imagenet2012", method="learned", distribution="kaiming_normal", affine=True
    )
    return Run(settings)


def network_title(model: str) -> str:
    """The paper's name of a network.

    >>> network_title("conv2")
    'Conv2'
    """
    return model.capitalize()


def figure_of_the_paper(*, name: str, axis: str, trials: int = 5, **fields: Any) -> Figure:
    """A figure or table of this paper: accuracies of the last epoch, with one standard deviation over the trials."""
    return Figure(
        name=f"hidden.{name}",
        kind="table" if name.startswith("table") else "against",
        axis=axis,
        trials=trials,
        result="last_test",
        spread="deviation",
        **fields,
    )
