"""What the ledger has for the places of a figure."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from experiments.papers.grid import Cell, Figure, Line, Panel, Run, key, runs_at, runs_of
from experiments.papers.ledger import LedgerLine, text_of
from slotjax import data

Ledger = dict[str, LedgerLine]
NOT_RUN = "not run"
_ACCURACIES = {"test_at_best_validation": "test_accuracy_at_best_validation", "last_test": "last_test_accuracy"}


class Result(NamedTuple):
    """Accuracies of one run over its trials, in percent, or losses, in nats.

    Attributes:
        run: which it is; of several in one place, the one of the best mean.
        lines: the ledger's lines of its trials.
        accuracies: one per trial, those that count in the figure.
    """

    run: Run
    lines: list[LedgerLine]
    accuracies: list[float]

    @property
    def mean(self) -> float:
        """The mean over the trials."""
        return statistics.mean(self.accuracies)

    @property
    def validation_loss(self) -> float:
        """The mean loss on the validation split after the last epoch."""
        return statistics.mean(line["last_validation_loss"] for line in self.lines)

    def spread(self, kind: str) -> tuple[float, float]:
        """The ends of the error bar: least and greatest (`"range"`), or a standard deviation to both sides.

        >>> Result(None, [], [1.0, 2.0, 3.0]).spread("deviation")
        (1.0, 3.0)
        """
        if kind == "range":
            return min(self.accuracies), max(self.accuracies)
        deviation = statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0
        return self.mean - deviation, self.mean + deviation


def result_at(figure: Figure, line: Line, place: Any, ledger: Ledger) -> Result | None:
    """What the ledger has at one place of a figure; None if nothing. Runs of fewer epochs never count.

    Of several runs in one place it is that of the best mean, among those of the most trials; of losses, of the best
    mean on the validation split.
    """
    name = line.results.get(place, figure.result)
    found = [result for run in runs_at(line, place) if (result := _result(figure, name, run, ledger))]
    if name in _ACCURACIES:
        return max(found, key=lambda result: (len(result.lines), result.mean), default=None)
    return max(found, key=lambda result: (len(result.lines), -result.validation_loss), default=None)


def is_loss(figure: Figure) -> bool:
    """Whether losses count in a figure, and not accuracies."""
    return figure.result not in _ACCURACIES


def accuracy_of(figure: Figure, line: LedgerLine) -> float:
    """The accuracy of a run that counts in a figure, in percent; where losses count, that of the last epoch."""
    return 100 * line[_ACCURACIES.get(figure.result, "last_test_accuracy")]


def on_one_text(figure: Figure, panel: Panel, ledger: Ledger) -> Ledger:
    """The ledger with the runs on one text, for each Python brings its own.

    It is the text of which the panel has most places; of several, the one of which it has most runs. Where it has no
    run at all, its try-outs are counted.
    """
    places = [(line, place) for line in panel.lines for place in line.runs]
    most = _commonest_text([_trials(figure, line, place, ledger) for line, place in places])
    most = most or _commonest_text([tryouts(figure, panel, line, place, ledger) for line, place in places])
    shown = {one: line if text_of(line) is None else _texts(line).get(most) for one, line in ledger.items()}
    return {one: line for one, line in shown.items() if line is not None}


def _trials(figure: Figure, line: Line, place: Any, ledger: Ledger) -> list[LedgerLine]:
    """The lines of all runs at a place."""
    return [ledger[one] for run in runs_at(line, place) for one in _keys(figure, run) if one in ledger]


def _commonest_text(found: list[list[LedgerLine]]) -> str:
    """By the number of places, each of which has some lines, and then of lines."""
    texts = [[text for line in lines for text in _texts(line)] for lines in found]
    runs = Counter(text for at_place in texts for text in at_place)
    places = Counter(text for at_place in texts for text in set(at_place))
    return max(sorted(places), key=lambda text: (places[text], runs[text]), default="")


def _texts(line: LedgerLine) -> dict[str, LedgerLine]:
    """The line of a run on each text, by the text's hash; none of images."""
    own = text_of(line)
    return {} if own is None else {own: line, **line.get("on_other_texts", {})}


def tryouts(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> list[LedgerLine]:
    """The lines of runs at a place that had other epochs than the paper's, or fewer images."""
    name = f"{figure.name}/{panel.title}/{line.label}/{place}"
    return [
        one
        for one in ledger.values()
        if (one["epochs_scale"] != 1 or "examples" in one["settings"]) and name in one["cells"]
    ]


def not_run(found: list[LedgerLine], number: Callable[[LedgerLine], str]) -> str:
    """That a place has no run, and the number of the longest of its try-outs."""
    if not found:
        return NOT_RUN
    longest = max(found, key=lambda one: one["epochs"])
    extent = f"{longest['epochs']} of {longest['epochs_of_the_paper']} epochs"
    if "examples" in (settings := longest["settings"]):
        extent += f", {settings['examples']} {'windows' if settings['dataset'] in data.TEXTS else 'images'}"
    return f"{NOT_RUN} (try-out of {extent}: {number(longest)})"


def has_results(figure: Figure, panel: Panel, ledger: Ledger) -> bool:
    """Whether the ledger has a run of the panel, try-outs not counted."""
    return any(result_at(figure, line, place, ledger) for line in panel.lines for place in line.runs)


def has_data(figure: Figure, panel: Panel, ledger: Ledger) -> bool:
    """Whether the ledger has a run of the panel, or a try-out of one."""
    return has_results(figure, panel, ledger) or any(
        tryouts(figure, panel, line, place, ledger) for line in panel.lines for place in line.runs
    )


def missing_runs(figure: Figure, ledger: Ledger) -> tuple[int, int]:
    """How many runs of a figure, one per seed, are not in the ledger, and how many it has in all."""
    keys = {key(Cell(run, seed)) for run in runs_of(figure) for seed in range(figure.trials)}
    return len(keys - ledger.keys()), len(keys)


def operations(result: Result) -> tuple[float, float]:
    """Floating-point operations before the run, in what it started from, and in the run; means of the trials."""
    return statistics.mean(line["start_flops"] for line in result.lines), statistics.mean(
        line["flops"] for line in result.lines
    )


def mean_curve(curves: Iterable[list[float]]) -> tuple[list[float], list[float], list[float]]:
    """Mean, least and greatest of several curves, point by point.

    >>> mean_curve([[1.0, 2.0], [3.0, 2.0]])
    ([2.0, 2.0], [1.0, 2.0], [3.0, 2.0])
    """
    points = list(zip(*curves, strict=True))
    return [statistics.mean(point) for point in points], [min(point) for point in points], [max(p) for p in points]


def _result(figure: Figure, name: str, run: Run, ledger: Ledger) -> Result | None:
    found = {one: value_of(name, ledger[one]) for one in _keys(figure, run) if one in ledger}
    values = {one: value for one, value in found.items() if value is not None}
    return Result(run, [ledger[one] for one in values], [*values.values()]) if values else None


def _keys(figure: Figure, run: Run) -> list[str]:
    """Of the trials of a run."""
    return [key(Cell(run, seed)) for seed in range(figure.trials)]


def value_of(name: str, line: LedgerLine) -> float | None:
    """What a line has by a name, which may lead through several mappings; None if it has none, as earlier lines."""
    if name in _ACCURACIES:
        return 100 * line[_ACCURACIES[name]]
    value = found_in(line, name)
    return value if isinstance(value, float) else None


def found_in(line: LedgerLine, name: str) -> Any:
    """What a line has by a name that leads through mappings; an empty mapping if nothing.

    >>> found_in({"curve": {"test": [0.5]}}, "curve/test"), found_in({}, "curve/test")
    ([0.5], {})
    """
    value: Any = line
    for part in name.split("/"):
        value = value.get(part, {})
    return value
