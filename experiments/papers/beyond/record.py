"""The CIFAR-10 record of networks whose weights are never trained: every method by one and the same strong recipe.

    python -m experiments.reproduce --only=beyond.record --trials=1 --data_dir=DIR

The recipe is that by which ResNet-18 with learned weights comes to about 96 %. Batch norm has no scales and biases.
`beyond.record_eighth` takes an eighth of the epochs, a comparison of the methods for one afternoon on a GPU.
"""

from typing import Any

from experiments.papers.beyond.methods import SEVEN_COATS
from experiments.papers.grid import Figure, Line, Panel, scaled_epochs
from experiments.papers.slot_machines.runs import network_run

RECIPE: dict[str, Any] = {
    "train_on_all": True,
    "epochs": 200,
    "batch_size": 256,
    "learning_rate": 0.1,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "augmentation": "flip_crop_and_cutout",
    "label_smoothing": 0.1,
    "compute_dtype": "bfloat16",  # weights, scores and the loss stay in float32
}
EIGHTH: dict[str, Any] = {"epochs": scaled_epochs(200, 0.125)}


def _row(label: str, **settings: Any) -> Line:
    return Line(label=label, runs={"ResNet-18": network_run("cifar_resnet18", **RECIPE | settings)})


def _methods(**settings: Any) -> tuple[Line, ...]:
    return (
        _row("greedy, K = 8, nearest", k=8, initial="nearest", **settings),
        _row("greedy, K = 64, nearest", k=64, initial="nearest", **settings),
        _row("biprop, half kept", method="biprop", **settings),
        _row("edge-popup, half kept", method="edge_popup", **settings),
        _row("multicoat, 7 coats", method="multicoat", keep_fractions=SEVEN_COATS, scale_for_kept=True, **settings),
        _row("learned weights", method="learned", distribution="kaiming_normal", **settings),
    )


_PUBLISHED = Line(label="best published: biprop (Diffenderfer & Kailkhura 2021)", runs={}, printed={"ResNet-18": 94.66})
RECORD = Figure(
    name="beyond.record",
    title="Never-trained ResNet-18, one recipe for every method, CIFAR-10",
    kind="table",
    axis="",
    panels=(Panel(title="200 epochs", lines=(_PUBLISHED, *_methods())),),
    claim=(
        "Nothing is learned but which value each connection uses, or in the last row the weights: batch norm has no "
        "scales and biases, and the last layer no biases."
    ),
    trials=3,
    result="last_test",
)
RECORD_EIGHTH = Figure(
    name="beyond.record_eighth",
    title="The same recipe at an eighth of the epochs",
    kind="table",
    axis="",
    panels=(Panel(title=f"{EIGHTH['epochs']} epochs", lines=_methods(**EIGHTH)),),
    claim="",
    trials=3,
    result="last_test",
)

FIGURES = (RECORD, RECORD_EIGHTH)
