"""The report's tables, in Markdown."""

from typing import Any

from experiments.papers.grid import Figure, Line, Panel, runs_at
from experiments.papers.results import Ledger, Result, result_at, tryouts


def figure_section(figure: Figure, ledger: Ledger, picture: str | None) -> str:
    """A figure's part of the report: its claim, its picture, and a table of its numbers."""
    spread = "least and greatest" if figure.spread == "range" else "mean and one standard deviation"
    which = "at the best validation accuracy" if figure.result == "test_at_best_validation" else "of the last epoch"
    parts = [f"## {figure.name}: {figure.title}"]
    parts += [f"The paper: {figure.claim}"] if figure.claim else []
    parts += [f"![{figure.title}]({picture})"] if picture else []
    parts += [f"Test accuracy in percent {which}, {figure.trials} trials: mean ({spread})."]
    parts += [f"**{panel.title}**\n\n{panel_table(figure, panel, ledger)}" for panel in figure.panels]
    return "\n\n".join(parts)


def panel_table(figure: Figure, panel: Panel, ledger: Ledger) -> str:
    """One row per line of a panel, one column per place."""
    places = list(dict.fromkeys(place for line in panel.lines for place in (*line.runs, *line.printed)))
    head = [figure.axis, *map(str, places)]
    rows = [[line.label, *(_entry(figure, panel, line, place, ledger) for place in places)] for line in panel.lines]
    return markdown(head, rows)


def printed_numbers(figures: tuple[Figure, ...], ledger: Ledger) -> str:
    """Every number that the papers print, once, beside what the ledger has for it."""
    rows: dict[Any, list[str]] = {}
    for figure in figures:
        for panel in figure.panels:
            for line in panel.lines:
                for place, printed in line.printed.items():
                    row = [figure.name, _where(figure, panel, place), line.label, f"{printed:g}"]
                    if runs := runs_at(line, place):
                        rows.setdefault((runs, printed), [*row, _ours(figure, panel, line, place, ledger)])
    return markdown(["figure or table", "network", "method", "the paper", "here"], list(rows.values()))


def _where(figure: Figure, panel: Panel, place: Any) -> str:
    if place == "learned":
        return panel.title
    return f"{panel.title}, {'K = ' if figure.axis == 'K' else ''}{place}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table.

    >>> print(markdown(["K", "2"], [["greedy", "97.0"]]))
    | K | 2 |
    |---|---|
    | greedy | 97.0 |
    """
    lines = [head, *rows]
    text = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])


def _entry(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> str:
    printed = f"; paper {line.printed[place]:g}" if place in line.printed else ""
    if not line.runs.get(place):
        return f"paper {line.printed[place]:g}" if place in line.printed else ""
    return _ours(figure, panel, line, place, ledger) + printed


def _ours(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> str:
    result = result_at(figure, line, place, ledger)
    if result is not None:
        best = f", K = {result.run.settings.k}" if len(runs_at(line, place)) > 1 else ""
        return _numbers(figure, result) + best
    found = tryouts(figure, panel, line, place, ledger)
    if not found:
        return "not run"
    longest = max(found, key=lambda one: one["epochs"])
    accuracy = 100 * longest["test_accuracy_at_best_validation"]
    return f"not run (try-out of {longest['epochs']} of {longest['epochs_of_the_paper']} epochs: {accuracy:.1f})"


def _numbers(figure: Figure, result: Result) -> str:
    least, greatest = result.spread(figure.spread)
    count = len(result.accuracies)
    spread = {
        "range": f"{least:.2f} to {greatest:.2f}",
        "deviation": f"± {(greatest - least) / 2:.2f}",
    }[figure.spread]
    text = f"{result.mean:.2f}" + (f" ({spread})" if count > 1 else "")
    text += f", {count} of {figure.trials} trials" if count < figure.trials else ""
    if "sparsity" in figure.shows:
        text += f", {100 * sum(line['sparsity'] for line in result.lines) / count:.1f} % are 0"
    return text
