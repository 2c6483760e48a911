"""The figures and the table of Ramanujan et al. on ImageNet, as runs; the numbers are printed in its repository."""

from experiments.papers.grid import Line, Panel
from experiments.papers.hidden_networks.runs import (
    DISTRIBUTIONS,
    KEEP,
    figure_of_the_paper,
    imagenet_learned,
    imagenet_run,
)

_PRINTED = {
    "resnet50": ("ResNet-50 (7.7 M kept)", 61.7, 68.6),
    "resnet101": ("ResNet-101 (13.3 M kept)", 66.15, 72.3),
    "wide_resnet50": ("Wide ResNet-50 (20.6 M kept)", 67.9, 73.3),
}

TABLE_2 = figure_of_the_paper(
    name="table2",
    title="ImageNet, 30 % of the weights kept (Figure 8 and Table 2)",
    axis="weights",
    panels=(
        Panel(
            title="Test accuracy",
            lines=tuple(
                Line(
                    label=label,
                    runs={
                        name: imagenet_run(model, distribution=drawn_from) for name, drawn_from in DISTRIBUTIONS.items()
                    },
                    printed={"Kaiming normal": normal, "signed Kaiming constant": constant},
                )
                for model, (label, normal, constant) in _PRINTED.items()
            )
            + tuple(
                Line(label=f"{label}, learned, with affine batch norm", runs={"learned": imagenet_learned(model)})
                for label, model in (
                    ("ResNet-18", "resnet18"),
                    ("ResNet-34", "resnet34"),
                    ("ResNet-50", "resnet50"),
                    ("ResNet-101", "resnet101"),
                )
            ),
        ),
    ),
    claim="A random Wide ResNet-50 has a subnetwork smaller than a learned ResNet-34 and as accurate.",
    trials=1,
)

FIGURE_9 = figure_of_the_paper(
    name="figure9",
    title="ImageNet: the share of weights that is kept",
    axis="% of weights",
    panels=(
        Panel(
            title="ResNet-50",
            lines=(
                *(
                    Line(
                        label=f"edge-popup, {label}",
                        runs={round(100 * keep): imagenet_run("resnet50", keep, name) for keep in KEEP},
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
                *(
                    Line(
                        label=f"Zhou et al., {label}",
                        runs={
                            "any": imagenet_run("resnet50", method="supermask", distribution=name, weight_decay=2**-15)
                        },
                        flat=True,
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
            ),
        ),
    ),
    claim="30 % are best, and edge-popup is far ahead of Zhou et al., whose share of weights cannot be chosen.",
    trials=1,
)

FIGURE_10 = figure_of_the_paper(
    name="figure10",
    title='ImageNet: the "scaled" distribution',
    axis="% of weights",
    panels=(
        Panel(
            title="ResNet-50",
            lines=(
                Line(
                    label="Kaiming normal",
                    runs={round(100 * keep): imagenet_run("resnet50", keep, "kaiming_normal") for keep in KEEP},
                ),
                Line(
                    label="scaled Kaiming normal",
                    runs={
                        round(100 * keep): imagenet_run("resnet50", keep, "kaiming_normal", scale_for_kept=True)
                        for keep in KEEP
                    },
                ),
            ),
        ),
    ),
    claim="On ImageNet, unlike on CIFAR-10, the scale matters where few weights are kept.",
    trials=1,
)

FIGURES = (TABLE_2, FIGURE_9, FIGURE_10)
