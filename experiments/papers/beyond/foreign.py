"""A small CNN in Linen, NNX, Equinox and Haiku, as users of each write it, on the digits that come with a package.

python -m experiments.reproduce --only=beyond.foreign
"""

from typing import Any

from experiments.configuration.settings import Request
from experiments.papers.grid import Figure, Line, Panel, Run

NETWORKS = {"Linen": "linen_cnn", "NNX": "nnx_cnn", "Equinox": "equinox_cnn", "Haiku": "haiku_cnn"}
_RECIPE: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "batch_size": 100,
    "epochs": 40,
}


def _row(label: str, **settings: Any) -> Line:
    """One method, for every library."""
    runs = {title: Run(Request(model=model, **_RECIPE, **settings)) for title, model in NETWORKS.items()}
    return Line(label=label, runs=runs)


FOREIGN = Figure(
    name="beyond.foreign",
    title="One network in four libraries, 5,000 digits",
    kind="table",
    axis="",
    panels=(
        Panel(
            title="CNN of two convolutions, all kernels selected",
            lines=(
                _row("learned weights", method="learned"),
                _row("nearest, K = 8", k=8, initial="nearest"),
                _row("nearest, K = 64", k=64, initial="nearest"),
            ),
        ),
    ),
    claim="Biases are learned in all of them.",
    trials=3,
)

FIGURES = (FOREIGN,)
