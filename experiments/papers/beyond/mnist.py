"""Experiments on MNIST that are in neither paper."""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines.runs import (
    TITLES,
    edge_popup,
    finetuned,
    greedy,
    learned,
    network_run,
    rescaled_supermask,
    sampled,
    untrained,
    varying_k,
)

NEAREST = Figure(
    name="beyond.nearest",
    title="Options as a random codebook: initial scores by which the nearest option is the first choice",
    kind="against",
    axis="K",
    panels=(
        Panel(
            title=TITLES["lenet"],
            lines=(
                varying_k("lenet", greedy, label="uniform initial scores (the paper)"),
                varying_k("lenet", greedy, label="nearest initial scores", initial="nearest", epochs=75),
                Line(label="learned weights", runs={"any": learned("lenet")}, flat=True),
            ),
        ),
    ),
    claim=(
        "A trial of the idea; the paper's uniform initial scores lose accuracy past K = 8, the nearest option does not."
    ),
)

METHODS = Figure(
    name="beyond.mnist",
    title="Every method on MNIST",
    kind="table",
    axis="",
    panels=(
        Panel(
            title=TITLES["lenet"],
            lines=(
                Line(label="greedy, K = 8", runs={"LeNet": greedy("lenet")}, printed={"LeNet": 98.2}),
                Line(label="greedy, K = 2", runs={"LeNet": greedy("lenet", 2)}, printed={"LeNet": 97.0}),
                Line(label="greedy, K = 64", runs={"LeNet": greedy("lenet", 64)}),
                Line(
                    label="greedy, K = 64, nearest", runs={"LeNet": greedy("lenet", 64, initial="nearest", epochs=75)}
                ),
                Line(label="greedy, K = 2, one of them 0", runs={"LeNet": greedy("lenet", 2, sparse=True)}),
                Line(label="greedy, K = 2, shared per layer", runs={"LeNet": greedy("lenet", 2, share="layer")}),
                Line(label="greedy, K = 64, shared per layer", runs={"LeNet": greedy("lenet", 64, share="layer")}),
                Line(label="probabilistic, K = 8", runs={"LeNet": sampled("lenet")}),
                Line(label="edge-popup, half kept", runs={"LeNet": edge_popup("lenet")}),
                Line(label="supermask", runs={"LeNet": network_run("lenet", method="supermask")}),
                Line(
                    label="supermask, rescaled",
                    runs={"LeNet": rescaled_supermask("lenet")},
                    printed={"LeNet": 98.0},
                ),
                Line(label="learned weights", runs={"LeNet": learned("lenet")}, printed={"LeNet": 98.2}, about=True),
                Line(label="greedy, K = 8, finetuned", runs={"LeNet": finetuned("lenet")}),
                Line(label="untrained", runs={"LeNet": untrained("lenet")}, printed={"LeNet": 10}),
            ),
        ),
    ),
    claim="",
    shows=("accuracy", "sparsity"),
)

FIGURES = (METHODS, NEAREST)
