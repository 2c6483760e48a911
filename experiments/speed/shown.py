"""The curves of cost as a file, a figure and a section of the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from experiments.files import write_figure, write_whole
from experiments.running.environment import environment
from experiments.schema import read_json
from experiments.speed.crossing import against_devices_elsewhere
from experiments.speed.curves import TRAFFIC, Curve, against_layers, against_options, against_width

FILE, PICTURE = "cost.json", "cost.png"
STEP = "time of a step, learned = 1"
STYLES = (("#0072B2", "-", "o"), ("#D55E00", "--", "s"), ("#009E73", "-.", "D"))
_TEXT = f"""## cost: What a training step costs

![What a training step costs](PICTURE)

Batches of 128 images of 28x28, float32. Times are of the processor, on PLACE: medians over rounds in which all networks
of a place took turns, against the same network with learned weights. *{TRAFFIC.capitalize()}* is a step
with learned weights, and every weight read and written once more: the least that selecting from a seed can take,
whatever K is. Between devices it is the gradient of every weight, once, in a ring. Bytes are counted in what XLA
compiles for virtual devices. This measures it again:

```bash
python -m experiments.benchmark --curves=options,width,layers,devices --rounds=3 --out=experiments/results
```
"""


class Panel(NamedTuple):
    """What a curve shows, and what measures it in so many rounds."""

    title: str
    places: str
    values: str
    measure: Callable[[int], Curve]


class Content(NamedTuple):
    """What the file has, beside versions and commit."""

    curves: dict[str, Curve]
    hardware: dict[str, Any]


PANELS = {
    "options": Panel("LeNet-300-100", "options per connection K", STEP, against_options),
    "width": Panel("LeNet-300-100, so many times as wide", "width", STEP, against_width),
    "layers": Panel("hidden layers of 300 units", "hidden layers", STEP, against_layers),
    "devices": Panel(
        "LeNet-300-100 on many devices",
        "devices",
        "MB that each sends in a step",
        lambda rounds: against_devices_elsewhere(),
    ),
}


def measure_curves(names: list[str], rounds: int, out: Path) -> dict[str, Curve]:
    """Measures the panels of these names; file and picture have what there is after each of them."""
    curves: dict[str, Curve] = {}
    for name in names:
        curves[name] = PANELS[name].measure(rounds)
        content = {"curves": {name: curve._asdict() for name, curve in curves.items()}, **environment()}
        write_whole(out / FILE, json.dumps(content, indent=1) + "\n")
        draw_curves(curves, out / PICTURE)
    return curves


def read_curves(path: Path) -> Content:
    """What was measured.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        content = read_json(path.read_text(), Content)
        curves = {name: Curve(**curve) for name, curve in content["curves"].items() if name in PANELS}
        if any(len(line) != len(curve.places) for curve in curves.values() for line in curve.lines.values()):
            raise ValueError("a line is not as long as its places")
        return Content(curves, content["hardware"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} has no curves of experiments.benchmark ({error})") from error


def section(content: Content) -> str:
    """The section of the report: the picture, what it shows, and its numbers."""
    hardware = content.hardware
    place = f"{hardware.get('cores')} cores of {hardware.get('processor')}"
    head = _TEXT.replace("PICTURE", PICTURE).replace("PLACE", place)
    return "\n\n".join([head.rstrip(), *(_table(PANELS[name], curve) for name, curve in content.curves.items())])


def _table(panel: Panel, curve: Curve) -> str:
    rows = [[panel.places, *map(str, curve.places)], ["---"] * (1 + len(curve.places))]
    rows += [[name, *(f"{value:.2f}" for value in line)] for name, line in curve.lines.items()]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"**{panel.title}**: {panel.values}\n\n{lines}"


def draw_curves(curves: dict[str, Curve], path: Path) -> None:
    """Draws a panel for each curve."""
    from matplotlib.figure import Figure

    rows = (len(curves) + 1) // 2
    figure = Figure(figsize=(8.4, 0.3 + 4.1 * rows), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.remove()
    for axes, (name, curve) in zip(grid.flat, curves.items(), strict=False):
        _draw(axes, PANELS[name], curve)
    write_figure(path, figure, dpi=100, metadata={"Software": ""})


def _draw(axes: Any, panel: Panel, curve: Curve) -> None:
    styles = iter(STYLES)
    for number, (name, values) in enumerate(curve.lines.items()):
        if name == TRAFFIC:
            axes.plot(curve.places, values, color="black", linestyle=":", label=name)
            continue
        color, dashes, marker = next(styles)
        size = 9 - 2 * number  # so that of lines that coincide all are seen
        axes.plot(curve.places, values, color=color, linestyle=dashes, marker=marker, markersize=size, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(curve.places, [str(place) for place in curve.places])
    axes.minorticks_off()
    if panel.values == STEP and max(map(max, curve.lines.values())) > 10:
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set_ylim(bottom=0)
    axes.set(xlabel=panel.places, ylabel=panel.values, title=panel.title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
