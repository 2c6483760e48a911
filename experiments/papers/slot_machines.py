"""The figures and tables of Aladago & Torresani, "Slot Machines" (ICML 2021), as runs.

Figures 1 and 10 are drawings. Test accuracies are those of the epoch of the best validation accuracy, means of four
trials with the least and the greatest. Of the plots the text prints few numbers; those are here.
"""

from typing import Any

from experiments.configuration.settings import Settings
from experiments.papers.grid import Figure, Line, Panel, Run

K = (2, 4, 8, 16, 32, 64)
NETWORKS = ("lenet", "conv2", "conv4", "conv6")
TITLES = {
    "lenet": "LeNet-300-100 on MNIST",
    "conv2": "CONV-2 on CIFAR-10",
    "conv4": "CONV-4 on CIFAR-10",
    "conv6": "CONV-6 on CIFAR-10",
    "vgg19": "VGG-19 on CIFAR-10",
}
FIVE_EPOCHS = tuple(range(5, 101, 5))


def of(model: str, **settings: Any) -> Run:
    """A run on the network's dataset."""
    return Run(Settings(model=model, dataset="mnist" if model == "lenet" else "cifar10", **settings))


def greedy(model: str, k: int = 8, **settings: Any) -> Run:
    """A slot machine with greedy selection (GS)."""
    return of(model, k=k, **settings)


def sampled(model: str, k: int = 8) -> Run:
    """A slot machine with probabilistic sampling (PS)."""
    return of(model, k=k, selection="probabilistic")


def learned(model: str) -> Run:
    """Ordinary training from scratch."""
    return of(model, method="learned")


def untrained(model: str) -> Run:
    """Random weights."""
    return of(model, method="random")


def finetuned(model: str, epoch: int | None = None) -> Run:
    """Ordinary training for 100 epochs, from what a slot machine with K = 8 had selected."""
    return Run(of(model, method="learned", epochs=100).settings, greedy(model), epoch)


def varying_k(model: str, run: Any, label: str, printed: dict[int, float] | None = None, **settings: Any) -> Line:
    """One run for every K."""
    return Line(label, {k: run(model, k, **settings) for k in K}, printed or {})


FIGURE_2 = Figure(
    "slot.figure2",
    "Two options per connection against one",
    "bars",
    "network",
    (
        Panel(
            "(a) MNIST",
            (
                Line("untrained", {"LeNet": untrained("lenet")}, {"LeNet": 10}),
                Line("GS, K = 2", {"LeNet": greedy("lenet", 2)}, {"LeNet": 97.0}),
            ),
        ),
        Panel(
            "(b) CIFAR-10",
            (
                Line(
                    "untrained",
                    {f"CONV-{n}": untrained(f"conv{n}") for n in (2, 4, 6)},
                    {f"CONV-{n}": 10 for n in (2, 4, 6)},
                ),
                Line("GS, K = 2", {f"CONV-{n}": greedy(f"conv{n}", 2) for n in (2, 4, 6)}, {"CONV-6": 85.1}),
            ),
        ),
    ),
    "Two random values per connection to choose from already lift accuracy from chance to near that of training.",
)

_GS = {"lenet": {2: 97.0, 8: 98.2}, "conv6": {2: 85.1}}
_LEARNED = {"lenet": 98.2, "conv2": 75, "conv4": 86, "conv6": 87.5}  # of its curves

FIGURE_3 = Figure(
    "slot.figure3",
    "Slot machines and learned weights against K",
    "against",
    "K",
    tuple(
        Panel(
            TITLES[model],
            (
                varying_k(model, greedy, "slot machine (GS)", _GS.get(model)),
                Line("learned weights", {"any": learned(model)}, {"any": _LEARNED[model]}, flat=True, about=True),
            ),
        )
        for model in NETWORKS
    ),
    "Accuracy grows with K up to 8 and then hardly; CONV-6 does better than learned, and seeds matter less.",
)


def _over_training(model: str, *others: Line) -> Panel:
    """Learned weights and a slot machine, whose cost and accuracy are followed."""
    lines = (
        Line("learned weights", {"learned": learned(model)}),
        Line("slot machine (GS, K = 8)", {"greedy": greedy(model)}),
    )
    return Panel(TITLES[model], (*lines, *others))


FIGURE_4 = Figure(
    "slot.figure4",
    "Test accuracy against the cost of training",
    "training",
    "tera floating-point operations",
    tuple(map(_over_training, ("conv4", "conv6"))),
    "For the same cost of training, slot machines are as accurate as learned weights.",
)

FIGURE_5 = Figure(
    "slot.figure5",
    "Finetuning against learning from scratch",
    "training",
    "tera floating-point operations",
    tuple(_over_training(model, Line("finetuned", {"finetuned": finetuned(model)})) for model in ("conv4", "conv6")),
    "For the same total cost, a finetuned slot machine is more accurate than weights learned from scratch.",
)

FIGURE_6 = Figure(
    "slot.figure6",
    "Finetuning from earlier and later selections",
    "against",
    "epochs of selection before finetuning",
    (
        Panel(
            "CIFAR-10",
            tuple(
                Line(
                    f"{TITLES[model].split()[0]}, finetuned",
                    {epoch: finetuned(model, epoch) for epoch in (20, 40, 60, 80, 100)},
                )
                for model in ("conv4", "conv6")
            ),
        ),
    ),
    "Later selections are better starting points.",
)

FIGURE_7 = Figure(
    "slot.figure7",
    "Selections that change in five epochs",
    "changes",
    "epoch",
    (
        Panel(
            "LeNet-300-100 on MNIST, K = 8",
            (Line("GS", {"greedy": greedy("lenet")}), Line("PS", {"sampled": sampled("lenet")})),
        ),
    ),
    "Greedy selection settles, sampling keeps changing a large share of the network.",
    epochs=FIVE_EPOCHS,
)

FIGURE_8 = Figure(
    "slot.figure8",
    "Greedy selection against probabilistic sampling",
    "against",
    "K",
    tuple(
        Panel(
            TITLES[model],
            (
                varying_k(model, greedy, "slot machine (GS)", _GS.get(model)),
                varying_k(model, sampled, "slot machine (PS)"),
            ),
        )
        for model in NETWORKS
    ),
    "GS is better than PS for every K; GS improves with K, PS does not past 8.",
)

FIGURE_9 = Figure(
    "slot.figure9",
    "Options that are shared",
    "against",
    "K",
    tuple(
        Panel(
            TITLES[model],
            (
                varying_k(model, greedy, "unshared"),
                varying_k(model, greedy, "shared per layer", share="layer"),
                varying_k(model, greedy, "shared by the network", share="network"),
            ),
        )
        for model in NETWORKS
    ),
    "Shared options fail at K = 2 and work at large K, with a large variance, but never as well as unshared ones.",
)

FIGURE_11 = Figure(
    "slot.figure11",
    "Selected weights of CONV-6, K = 8",
    "values",
    "weight",
    (Panel("CONV-6 on CIFAR-10", (Line("GS, K = 8", {"greedy": greedy("conv6")}),)),),
    "Starting from uniform distributions, large magnitudes are selected more and more.",
    trials=1,
    epochs=(5, 25, 100),
)

TABLE_1 = Figure(
    "slot.table1", "Networks, and epochs of training", "networks", "", (), "Kernels, and epochs of the recipes here."
)

_NAMES = {"LeNet": "lenet", "CONV-2": "conv2", "CONV-4": "conv4", "CONV-6": "conv6"}

TABLE_2 = Figure(
    "slot.table2",
    "Slot machines, edge-popup and supermasks",
    "table",
    "network",
    (
        Panel(
            "Test accuracy",
            (
                Line(
                    "GS, best over K",
                    {name: tuple(greedy(model, k) for k in K) for name, model in _NAMES.items()},
                    {"LeNet": 98.2, "CONV-2": 78.2, "CONV-4": 86.3, "CONV-6": 88.4},
                ),
                Line(
                    "PS, best over K",
                    {name: tuple(sampled(model, k) for k in K) for name, model in _NAMES.items()},
                    {"LeNet": 98.0, "CONV-2": 71.7, "CONV-4": 80.2, "CONV-6": 81.7},
                ),
                Line(
                    "edge-popup, half kept (printed: Ramanujan et al.)",
                    {name: of(model, method="edge_popup") for name, model in _NAMES.items()},
                    {"CONV-2": 77.7, "CONV-4": 85.8, "CONV-6": 88.1},
                ),
                Line(
                    "supermask, rescaled (printed: Zhou et al.)",
                    {
                        name: of(model, method="supermask", rescale=True, learning_rate=50.0)
                        for name, model in _NAMES.items()
                    },
                    {"LeNet": 98.0, "CONV-2": 66.0, "CONV-4": 72.5, "CONV-6": 76.5},
                ),
            ),
        ),
    ),
    "GS is as accurate as edge-popup, PS as supermasks.",
)

VGG19 = Figure(
    "slot.vgg19",
    "VGG-19 (abstract and section 4.3)",
    "table",
    "",
    (
        Panel(
            TITLES["vgg19"],
            (
                Line("GS, K = 8", {"VGG-19": greedy("vgg19")}, {"VGG-19": 91.7}),
                Line("finetuned", {"VGG-19": finetuned("vgg19")}, {"VGG-19": 92.1}),
                Line("learned weights", {"VGG-19": learned("vgg19")}, {"VGG-19": 92.6}),
            ),
        ),
    ),
    "Finetuning improves VGG-19, but not past learned weights.",
)

SPARSE = Figure(
    "slot.sparse",
    "Sparse slot machines (section 4.6)",
    "table",
    "K",
    tuple(
        Panel(
            TITLES[model],
            (
                Line(
                    "one option is 0",
                    {k: greedy(model, k, sparse=True) for k in (2, 64)},
                    {2: 76.0} if model == "conv6" else {},
                    printed_sparsity={2: 49.0, 64: 1.1} if model == "conv6" else {},
                ),
                Line(
                    "all options random",
                    {k: greedy(model, k) for k in (2, 64)},
                    {2: 83.0} if model == "conv6" else {2: 97.0},
                ),
            ),
        )
        for model in ("lenet", "conv6")
    ),
    "With K = 2 a sparse network is less accurate, with K = 64 it is as accurate, but hardly sparse.",
    shows=("accuracy", "sparsity"),
)

FIGURES = (
    FIGURE_2,
    FIGURE_3,
    FIGURE_4,
    FIGURE_5,
    FIGURE_6,
    FIGURE_7,
    FIGURE_8,
    FIGURE_9,
    FIGURE_11,
    TABLE_1,
    TABLE_2,
    VGG19,
    SPARSE,
)
