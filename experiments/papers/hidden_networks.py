"""The figures and tables of Ramanujan et al. (CVPR 2020), as runs.

The paper is "What's Hidden in a Randomly Weighted Neural Network?" Figures
1 and 2 are drawings. On CIFAR-10 all 50,000 training images are trained on; accuracies are those of the last epoch,
means of five seeds with one standard deviation. The text prints numbers of ImageNet only, in the authors'
repository.
"""

from typing import Any

from experiments.configuration.settings import Settings
from experiments.papers.grid import Figure, Line, Panel, Run

NETWORKS = ("conv2", "conv4", "conv6", "conv8")
KEEP = (0.1, 0.3, 0.5, 0.7, 0.9)
WIDTHS = (0.5, 1.0, 1.5, 2.0)
DISTRIBUTIONS = {
    "signed Kaiming constant": "signed_kaiming_constant",
    "Kaiming normal": "kaiming_normal",
}


def cifar(model: str, **settings: Any) -> Run:
    """A run of the paper's protocol on CIFAR-10."""
    return Run(Settings(model=model, dataset="cifar10", train_on_all=True, **settings))


def edge_popup(model: str, keep: float = 0.5, distribution: str = "signed_kaiming_constant", **settings: Any) -> Run:
    """Edge-popup with the share that is kept."""
    return cifar(model, method="edge_popup", keep_fraction=keep, distribution=distribution, **settings)


def zhou(model: str, distribution: str) -> Run:
    """The algorithm of Zhou et al., with the rate that this paper found for it."""
    return cifar(model, method="supermask", distribution=distribution, weight_decay=1e-4)


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
    return cifar(model, **settings)


def _baselines(model: str) -> tuple[Line, ...]:
    return (
        Line("learned (SGD)", {"any": learned(model)}, flat=True),
        Line("learned (Adam)", {"any": learned(model, "adam")}, flat=True),
    )


def title(model: str) -> str:
    """The paper's name of a network.

    >>> title("conv2")
    'Conv2'
    """
    return model.capitalize()


def figure(name: str, what: str, axis: str, panels: tuple[Panel, ...], claim: str, trials: int = 5) -> Figure:
    """A figure or table of this paper."""
    kind = "table" if name.startswith("table") else "against"
    return Figure(f"hidden.{name}", what, kind, axis, panels, claim, trials, "last_test", "deviation")


TABLE_1 = Figure("hidden.table1", "Networks, and epochs of training", "networks", "", (), "Kernels, and epochs.")

FIGURE_3 = figure(
    "figure3",
    "Edge-popup against the share of weights that is kept",
    "% of weights",
    tuple(
        Panel(
            title(model),
            (
                *(
                    Line(label, {round(100 * keep): edge_popup(model, keep, name) for keep in KEEP})
                    for label, name in DISTRIBUTIONS.items()
                ),
                *_baselines(model),
            ),
        )
        for model in NETWORKS
    ),
    "Between 30 and 70 % are best; the deeper the network, the nearer to learned weights.",
)

FIGURE_4 = figure(
    "figure4",
    "Edge-popup against width, half of the weights kept",
    "width multiplier",
    tuple(
        Panel(
            title(model),
            (
                *(
                    Line(
                        label,
                        {width: edge_popup(model, distribution=name, width_multiplier=width) for width in WIDTHS},
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
                Line("learned (SGD)", {width: learned(model, width_multiplier=width) for width in WIDTHS}),
                Line("learned (Adam)", {width: learned(model, "adam", width_multiplier=width) for width in WIDTHS}),
            ),
        )
        for model in ("conv4", "conv6")
    ),
    "A wide enough network has a random subnetwork as good as the network with learned weights.",
)

FIGURE_5 = figure(
    "figure5",
    "Wider networks with the same number of parameters",
    "width multiplier",
    (
        Panel(
            "Conv4",
            tuple(
                # Parameters grow with the square of the width.
                Line(
                    f"as many as {100 * keep:g} % of width 1",
                    {width: edge_popup("conv4", keep / width**2, width_multiplier=width) for width in (1.0, 1.5, 2.0)},
                )
                for keep in (0.3, 0.5, 0.7)
            ),
        ),
    ),
    "With the number of parameters fixed, more width is better: it is the search space that counts.",
)

FIGURE_6 = figure(
    "figure6",
    "Edge-popup against the algorithm of Zhou et al.",
    "% of weights",
    tuple(
        Panel(
            title(model),
            (
                *(
                    Line(f"edge-popup, {label}", {round(100 * keep): edge_popup(model, keep, name) for keep in KEEP})
                    for label, name in DISTRIBUTIONS.items()
                ),
                *(
                    Line(f"Zhou et al., {label}", {"any": zhou(model, name)}, flat=True)
                    for label, name in {
                        **DISTRIBUTIONS,
                        "signed Xavier constant": "signed_xavier_constant",
                        "Xavier normal": "xavier_normal",
                    }.items()
                ),
            ),
        )
        for model in NETWORKS
    ),
    "Edge-popup finds better subnetworks, with either distribution.",
)

FIGURE_7 = figure(
    "figure7",
    "Distributions of the random weights",
    "% of weights",
    tuple(
        Panel(
            title(model),
            tuple(
                Line(label, {round(100 * keep): edge_popup(model, keep, name, **scaled) for keep in KEEP})
                for label, name, scaled in (
                    ("signed Kaiming constant", "signed_kaiming_constant", {}),
                    ("scaled signed Kaiming constant", "signed_kaiming_constant", {"scale_for_kept": True}),
                    ("Kaiming normal", "kaiming_normal", {}),
                    ("scaled Kaiming normal", "kaiming_normal", {"scale_for_kept": True}),
                    ("Xavier normal", "xavier_normal", {}),
                    ("Kaiming uniform", "kaiming_uniform", {}),
                )
            ),
        )
        for model in NETWORKS
    ),
    "The distribution matters: Xavier normal and Kaiming uniform are much worse.",
)


def imagenet(model: str, keep: float = 0.3, distribution: str = "signed_kaiming_constant", **settings: Any) -> Run:
    """Edge-popup on ImageNet, as the authors released it."""
    chosen: dict[str, Any] = {"method": "edge_popup", "keep_fraction": keep, "distribution": distribution} | settings
    return Run(Settings(model=model, dataset="imagenet2012", **chosen))


def imagenet_learned(model: str) -> Run:
    """All weights learned, as well as scales and biases of batch norm."""
    settings = Settings(
        model=model, dataset="imagenet2012", method="learned", distribution="kaiming_normal", affine=True
    )
    return Run(settings)


_PRINTED = {
    "resnet50": ("ResNet-50 (7.7 M kept)", 61.7, 68.6),
    "resnet101": ("ResNet-101 (13.3 M kept)", 66.15, 72.3),
    "wide_resnet50": ("Wide ResNet-50 (20.6 M kept)", 67.9, 73.3),
}

TABLE_2 = figure(
    "table2",
    "ImageNet, 30 % of the weights kept (Figure 8 and Table 2)",
    "weights",
    (
        Panel(
            "Test accuracy",
            tuple(
                Line(
                    label,
                    {name: imagenet(model, distribution=of) for name, of in DISTRIBUTIONS.items()},
                    {"Kaiming normal": normal, "signed Kaiming constant": constant},
                )
                for model, (label, normal, constant) in _PRINTED.items()
            )
            + tuple(
                Line(f"{label}, learned, with affine batch norm", {"learned": imagenet_learned(model)})
                for label, model in (
                    ("ResNet-18", "resnet18"),
                    ("ResNet-34", "resnet34"),
                    ("ResNet-50", "resnet50"),
                    ("ResNet-101", "resnet101"),
                )
            ),
        ),
    ),
    "A random Wide ResNet-50 has a subnetwork smaller than a learned ResNet-34 and as accurate.",
    trials=1,
)

FIGURE_9 = figure(
    "figure9",
    "ImageNet: the share of weights that is kept",
    "% of weights",
    (
        Panel(
            "ResNet-50",
            (
                *(
                    Line(f"edge-popup, {label}", {round(100 * keep): imagenet("resnet50", keep, name) for keep in KEEP})
                    for label, name in DISTRIBUTIONS.items()
                ),
                *(
                    Line(
                        f"Zhou et al., {label}",
                        {"any": imagenet("resnet50", method="supermask", distribution=name, weight_decay=2**-15)},
                        flat=True,
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
            ),
        ),
    ),
    "30 % are best, and edge-popup is far ahead of Zhou et al., whose share of weights cannot be chosen.",
    trials=1,
)

FIGURE_10 = figure(
    "figure10",
    'ImageNet: the "scaled" distribution',
    "% of weights",
    (
        Panel(
            "ResNet-50",
            (
                Line(
                    "Kaiming normal", {round(100 * keep): imagenet("resnet50", keep, "kaiming_normal") for keep in KEEP}
                ),
                Line(
                    "scaled Kaiming normal",
                    {
                        round(100 * keep): imagenet("resnet50", keep, "kaiming_normal", scale_for_kept=True)
                        for keep in KEEP
                    },
                ),
            ),
        ),
    ),
    "On ImageNet, unlike on CIFAR-10, the scale matters where few weights are kept.",
    trials=1,
)

FIGURES = (TABLE_1, FIGURE_3, FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7, TABLE_2, FIGURE_9, FIGURE_10)
