"""The figures of Aladago & Torresani as runs.

Figures 1 and 10 are drawings. Test accuracies are those of the epoch of the best validation accuracy, means of four
trials with the least and the greatest. Of the plots the text prints few numbers; those are here.
"""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines.runs import (
    NETWORKS,
    TITLES,
    finetuned,
    greedy,
    learned,
    sampled,
    untrained,
    varying_k,
)

FIVE_EPOCHS = tuple(range(5, 101, 5))

FIGURE_2 = Figure(
    name="slot.figure2",
    title="Two options per connection against one",
    kind="bars",
    axis="network",
    panels=(
        Panel(
            title="(a) MNIST",
            lines=(
                Line(label="untrained", runs={"LeNet": untrained("lenet")}, printed={"LeNet": 10}),
                Line(label="GS, K = 2", runs={"LeNet": greedy("lenet", 2)}, printed={"LeNet": 97.0}),
            ),
        ),
        Panel(
            title="(b) CIFAR-10",
            lines=(
                Line(
                    label="untrained",
                    runs={f"CONV-{n}": untrained(f"conv{n}") for n in (2, 4, 6)},
                    printed={f"CONV-{n}": 10 for n in (2, 4, 6)},
                ),
                Line(
                    label="GS, K = 2",
                    runs={f"CONV-{n}": greedy(f"conv{n}", 2) for n in (2, 4, 6)},
                    printed={"CONV-6": 85.1},
                ),
            ),
        ),
    ),
    claim="Two random values per connection to choose from already lift accuracy from chance to near that of training.",
)

_GS = {"lenet": {2: 97.0, 8: 98.2}, "conv6": {2: 85.1}}
_LEARNED = {"lenet": 98.2, "conv2": 75, "conv4": 86, "conv6": 87.5}  # of its curves

FIGURE_3 = Figure(
    name="slot.figure3",
    title="Slot machines and learned weights against K",
    kind="against",
    axis="K",
    panels=tuple(
        Panel(
            title=TITLES[model],
            lines=(
                varying_k(model, greedy, label="slot machine (GS)", printed=_GS.get(model)),
                Line(
                    label="learned weights",
                    runs={"any": learned(model)},
                    printed={"any": _LEARNED[model]},
                    flat=True,
                    about=True,
                ),
            ),
        )
        for model in NETWORKS
    ),
    claim="Accuracy grows with K up to 8 and then hardly; CONV-6 does better than learned, and seeds matter less.",
)


def _over_training(model: str, *others: Line) -> Panel:
    """Learned weights and a slot machine, whose cost and accuracy are followed."""
    lines = (
        Line(label="learned weights", runs={"learned": learned(model)}),
        Line(label="slot machine (GS, K = 8)", runs={"greedy": greedy(model)}),
    )
    return Panel(title=TITLES[model], lines=(*lines, *others))


FIGURE_4 = Figure(
    name="slot.figure4",
    title="Test accuracy against the cost of training",
    kind="training",
    axis="tera floating-point operations",
    panels=tuple(map(_over_training, ("conv4", "conv6"))),
    claim="For the same cost of training, slot machines are as accurate as learned weights.",
)

FIGURE_5 = Figure(
    name="slot.figure5",
    title="Finetuning against learning from scratch",
    kind="training",
    axis="tera floating-point operations",
    panels=tuple(
        _over_training(model, Line(label="finetuned", runs={"finetuned": finetuned(model)}))
        for model in ("conv4", "conv6")
    ),
    claim="For the same total cost, a finetuned slot machine is more accurate than weights learned from scratch.",
)

FIGURE_6 = Figure(
    name="slot.figure6",
    title="Finetuning from earlier and later selections",
    kind="against",
    axis="epochs of selection before finetuning",
    panels=(
        Panel(
            title="CIFAR-10",
            lines=tuple(
                Line(
                    label=f"{TITLES[model].split()[0]}, finetuned",
                    runs={epoch: finetuned(model, epoch) for epoch in (20, 40, 60, 80, 100)},
                )
                for model in ("conv4", "conv6")
            ),
        ),
    ),
    claim="Later selections are better starting points.",
)

FIGURE_7 = Figure(
    name="slot.figure7",
    title="Selections that change in five epochs",
    kind="changes",
    axis="epoch",
    panels=(
        Panel(
            title="LeNet-300-100 on MNIST, K = 8",
            lines=(
                Line(label="GS", runs={"greedy": greedy("lenet")}),
                Line(label="PS", runs={"sampled": sampled("lenet")}),
            ),
        ),
    ),
    claim="Greedy selection settles, sampling keeps changing a large share of the network.",
    epochs=FIVE_EPOCHS,
)

FIGURE_8 = Figure(
    name="slot.figure8",
    title="Greedy selection against probabilistic sampling",
    kind="against",
    axis="K",
    panels=tuple(
        Panel(
            title=TITLES[model],
            lines=(
                varying_k(model, greedy, label="slot machine (GS)", printed=_GS.get(model)),
                varying_k(model, sampled, label="slot machine (PS)"),
            ),
        )
        for model in NETWORKS
    ),
    claim="GS is better than PS for every K; GS improves with K, PS does not past 8.",
)

FIGURE_9 = Figure(
    name="slot.figure9",
    title="Options that are shared",
    kind="against",
    axis="K",
    panels=tuple(
        Panel(
            title=TITLES[model],
            lines=(
                varying_k(model, greedy, label="unshared"),
                varying_k(model, greedy, label="shared per layer", share="layer"),
                varying_k(model, greedy, label="shared by the network", share="network"),
            ),
        )
        for model in NETWORKS
    ),
    claim=(
        "Shared options fail at K = 2 and work at large K, with a large variance, but never as well as unshared ones."
    ),
)

FIGURE_11 = Figure(
    name="slot.figure11",
    title="Selected weights of CONV-6, K = 8",
    kind="values",
    axis="weight",
    panels=(Panel(title="CONV-6 on CIFAR-10", lines=(Line(label="GS, K = 8", runs={"greedy": greedy("conv6")}),)),),
    claim="Starting from uniform distributions, large magnitudes are selected more and more.",
    trials=1,
    epochs=(5, 25, 100),
)

FIGURES = (FIGURE_2, FIGURE_3, FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7, FIGURE_8, FIGURE_9, FIGURE_11)
