"""The report's figures, in the papers' form."""

import itertools
import math
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.transforms import ScaledTranslation, Transform

from experiments.files import write_figure
from experiments.papers.grid import Figure, Line, Panel
from experiments.papers.results import Ledger, Result, found_in, is_loss, mean_curve, on_one_text, operations, result_at

# Okabe and Ito's palette, told apart with any colour vision; markers and dashes tell them apart in grey.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS, DASHES = ("o", "s", "^", "D", "v", "P", "X"), ("-", "--", "-.", ":")
FEW = 4  # places up to which an axis stays linear
APART, TOGETHER = 0.05, 0.15  # inches at most between the error bars of two lines at one place, and of all
SHOWN = 3  # weights whose values are shown: the first two convolutions and the first dense layer


def panels_to_draw(figure: Figure, ledger: Ledger) -> list[Panel]:
    """The panels of which the ledger has what they show; none of a figure that is a table."""
    if figure.kind in ("table", "networks"):
        return []
    recorded = figure.kind if figure.kind in ("changes", "values") else "key"
    # A line that stands in every panel, such as learned weights, is a reference: a panel needs another one beside it.
    first, *others = figure.panels
    common = [line for line in first.lines if others and all(line in panel.lines for panel in others)]
    return [
        panel
        for panel in figure.panels
        if any(
            found_in(one, panel.over or recorded)
            for line in [one for one in panel.lines if one not in common] or panel.lines
            for place in line.runs
            if (result := result_at(figure, line, place, ledger))
            for one in result.lines
        )
    ]


def draw(figure: Figure, ledger: Ledger, path: Path) -> None:
    """Draws the panels that have data into a PNG file. Of how many runs and trials, their legends say."""
    panels = panels_to_draw(figure, ledger)
    if figure.kind == "values":
        _draw_values(figure, ledger, path)
        return
    columns = min(2, len(panels))  # as wide as pages show pictures, so that nothing shrinks
    rows = math.ceil(len(panels) / columns)
    labels = max(len(panel.lines) for panel in panels)
    picture = Picture(figsize=(max(5.0, 4.2 * columns), (3.8 + 0.18 * labels) * rows), layout="constrained")
    grid = picture.subplots(rows, columns, squeeze=False)
    for axes, panel in itertools.zip_longest(grid.flat, panels):
        if panel is None:
            axes.remove()
            continue
        _KINDS[figure.kind](axes, figure, panel, on_one_text(figure, panel, ledger))
        axes.set_title(panel.title)
        axes.grid(alpha=0.3)
        if axes not in grid[:, 0] and axes.get_ylabel() == grid.flat[0].get_ylabel():
            axes.set_ylabel("")
        # Below the axes, where it hides nothing.
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    _save(picture, figure, panels, path)


def label_of(figure: Figure, line: Line, known: dict[Any, Result]) -> str:
    """A line of the legend: what it is, and how much of it was run, unless all was."""
    trials = sorted({len(result.lines) for result in known.values()})
    missing = [f"{len(known)} of {len(line.runs)} run"] if 0 < len(known) < len(line.runs) else []
    if trials and trials[0] < figure.trials:
        missing += [f"{trials[0]}{f' to {trials[-1]}' if trials[1:] else ''} of {figure.trials} trials"]
    return line.label + (f" ({', '.join(missing or ['not run'])})" if missing or not known else "")


def _save(picture: Picture, figure: Figure, panels: list[Panel], path: Path) -> None:
    has_printed = any(line.printed for panel in panels for line in panel.lines)
    stars = "\nstars and dotted lines: printed in the paper" if has_printed else ""
    title = _in_even_lines(f"{figure.name}: {figure.title}", round(11 * picture.get_figwidth()))
    picture.suptitle(title + stars, fontsize=11)
    picture.draw_without_rendering()  # by which tick labels get the width that the layout of the picture counts on
    write_figure(path, picture, dpi=100, metadata={"Software": ""})


def _in_even_lines(text: str, width: int) -> str:
    """As few lines as the width allows, of about the same length."""
    count = len(textwrap.wrap(text, width))
    return next(
        "\n".join(lines) for narrow in range(1, width + 1) if len(lines := textwrap.wrap(text, narrow)) == count
    )


def _style(number: int) -> dict[str, Any]:
    return {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number % len(DASHES)]}


def _against(axes: Axes, figure: Figure, panel: Panel, ledger: Ledger) -> None:
    """Accuracy against what is varied, with error bars; stars are what the paper prints."""
    for number, line in enumerate(panel.lines):
        results = {place: result_at(figure, line, place, ledger) for place in line.runs}
        known = {place: result for place, result in results.items() if result is not None}
        if not known and not line.printed:
            continue
        label = label_of(figure, line, known)
        if line.flat:
            _flat(axes, figure, number, label, [*known.values()], [*line.printed.values()])
            continue
        marker = MARKERS[(number + number // len(COLORS)) % len(MARKERS)]
        # What was not run leaves a gap.
        means = [math.nan if result is None else result.mean for result in results.values()]
        rivals = [other for other in panel.lines if other is line or _share_a_place(line, other)]
        beside = _beside(axes, rivals.index(line), len(rivals))
        axes.plot([*results], means, label=label, marker=marker, transform=beside, **_style(number))
        if known:
            heights, bars = [result.mean for result in known.values()], _bars(figure, [*known.values()])
            color = COLORS[number % len(COLORS)]
            axes.errorbar([*known], heights, bars, fmt="none", capsize=3, color=color, transform=beside)
            # What has other coordinates than the axes' does not count for their limits by itself.
            axes.update_datalim([(at, end) for at, one in known.items() for end in one.spread(figure.spread)])
            axes.autoscale_view()
        _stars(axes, number, line.printed, beside)
    _name_axes(axes, figure)
    if figure.axis == "bits per connection":
        places = sorted({place for line in panel.lines if not line.flat for place in line.runs})
        ticks = [place for place in places if place < 1 or place % 1 == 0]
        axes.set_xscale("log", base=2)
        axes.set_xlim(places[0] / 1.25, places[-1] * 1.25)
        axes.set_xticks(ticks, [f"{place:g}" for place in ticks])
    if figure.axis == "K":
        greatest = max(place for line in panel.lines if not line.flat for place in line.runs)
        ticks = [2**power for power in range(1, greatest.bit_length())]
        axes.set_xscale("log", base=2)
        axes.set_xlim(1.7, 1.1875 * greatest)
        axes.set_xticks(ticks, list(map(str, ticks)))


def _share_a_place(line: Line, other: Line) -> bool:
    return not other.flat and not other.runs.keys().isdisjoint(line.runs)


def _beside(axes: Axes, number: int, lines: int) -> Transform:
    """Coordinates a little beside those of other lines, so that error bars at one place do not hide each other."""
    inches = min(APART, TOGETHER / lines) * (number - (lines - 1) / 2)
    return axes.transData + ScaledTranslation(inches, 0, axes.figure.dpi_scale_trans)


def _flat(axes: Axes, figure: Figure, number: int, label: str, known: list[Result], printed: list[float]) -> None:
    """One run that nothing is varied of, from end to end."""
    for result in known:
        axes.axhline(result.mean, label=label, **_style(number))
        axes.axhspan(*result.spread(figure.spread), color=COLORS[number % len(COLORS)], alpha=0.15, linewidth=0)
    if not known:
        axes.plot([], [], label=label, **_style(number))
    for value in printed:
        axes.axhline(value, color=COLORS[number % len(COLORS)], linewidth=0.8, alpha=0.6, linestyle=(0, (1, 4)))


def _stars(axes: Axes, number: int, printed: Mapping[Any, float], transform: Transform | None = None) -> None:
    """Stars in a line's colour at what the paper prints, behind what was measured and before bars."""
    style: dict[str, Any] = {"marker": "*", "markersize": 12, "markeredgecolor": "black", "linestyle": "none"}
    style |= {"color": COLORS[number % len(COLORS)], "zorder": 1.5, "transform": transform or axes.transData}
    axes.plot([*printed], [*printed.values()], **style)
    axes.update_datalim([*printed.items()])
    axes.autoscale_view()


def _bars_of(axes: Axes, figure: Figure, panel: Panel, ledger: Ledger) -> None:
    """Groups of bars, one per place; a star where the paper prints a number."""
    places = list(dict.fromkeys(place for line in panel.lines for place in line.runs))
    width = 0.8 / len(panel.lines)
    for number, line in enumerate(panel.lines):
        color, known = COLORS[number % len(COLORS)], {}
        for index, place in enumerate(places):
            at, result = index + width * (number - (len(panel.lines) - 1) / 2), result_at(figure, line, place, ledger)
            if result is None:
                axes.text(at, 20, "not run", rotation=90, ha="center", fontsize=8)
            else:
                known[place] = result
                axes.bar(at, result.mean, width, color=color, yerr=_bars(figure, [result]), capsize=3)
            if place in line.printed:
                _stars(axes, number, {at: line.printed[place]})
        axes.bar(0, 0, color=color, label=label_of(figure, line, known))
    axes.set_xticks(range(len(places)), places)
    _name_axes(axes, figure)
    axes.set_ylim(0, 105)


def _training(axes: Axes, figure: Figure, panel: Panel, ledger: Ledger) -> None:
    """Test accuracy against the operations spent, those of a selection before its finetuning included."""
    for number, line, result in _run_lines(figure, panel, ledger):
        before, flops = operations(result)
        curves = [[100 * accuracy for accuracy in one["curve"]["test"]] for one in result.lines]
        epochs = len(curves[0]) - 1
        first = 1 + epochs // 20  # the steep beginning would flatten the rest
        mean, least, greatest = mean_curve(curve[first:] for curve in curves)
        cost = [(before + flops * epoch / epochs) / 1e12 for epoch in range(first, epochs + 1)]
        axes.plot(cost, mean, label=label_of(figure, line, {0: result}), **_style(number))
        axes.fill_between(cost, least, greatest, color=COLORS[number % len(COLORS)], alpha=0.15, linewidth=0)
    _name_axes(axes, figure)


def _changes(axes: Axes, figure: Figure, panel: Panel, ledger: Ledger) -> None:
    """The share of selections that changed since the mark before, on a logarithmic axis."""
    for number, line, result in _run_lines(figure, panel, ledger):
        recorded = [one["changes"] for one in result.lines if "changes" in one]
        if not recorded:
            axes.plot([], [], label=f"{line.label} (not recorded)", **_style(number))
            continue
        epochs = [int(epoch) for epoch in recorded[0]]
        mean, least, greatest = mean_curve([100 * share for share in one.values()] for one in recorded)
        label, marker = label_of(figure, line, {0: result}), MARKERS[number]
        axes.plot(epochs, mean, label=label, marker=marker, markersize=4, **_style(number))
        axes.fill_between(epochs, least, greatest, color=COLORS[number], alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(0.01, 100)
    axes.set_xlabel(figure.axis)
    axes.set_ylabel("% of selections changed in five epochs")


def _over_epochs(axes: Axes, figure: Figure, panel: Panel, ledger: Ledger) -> None:
    """What lines have for each epoch: a list, of which a curve begins before training, or a mapping."""
    for number, line, result in _run_lines(figure, panel, ledger):
        recorded = [found for one in result.lines if (found := _by_epoch(panel.over, found_in(one, panel.over)))]
        if not recorded:
            continue
        mean, least, greatest = mean_curve(list(one.values()) for one in recorded)
        epochs = list(recorded[0])
        axes.plot(epochs, mean, label=label_of(figure, line, {0: result}), **_style(number))
        axes.fill_between(epochs, least, greatest, color=COLORS[number % len(COLORS)], alpha=0.15, linewidth=0)
    axes.set_xlabel(figure.axis)
    axes.set_ylabel(_OVER[panel.over])


def _by_epoch(name: str, values: Any) -> dict[int, float]:
    """Without what was before training, which would flatten the rest."""
    if isinstance(values, dict):
        return {int(epoch): value for epoch, value in values.items()}
    first = 0 if name == "curve/test_loss" else 1
    return {epoch: value for epoch, value in enumerate(values, start=first) if epoch}


def _run_lines(figure: Figure, panel: Panel, ledger: Ledger) -> Iterator[tuple[int, Line, Result]]:
    """The lines of one run each that the ledger has, numbered."""
    for number, line in enumerate(panel.lines):
        (place,) = line.runs
        result = result_at(figure, line, place, ledger)
        if result is not None:
            yield number, line, result


def _draw_values(figure: Figure, ledger: Ledger, path: Path) -> None:
    """Histograms of selected weights: a row per weight, a column per epoch."""
    ((line,),) = (panel.lines for panel in figure.panels)
    (place,) = line.runs
    result: Any = result_at(figure, line, place, ledger)
    values = next(one["values"] for one in result.lines if "values" in one)
    names = [*[name for name in values if "Conv" in name][:2], *[name for name in values if "Dense" in name][:1]]
    shown = (names or list(values))[:SHOWN]
    columns = {"offered": "before training", **{str(epoch): f"epoch {epoch}" for epoch in figure.epochs}}
    picture = Picture(figsize=(2.4 * len(columns), 2.2 * len(shown)), layout="constrained")
    grid = picture.subplots(len(shown), len(columns), squeeze=False, sharex="row")
    for name, row in zip(shown, grid, strict=True):
        for (column, when), axes in zip(columns.items(), row, strict=True):
            axes.stairs(values[name][column], values[name]["edges"], fill=True, color=COLORS[0])
            axes.set_title(f"{name}, {when}", fontsize=8)
            axes.set_yticks([])
    _save(picture, figure, [*figure.panels], path)


def _bars(figure: Figure, results: list[Result]) -> Any:
    ends = [(result.mean, *result.spread(figure.spread)) for result in results]
    return [[max(0.0, mean - least) for mean, least, _ in ends], [max(0.0, most - mean) for mean, _, most in ends]]


def _name_axes(axes: Axes, figure: Figure) -> None:
    axes.set_xlabel(figure.axis)
    axes.set_ylabel("Test loss (nats per character)" if is_loss(figure) else "Test accuracy (%)")


_KINDS = {
    "against": _against,
    "methods": _against,
    "bars": _bars_of,
    "training": _training,
    "changes": _changes,
    "over_epochs": _over_epochs,
}
_OVER = {
    "curve/test_loss": "Test loss (nats per character)",
    "curve/changed": "Share of selections changed in an epoch",
    "latent": "Distance of latent values to selected ones (deviations)",
}
