"""Experiments that are in neither paper."""

from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines import TITLES, finetuned, greedy, learned, of, sampled, untrained, varying_k

NEAREST = Figure(
    "beyond.nearest",
    "Options as a random codebook: initial scores by which the nearest option is the first choice",
    "against",
    "K",
    (
        Panel(
            TITLES["lenet"],
            (
                varying_k("lenet", greedy, "uniform initial scores (the paper)"),
                varying_k("lenet", greedy, "nearest initial scores", initial="nearest", epochs=75),
                Line("learned weights", {"any": learned("lenet")}, flat=True),
            ),
        ),
    ),
    "A trial of the idea; the paper's uniform initial scores lose accuracy past K = 8, the nearest option does not.",
)

METHODS = Figure(
    "beyond.mnist",
    "Every method on MNIST",
    "table",
    "",
    (
        Panel(
            TITLES["lenet"],
            (
                Line("greedy, K = 8", {"LeNet": greedy("lenet")}, {"LeNet": 98.2}),
                Line("greedy, K = 2", {"LeNet": greedy("lenet", 2)}, {"LeNet": 97.0}),
                Line("greedy, K = 64", {"LeNet": greedy("lenet", 64)}),
                Line("greedy, K = 64, nearest", {"LeNet": greedy("lenet", 64, initial="nearest", epochs=75)}),
                Line("greedy, K = 2, one of them 0", {"LeNet": greedy("lenet", 2, sparse=True)}),
                Line("greedy, K = 2, shared per layer", {"LeNet": greedy("lenet", 2, share="layer")}),
                Line("greedy, K = 64, shared per layer", {"LeNet": greedy("lenet", 64, share="layer")}),
                Line("probabilistic, K = 8", {"LeNet": sampled("lenet")}),
                Line("edge-popup, half kept", {"LeNet": of("lenet", method="edge_popup")}),
                Line("supermask", {"LeNet": of("lenet", method="supermask")}),
                Line(
                    "supermask, rescaled",
                    {"LeNet": of("lenet", method="supermask", rescale=True, learning_rate=50.0)},
                    {"LeNet": 98.0},
                ),
                Line("learned weights", {"LeNet": learned("lenet")}, {"LeNet": 98.2}, about=True),
                Line("greedy, K = 8, finetuned", {"LeNet": finetuned("lenet")}),
                Line("untrained", {"LeNet": untrained("lenet")}, {"LeNet": 10}),
            ),
        ),
    ),
    "",
    shows=("accuracy", "sparsity"),
)

NEVER_TRAINED = Figure(
    "beyond.resnet18",
    "Networks whose weights are never trained, CIFAR-10",
    "table",
    "",
    (
        Panel(
            "ResNet-18",
            (
                Line("best published: biprop (Diffenderfer & Kailkhura 2021)", {}, {"ResNet-18": 94.66}),
                Line(
                    "greedy, K = 8, nearest",
                    {"ResNet-18": of("cifar_resnet18", initial="nearest", augmentation="flip_and_crop")},
                ),
                Line(
                    "greedy, K = 8",
                    {"ResNet-18": of("cifar_resnet18", augmentation="flip_and_crop")},
                ),
                Line(
                    "edge-popup, half kept",
                    {"ResNet-18": of("cifar_resnet18", method="edge_popup")},
                ),
                Line(
                    "learned weights",
                    {"ResNet-18": of("cifar_resnet18", method="learned", augmentation="flip_and_crop")},
                ),
            ),
        ),
    ),
    "",
)

FIGURES = (METHODS, NEAREST, NEVER_TRAINED)
