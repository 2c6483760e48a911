"""A protocol for small machines: every method at an eighth of the epochs that the papers give slot machines.

All images, the same number of epochs for all, and else the recipe of each method. It compares methods with each other;
its runs fill no cell of the papers' figures, whose runs are longer.

    python -m experiments.reproduce --only=beyond.eighth --models=conv2 --data_dir=DIR
"""

from typing import Any

from experiments.papers.grid import Figure, Line, Panel, scaled_epochs
from experiments.papers.slot_machines.runs import edge_popup, greedy, learned, rescaled_supermask, sampled

SCALE = 0.125
# Of 200 epochs, with restarts at 25 and 75.
SCHEDULE: dict[str, Any] = {
    "epochs": scaled_epochs(200, SCALE),
    "restarts": (scaled_epochs(25, SCALE), scaled_epochs(75, SCALE)),
}
NETWORKS = {"CONV-2": "conv2", "CONV-6": "conv6"}


def _row(label: str, run: Any, *options: int, **settings: Any) -> Line:
    """One method, for every network."""
    return Line(
        label=label,
        runs={title: run(model, *options, **settings, **SCHEDULE) for title, model in NETWORKS.items()},
    )


EIGHTH = Figure(
    name="beyond.eighth",
    title="An eighth of the papers' epochs, CIFAR-10",
    kind="table",
    axis="",
    panels=(
        Panel(
            title=f"{SCHEDULE['epochs']} epochs",
            lines=(
                _row("learned weights", learned),
                _row("greedy, K = 2", greedy, 2),
                _row("greedy, K = 8", greedy, 8),
                _row("greedy, K = 64", greedy, 64),
                _row("greedy, K = 64, nearest", greedy, 64, initial="nearest"),
                _row("probabilistic, K = 8", sampled, 8),
                _row("edge-popup, half kept", edge_popup),
                _row("supermask, rescaled", rescaled_supermask),
            ),
        ),
    ),
    claim=(
        f"Every method trains on all images for {SCHEDULE['epochs']} epochs, and else by its own recipe: masks with "
        "SAME padding, crops and no dropout. This compares methods with each other, not with the papers' numbers."
    ),
    trials=3,
)

FIGURES = (EIGHTH,)
