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
from experiments.speed.methods import LENET, against_methods

FILE, PICTURE, METHODS = "cost.json", "cost.png", "methods"
STEP = "time of a step, learned = 1"
STYLES = (("#0072B2", "-", "o"), ("#D55E00", "--", "s"), ("#009E73", "-.", "D"))


class Panel(NamedTuple):
    """What a curve shows, and what measures it in so many rounds; of methods, there is a table only."""

    title: str
    places: str
    values: str
    measure: Callable[[int], Curve]


class Measured(NamedTuple):
    """A curve, and on what it was measured; the file has versions and commit as well."""

    places: list[int] | list[str]
    lines: dict[str, list[float]]
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
    METHODS: Panel("every method", "method", STEP, against_methods),
}

_TEXT = f"""Batches of 128 images, float32. On a CPU, times are of the processor. They are medians over rounds in which
all networks of a place took turns, against the same network with learned weights; where a machine has other work, they
vary by a tenth. *{TRAFFIC.capitalize()}* is a step with learned weights, and every weight read and
written once more: the least that selecting from a seed can take, whatever K is. Between devices it is the gradient of
every weight, once, in a ring; bytes are counted in what XLA compiles for virtual devices.
`python -m experiments.benchmark --out=experiments/results --curves=NAMES` measures it again, of
{", ".join(PANELS)}."""


def measure_curves(names: list[str], rounds: int, out: Path) -> None:
    """Measures the panels of these names; file and picture have them after each, beside what the file had of others."""
    file = out / FILE
    content = json.loads(file.read_text()) if file.exists() and read_curves(file) else {}
    for name in names:
        content[name] = {**PANELS[name].measure(rounds)._asdict(), **environment()}
        write_whole(file, json.dumps({name: content[name] for name in PANELS if name in content}) + "\n")
        draw_curves(read_curves(file), out / PICTURE)


def read_curves(path: Path) -> dict[str, Measured]:
    """What was measured, by the names of the panels.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        found = read_json(path.read_text(), dict[str, Measured])
        curves = {name: Measured(**{field: found[name][field] for field in Measured._fields}) for name in found}
        if any(len(line) != len(curve.places) for curve in curves.values() for line in curve.lines.values()):
            raise ValueError("a line is not as long as its places")
        if unknown := curves.keys() - PANELS.keys():
            raise ValueError(f"unknown curve: {min(unknown)!r}")
        if METHODS in curves and LENET not in curves[METHODS].places:
            raise ValueError(f"{METHODS} has no {LENET}")
        return curves
    except ValueError as error:
        raise ValueError(f"{path} has no curves of experiments.benchmark ({error})") from error


def section(curves: dict[str, Measured]) -> str:
    """The section of the report: the picture, what it shows, and its numbers."""
    tables = (_table(PANELS[name], curve) for name, curve in curves.items())
    missing = ", ".join(name for name in PANELS if name not in curves)
    rest = [f"Not measured yet: {missing}."] if missing else []
    picture = f"![What a training step costs]({PICTURE})\n\n" if curves.keys() - {METHODS} else ""
    return "\n\n".join([f"## cost: What a training step costs\n\n{picture}{_TEXT}", *tables, *rest])


def steps_of_methods(curves: dict[str, Measured]) -> dict[str, float]:
    """The time of a step of LeNet by method, learned = 1, if it was measured."""
    if (found := curves.get(METHODS)) is None:
        return {}
    return {method: dict(zip(found.places, line, strict=True))[LENET] for method, line in found.lines.items()}


def _table(panel: Panel, curve: Measured) -> str:
    rows = [[panel.places, *map(str, curve.places)], ["---"] * (1 + len(curve.places))]
    rows += [[name, *(f"{value:.2f}" for value in line)] for name, line in curve.lines.items()]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"**{panel.title}**: {panel.values}; {_machine(curve.hardware)}\n\n{lines}"


def _machine(hardware: dict[str, Any]) -> str:
    """In words.

    >>> _machine({"platform": "cpu", "cores": 2, "processor": "AMD EPYC", "devices": ["cpu"]})
    '2 cores of AMD EPYC'
    """
    if hardware.get("platform") == "cpu":
        return f"{hardware.get('cores')} cores of {hardware.get('processor')}"
    return str(hardware.get("devices", ["?"])[0])


def draw_curves(curves: dict[str, Measured], path: Path) -> None:
    """Draws a panel for each curve that is over numbers, if there are any."""
    from matplotlib.figure import Figure

    if not (curves := {name: curve for name, curve in curves.items() if name != METHODS}):
        return
    rows = (len(curves) + 1) // 2
    figure = Figure(figsize=(8.4, 0.3 + 4.1 * rows), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.remove()
    for axes, (name, curve) in zip(grid.flat, curves.items(), strict=False):
        _draw(axes, PANELS[name], curve)
    write_figure(path, figure, dpi=100, metadata={"Software": ""})


def _draw(axes: Any, panel: Panel, curve: Measured) -> None:
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
