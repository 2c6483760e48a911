"""Tables of losses, with what a network weighs as a file, how much of it was learned, and what a step costs."""

import dataclasses
import statistics
from typing import Any

from experiments.configuration.settings import Request
from experiments.methods import method_of
from experiments.papers.grid import Figure, Line, Panel, runs_at
from experiments.papers.markdown import markdown
from experiments.papers.results import (
    Ledger,
    Result,
    has_data,
    not_run,
    on_one_text,
    result_at,
    tryouts,
    value_of,
)
from experiments.running.numbers import bits

_HEAD = [
    *("", "bits per connection", "test loss, nats", "bits per character", "parameters learned"),
    *("bytes", "float32 = 1", "step, learned = 1"),
]


def loss_tables(figure: Figure, ledger: Ledger) -> list[str]:
    """What a figure's tables are of, and the tables of those of its panels that have results."""
    if figure.kind == "over_epochs":
        return []
    tables = [
        f"**{panel.title}**{_python(figure, panel, one_text)}\n\n{loss_table(figure, panel, one_text)}"
        for panel in figure.panels
        if has_data(figure, panel, one_text := on_one_text(figure, panel, ledger))
    ]
    trials = "1 trial" if figure.trials == 1 else f"{figure.trials} trials: mean (least to greatest)"
    about = (
        f"Test loss after the last epoch, {trials}. Bytes are those of the whole file: a ticket, with all that was "
        "learned in float32, or the weights. Times are medians of epochs, evaluation included, on machines that did "
        "other work beside."
    )
    return [about, *tables] if tables else []


def loss_table(figure: Figure, panel: Panel, ledger: Ledger) -> str:
    """One row for each line and place of which the ledger has a run, or a try-out of one."""
    found = {(line.label, place): (line, result_at(figure, line, place, ledger)) for line, place in _places(panel)}
    results = [(line, place, result) for (_, place), (line, result) in found.items()]
    step = next((_step_seconds(result) for line, _, result in results if line.flat and result), None)
    rows = [
        _tried_row(figure, panel, line, place, ledger)
        if result is None
        else [
            _label(line, place, result, _tried(figure, line, place, ledger)),
            *_row(figure, line, place, result, step),
        ]
        for line, place, result in results
    ]
    return markdown(_HEAD, [row for row in rows if row])


def _tried_row(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> list[str]:
    """What was tried in a place that has no run, the best on the validation split first; empty if nothing was."""
    name = line.results.get(place, figure.result)
    found = [one for one in tryouts(figure, panel, line, place, ledger) if value_of(name, one) is not None]
    if not found:
        return []
    found.sort(key=lambda one: one["last_validation_loss"])
    label = line.label + _options_in(runs_at(line, place)[0].settings)
    told = [label, _bits(line, place), not_run(found, lambda one: f"{value_of(name, one):.3f}")]
    return told + [""] * (len(_HEAD) - len(told))


def _python(figure: Figure, panel: Panel, ledger: Ledger) -> str:
    """The versions of Python, each of which brings a text of its own, of the runs of a panel."""
    results = [result_at(figure, line, place, ledger) for line, place in _places(panel)]
    told = [line.get("versions", {}).get("python") for result in results if result for line in result.lines]
    return f", the library of Python {' and '.join(sorted(set(told)))}" if told and all(told) else ""


def _places(panel: Panel) -> list[tuple[Line, Any]]:
    return [(line, place) for line in panel.lines for place in line.runs]


def _row(figure: Figure, line: Line, place: Any, result: Result, step: float | None) -> list[str]:
    least, greatest = result.spread("range")
    count = len(result.lines)
    loss = f"{result.mean:.3f}" + (f" ({least:.3f} to {greatest:.3f})" if count > 1 else "")
    loss += f", {count} of {figure.trials} trials" if count < figure.trials else ""
    weight, whole = _bytes(line, place, result), 4 * _mean(result, "parameters")
    shares = [one["learned_parameters"] / one["parameters"] for one in result.lines]
    own = None if place in line.results else _step_seconds(result)
    time = f"{own / step:.2f}" if own and step else ""
    shown = [loss, f"{bits(result.mean):.3f}", f"{100 * statistics.mean(shares):.1f} %"]
    return [_bits(line, place), *shown, f"{weight:,.0f}", f"{weight / whole:.3f}", time]


def _tried(figure: Figure, line: Line, place: Any, ledger: Ledger) -> int:
    """Of how many runs in one place the ledger has a trial."""
    alone = (dataclasses.replace(line, runs={place: run}) for run in runs_at(line, place))
    return sum(result_at(figure, one, place, ledger) is not None for one in alone)


def _label(line: Line, place: Any, result: Result, tried: int) -> str:
    """Of several runs in one place, with the rate of the best of those that were tried."""
    best = f", best of {tried} on the validation split" if tried > 1 else ""
    if len(runs_at(line, place)) > 1:
        best = f", rate {result.run.settings.learning_rate:g}{best}"
    return line.label + _options_in(result.run.settings) + best


def _options_in(settings: Request) -> str:
    return f", K = {settings.k}" if "k" in method_of(settings).flags else ""


def _bits(line: Line, place: Any) -> str:
    """Of a connection."""
    return "32" if line.flat else f"{place:g}"


def _bytes(line: Line, place: Any, result: Result) -> float:
    """Of a ticket, of weights, or of weights that were rounded."""
    if (counts := line.results.get(place, "")).startswith("quantized/"):
        rounded = counts.split("/")[1]
        return statistics.mean(one["quantized"][rounded]["bytes"] for one in result.lines)
    return statistics.mean(one["sizes"]["float32" if line.flat else "ticket"] for one in result.lines)


def _step_seconds(result: Result) -> float | None:
    """The mean, of the runs that had an epoch after the one that compiles."""
    told = [one["seconds_per_step"] for one in result.lines if one["seconds_per_step"]]
    return statistics.mean(told) if told else None


def _mean(result: Result, name: str) -> float:
    return statistics.mean(one[name] for one in result.lines)
