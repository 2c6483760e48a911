"""LeNet-300-100 on MNIST at the scale of its own initializer, trained by Adam and by SGD.

All runs take 50 epochs but those of the paper's method, which take its 200.

    python -m experiments.reproduce --only=beyond.lenet --data_dir=DIR
"""

from typing import Any

from experiments.papers.grid import Figure, Line, Panel, Run
from experiments.papers.slot_machines.runs import TITLES, greedy, network_run, varying_k

K = (2, 4, 8, 16, 32, 64, 256)
EPOCHS = 50
_COMMON: dict[str, Any] = {"epochs": EPOCHS, "schedule": "cosine", "batch_size": 128}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {"optimizer": "adam", "learning_rate": 1e-3, **_COMMON},
    "SGD": {"learning_rate": 0.05, "weight_decay": 0.0, **_COMMON},
}


def learned(optimizer: str) -> Run:
    """Ordinary training, from the network's own initializer."""
    return network_run("lenet", method="learned", distribution="own", **OPTIMIZERS[optimizer])


def own(optimizer: str, k: int, initial: str = "nearest", distribution: str = "own") -> Run:
    """A slot machine at the own scale."""
    return greedy("lenet", k, initial=initial, distribution=distribution, **OPTIMIZERS[optimizer])


def given(optimizer: str, k: int) -> Run:
    """The same, from learned weights, for a tenth of the epochs that those took."""
    settings = OPTIMIZERS[optimizer] | {"epochs": EPOCHS // 10}
    request = greedy("lenet", k, initial="given", distribution="own_normal", **settings).settings
    return Run(request, learned(optimizer), EPOCHS)


def _panel(optimizer: str) -> Panel:
    return Panel(
        title=f"{TITLES['lenet']}, {optimizer}",
        lines=(
            Line(label="learned weights", runs={"any": learned(optimizer)}, flat=True),
            Line(label="nearest, uniform options", runs={k: own(optimizer, k) for k in K}),
            Line(
                label="nearest, normal options",
                runs={k: own(optimizer, k, distribution="own_normal") for k in (8, 64, 256)},
            ),
            Line(label="given, a tenth of the epochs", runs={k: given(optimizer, k) for k in (16, 64, 256)}),
            varying_k("lenet", greedy, label="the paper's method (SGD)"),
        ),
    )


LENET = Figure(
    name="beyond.lenet",
    title="LeNet at the scale of its own initializer",
    kind="against",
    axis="K",
    panels=tuple(map(_panel, OPTIMIZERS)),
    claim="",
    trials=3,
)

FIGURES = (LENET,)
