"""The tables of Aladago & Torresani as runs, and the numbers of which it has no table, only text."""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines.runs import (
    TITLES,
    K,
    edge_popup,
    finetuned,
    greedy,
    learned,
    rescaled_supermask,
    sampled,
)

TABLE_1 = Figure(
    name="slot.table1",
    title="Networks, and epochs of training",
    kind="networks",
    axis="",
    panels=(),
    claim="Kernels, and epochs of the recipes here.",
)

_NAMES = {"LeNet": "lenet", "CONV-2": "conv2", "CONV-4": "conv4", "CONV-6": "conv6"}

TABLE_2 = Figure(
    name="slot.table2",
    title="Slot machines, edge-popup and supermasks",
    kind="table",
    axis="network",
    panels=(
        Panel(
            title="Test accuracy",
            lines=(
                Line(
                    label="GS, best over K",
                    runs={name: tuple(greedy(model, k) for k in K) for name, model in _NAMES.items()},
                    printed={"LeNet": 98.2, "CONV-2": 78.2, "CONV-4": 86.3, "CONV-6": 88.4},
                ),
                Line(
                    label="PS, best over K",
                    runs={name: tuple(sampled(model, k) for k in K) for name, model in _NAMES.items()},
                    printed={"LeNet": 98.0, "CONV-2": 71.7, "CONV-4": 80.2, "CONV-6": 81.7},
                ),
                Line(
                    label="edge-popup, half kept (printed: Ramanujan et al.)",
                    runs={name: edge_popup(model) for name, model in _NAMES.items()},
                    printed={"CONV-2": 77.7, "CONV-4": 85.8, "CONV-6": 88.1},
                ),
                Line(
                    label="supermask, rescaled (printed: Zhou et al.)",
                    runs={name: rescaled_supermask(model) for name, model in _NAMES.items()},
                    printed={"LeNet": 98.0, "CONV-2": 66.0, "CONV-4": 72.5, "CONV-6": 76.5},
                ),
            ),
        ),
    ),
    claim="GS is as accurate as edge-popup, PS as supermasks.",
)

VGG19 = Figure(
    name="slot.vgg19",
    title="VGG-19 (abstract and section 4.3)",
    kind="table",
    axis="",
    panels=(
        Panel(
            title=TITLES["vgg19"],
            lines=(
                Line(label="GS, K = 8", runs={"VGG-19": greedy("vgg19")}, printed={"VGG-19": 91.7}),
                Line(label="finetuned", runs={"VGG-19": finetuned("vgg19")}, printed={"VGG-19": 92.1}),
                Line(label="learned weights", runs={"VGG-19": learned("vgg19")}, printed={"VGG-19": 92.6}),
            ),
        ),
    ),
    claim="Finetuning improves VGG-19, but not past learned weights.",
)

SPARSE = Figure(
    name="slot.sparse",
    title="Sparse slot machines (section 4.6)",
    kind="table",
    axis="K",
    panels=tuple(
        Panel(
            title=TITLES[model],
            lines=(
                Line(
                    label="one option is 0",
                    runs={k: greedy(model, k, sparse=True) for k in (2, 64)},
                    printed={2: 76.0} if model == "conv6" else {},
                    printed_sparsity={2: 49.0, 64: 1.1} if model == "conv6" else {},
                ),
                Line(
                    label="all options random",
                    runs={k: greedy(model, k) for k in (2, 64)},
                    printed={2: 83.0} if model == "conv6" else {2: 97.0},
                ),
            ),
        )
        for model in ("lenet", "conv6")
    ),
    claim="With K = 2 a sparse network is less accurate, with K = 64 it is as accurate, but hardly sparse.",
    shows=("accuracy", "sparsity"),
)

FIGURES = (TABLE_1, TABLE_2, VGG19, SPARSE)
