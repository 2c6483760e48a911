"""The picture of a run: accuracy, loss, and selections changed per epoch."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.files import write_figure
from experiments.running.summary import best_record

# Okabe and Ito's palette, told apart with any colour vision; the line styles tell them apart in grey.
STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": "#999999", "linestyle": "--"},
    "validation": {"color": "#E69F00", "linestyle": "-."},
    "test": {"color": "#0072B2", "linestyle": "-"},
}


def draw_curves(history: list[dict[str, Any]], title: str, path: Path) -> None:
    """Draws the curves of a run, one record per epoch and one before training, into a PNG file."""
    panels = 3 if "changed" in history[-1] else 2
    figure = Figure(figsize=(4 * panels, 3.6), layout="constrained")
    accuracy, loss, *changed = figure.subplots(1, panels)
    _draw_splits(accuracy, history[1:], "accuracy", "Accuracy (%)", 100)
    _mark_best(accuracy, history)
    _draw_splits(loss, history, "loss", "Loss (nats)", 1)
    loss.set_yscale("log")
    if changed:
        _draw_changed(changed[0], history)
    for axes in (accuracy, loss, *changed):
        axes.set_xlabel("Epoch")
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    write_figure(path, figure, dpi=110, metadata={"Software": ""})


def _draw_splits(axes: Axes, history: list[dict[str, Any]], metric: str, label: str, factor: float) -> None:
    for split, style in STYLES.items():
        records = [record for record in history if split in record]
        values = [factor * record[split][metric] for record in records]
        axes.plot([record["epoch"] for record in records], values, label=split, **style)
    axes.set_ylabel(label)


def _mark_best(axes: Axes, history: list[dict[str, Any]]) -> None:
    best = best_record(history)
    value, untrained = 100 * best["test"]["accuracy"], 100 * history[0]["test"]["accuracy"]
    axes.plot(best["epoch"], value, "o", color=STYLES["test"]["color"], label=f"test at best validation: {value:.2f}")
    axes.plot([], [], " ", label=f"test before training: {untrained:.2f}")
    axes.legend(loc="lower right")


def _draw_changed(axes: Axes, history: list[dict[str, Any]]) -> None:
    epochs, shares = zip(
        *((record["epoch"], 100 * record["changed"]) for record in history if "changed" in record), strict=True
    )
    axes.plot(epochs, shares, color=STYLES["test"]["color"])
    # A share of 0 has no place on a logarithmic axis.
    axes.set_yscale("symlog", linthresh=max(1e-4, min((share for share in shares if share > 0), default=1.0)))
    axes.set_ylabel("Selections changed per epoch (%)")
    axes.set_ylim(bottom=0)
