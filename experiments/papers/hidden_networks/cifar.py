"""The figures of Ramanujan et al. on CIFAR-10, as runs.

Figures 1 and 2 are drawings. All 50,000 training images are trained on; accuracies are those of the last epoch, means
of five seeds with one standard deviation. The text prints none of them.
"""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.hidden_networks.runs import (
    DISTRIBUTIONS,
    KEEP,
    NETWORKS,
    WIDTHS,
    edge_popup,
    figure_of_the_paper,
    learned,
    network_title,
    zhou_supermask,
)


def _baselines(model: str) -> tuple[Line, ...]:
    return (
        Line(label="learned (SGD)", runs={"any": learned(model)}, flat=True),
        Line(label="learned (Adam)", runs={"any": learned(model, "adam")}, flat=True),
    )


TABLE_1 = Figure(
    name="hidden.table1",
    title="Networks, and epochs of training",
    kind="networks",
    axis="",
    panels=(),
    claim="Kernels, and epochs.",
)

FIGURE_3 = figure_of_the_paper(
    name="figure3",
    title="Edge-popup against the share of weights that is kept",
    axis="% of weights",
    panels=tuple(
        Panel(
            title=network_title(model),
            lines=(
                *(
                    Line(label=label, runs={round(100 * keep): edge_popup(model, keep, name) for keep in KEEP})
                    for label, name in DISTRIBUTIONS.items()
                ),
                *_baselines(model),
            ),
        )
        for model in NETWORKS
    ),
    claim="Between 30 and 70 % are best; the deeper the network, the nearer to learned weights.",
)

FIGURE_4 = figure_of_the_paper(
    name="figure4",
    title="Edge-popup against width, half of the weights kept",
    axis="width multiplier",
    panels=tuple(
        Panel(
            title=network_title(model),
            lines=(
                *(
                    Line(
                        label=label,
                        runs={width: edge_popup(model, distribution=name, width_multiplier=width) for width in WIDTHS},
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
                Line(label="learned (SGD)", runs={width: learned(model, width_multiplier=width) for width in WIDTHS}),
                Line(
                    label="learned (Adam)",
                    runs={width: learned(model, "adam", width_multiplier=width) for width in WIDTHS},
                ),
            ),
        )
        for model in ("conv4", "conv6")
    ),
    claim="A wide enough network has a random subnetwork as good as the network with learned weights.",
)

FIGURE_5 = figure_of_the_paper(
    name="figure5",
    title="Wider networks with the same number of parameters",
    axis="width multiplier",
    panels=(
        Panel(
            title="Conv4",
            lines=tuple(
                # Parameters grow with the square of the width.
                Line(
                    label=f"as many as {100 * keep:g} % of width 1",
                    runs={
                        width: edge_popup("conv4", keep / width**2, width_multiplier=width) for width in (1.0, 1.5, 2.0)
                    },
                )
                for keep in (0.3, 0.5, 0.7)
            ),
        ),
    ),
    claim="With the number of parameters fixed, more width is better: it is the search space that counts.",
)

FIGURE_6 = figure_of_the_paper(
    name="figure6",
    title="Edge-popup against the algorithm of Zhou et al.",
    axis="% of weights",
    panels=tuple(
        Panel(
            title=network_title(model),
            lines=(
                *(
                    Line(
                        label=f"edge-popup, {label}",
                        runs={round(100 * keep): edge_popup(model, keep, name) for keep in KEEP},
                    )
                    for label, name in DISTRIBUTIONS.items()
                ),
                *(
                    Line(label=f"Zhou et al., {label}", runs={"any": zhou_supermask(model, name)}, flat=True)
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
    claim="Edge-popup finds better subnetworks, with either distribution.",
)

FIGURE_7 = figure_of_the_paper(
    name="figure7",
    title="Distributions of the random weights",
    axis="% of weights",
    panels=tuple(
        Panel(
            title=network_title(model),
            lines=tuple(
                Line(label=label, runs={round(100 * keep): edge_popup(model, keep, name, **scaled) for keep in KEEP})
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
    claim="The distribution matters: Xavier normal and Kaiming uniform are much worse.",
)

FIGURES = (TABLE_1, FIGURE_3, FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7)
