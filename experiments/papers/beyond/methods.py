"""What a newcomer needs to choose: every method on LeNet and MNIST at equal epochs, against its bits per connection.

    python -m experiments.reproduce --only=beyond.methods --data_dir=DIR

Beside the epochs, each has its own recipe. Bits are those of a ticket, before they are deflated.
"""

from typing import Any

from experiments.flags.resolve import resolve
from experiments.methods import method_of
from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.slot_machines.runs import TITLES, network_run

EPOCHS = 100
SEVEN_COATS = tuple(round(0.5 * (7 - coat) / 7, 3) for coat in range(7))


def _row(label: str, **settings: Any) -> Line:
    """A method, at its bits per connection."""
    run = network_run("lenet", **settings)
    if resolve(run.settings).epochs != EPOCHS:
        run = network_run("lenet", epochs=EPOCHS, **settings)
    return Line(label=label, runs={method_of(run.settings).bits(run.settings): run})


METHODS = Figure(
    name="beyond.methods",
    title=f"Every method at {EPOCHS} epochs, LeNet-300-100 on MNIST",
    kind="methods",
    axis="bits per connection",
    panels=(
        Panel(
            title=TITLES["lenet"],
            lines=(
                _row("partly frozen edge-popup", method="partly_frozen", pruned=0.35, kept=0.35),
                _row("edge-popup", method="edge_popup"),
                _row("edge-popup, normal weights", method="edge_popup", distribution="kaiming_normal"),
                _row("supermask, rescaled", method="supermask", rescale=True, learning_rate=50.0),
                _row("biprop", method="biprop"),
                _row("greedy, K = 2", k=2),
                _row("multicoat, 3 coats", method="multicoat", scale_for_kept=True),
                _row("multicoat, 7 coats", method="multicoat", keep_fractions=SEVEN_COATS, scale_for_kept=True),
                _row("greedy, K = 8", k=8),
                _row("probabilistic, K = 8", k=8, selection="probabilistic"),
                _row("greedy, K = 8, nearest", k=8, initial="nearest"),
                _row("greedy, K = 64, nearest", k=64, initial="nearest"),
                _row("learned weights", method="learned"),
            ),
        ),
    ),
    claim=(
        "Biprop with weights of one magnitude is edge-popup; its own are normal, and a score has the gradient of the "
        "weight times its random value. So connections of small weights hardly learn whether they are kept. That is "
        "part of what it is behind, for edge-popup with normal weights falls behind too. Where 35 % are pruned and "
        "35 % kept for ever, only 30 % are left to choose from."
    ),
    trials=3,
)

FIGURES = (METHODS,)
