"""The best that networks of random weights can do on CIFAR-10, beside the best that is published."""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines.runs import edge_popup, greedy, learned

NEVER_TRAINED = Figure(
    name="beyond.resnet18",
    title="Networks whose weights are never trained, CIFAR-10",
    kind="table",
    axis="",
    panels=(
        Panel(
            title="ResNet-18",
            lines=(
                Line(
                    label="best published: biprop (Diffenderfer & Kailkhura 2021)",
                    runs={},
                    printed={"ResNet-18": 94.66},
                ),
                Line(
                    label="greedy, K = 8, nearest",
                    runs={"ResNet-18": greedy("cifar_resnet18", initial="nearest", augmentation="flip_and_crop")},
                ),
                Line(
                    label="greedy, K = 8",
                    runs={"ResNet-18": greedy("cifar_resnet18", augmentation="flip_and_crop")},
                ),
                Line(
                    label="edge-popup, half kept",
                    runs={"ResNet-18": edge_popup("cifar_resnet18")},
                ),
                Line(
                    label="learned weights",
                    runs={"ResNet-18": learned("cifar_resnet18", augmentation="flip_and_crop")},
                ),
            ),
        ),
    ),
    claim="",
)

FIGURES = (NEVER_TRAINED,)
