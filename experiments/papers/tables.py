"""The report's tables, in Markdown."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from experiments.configuration.settings import Request
from experiments.methods import method_of
from experiments.papers.grid import Cell, Figure, Line, Panel, Run, runs_at, settings_of
from experiments.papers.loss_tables import loss_tables
from experiments.papers.markdown import markdown
from experiments.papers.results import (
    NOT_RUN,
    Ledger,
    Result,
    accuracy_of,
    has_data,
    has_results,
    is_loss,
    missing_runs,
    not_run,
    result_at,
    tryouts,
)

_PRINTED_HEAD = ["figure or table", "where", "what", "the paper", "here"]


def figure_section(
    figure: Figure, ledger: Ledger, picture: str | None, steps: Mapping[str, float] | None = None
) -> str:
    """A figure's part of the report: its claim, its picture, a table of its numbers, and what is missing."""
    parts = [f"## {figure.name}: {figure.title}"]
    by = "" if figure.name.startswith("beyond.") else "The paper: "
    parts += [by + figure.claim] if figure.claim else []
    parts += [f"![{figure.title}]({picture})"] if picture else []
    return "\n\n".join([*parts, figure_tables(figure, ledger, steps)])


def figure_tables(figure: Figure, ledger: Ledger, steps: Mapping[str, float] | None = None) -> str:
    """The tables of a figure's panels, without those of which nothing was run, and a sentence on what is missing.

    A table of methods has the time of a step of each, where the benchmark measured it.
    """
    if is_loss(figure):
        parts = [*loss_tables(figure, ledger), missing_sentence(figure, ledger)]
        return "\n\n".join(part for part in parts if part)
    spread = "least and greatest" if figure.spread == "range" else "one standard deviation"
    which = "at the best validation accuracy" if figure.result == "test_at_best_validation" else "of the last epoch"
    tables = [
        f"**{panel.title}**\n\n{panel_table(figure, panel, ledger, steps)}"
        for panel in figure.panels
        if (has_results if figure.kind == "methods" else has_data)(figure, panel, ledger)
    ]
    trials = "1 trial" if figure.trials == 1 else f"{figure.trials} trials: mean ({spread})"
    parts = [f"Test accuracy in percent {which}, {trials}.", *tables] if tables else []
    return "\n\n".join(parts + [sentence for sentence in [missing_sentence(figure, ledger)] if sentence])


def missing_sentence(figure: Figure, ledger: Ledger) -> str:
    """What the ledger lacks of a figure, and the command that trains it; nothing if it has all."""
    missing, total = missing_runs(figure, ledger)
    if not missing:
        return ""
    is_not, them = ("is not", "it") if missing == 1 else ("are not", "them")
    command = f"`python -m experiments.reproduce --only={figure.name} --data_dir=DIR` trains {them}."
    if missing == total:
        runs = "The only run" if total == 1 else f"All {total} runs"
        return f"{runs} of {figure.name} {is_not} in the ledger yet; {command}"
    empty = [panel.title for panel in figure.panels if not has_results(figure, panel, ledger)]
    among = f", among them all those for {_enumerated(empty)}" if empty else ""
    return f"{missing} of the {total} runs of {figure.name} {is_not} in the ledger yet{among}; {command}"


def _enumerated(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def panel_table(figure: Figure, panel: Panel, ledger: Ledger, steps: Mapping[str, float] | None = None) -> str:
    """One row per line of a panel, one column per place; one column in all if every line has a single run.

    Rows and columns that have neither a run nor a printed number are left out.
    """
    if figure.kind == "methods":
        return _choosing_table(figure, panel, ledger, steps)
    if figure.kind in ("training", "changes"):
        places, head = [next(iter(panel.lines[0].runs))], ["", "test accuracy"]
        rows = [[_entry(figure, panel, line, next(iter(line.runs)), ledger)] for line in panel.lines]
    else:
        places = list(dict.fromkeys(place for line in panel.lines for place in (*line.runs, *line.printed)))
        head = [figure.axis, *("not varied" if place == "any" else str(place) for place in places)]
        rows = [[_entry(figure, panel, line, place, ledger) for place in places] for line in panel.lines]
    columns = [index for index in range(len(places)) if any(_says_something(row[index]) for row in rows)]
    shown = [
        [line.label, *(row[index] for index in columns)]
        for line, row in zip(panel.lines, rows, strict=True)
        if any(map(_says_something, row))
    ]
    return markdown([head[0], *(head[1 + index] for index in columns)], shown)


def _choosing_table(figure: Figure, panel: Panel, ledger: Ledger, steps: Mapping[str, float] | None) -> str:
    """By what a newcomer chooses: one row per method that was run."""
    found = [(line.label, place, result_at(figure, line, place, ledger)) for line in panel.lines for place in line.runs]
    rows = [
        [label, flags_of(result.run), f"{bits:g}", _numbers(figure, result), *_step(steps, label)]
        for label, bits, result in found
        if result is not None
    ]
    time = ["time of a step, learned = 1"] if steps else []
    return markdown(["method", "flags", figure.axis, "test accuracy", *time], rows)


def _step(steps: Mapping[str, float] | None, label: str) -> list[str]:
    return [f"{steps[label]:.2f}" if label in steps else ""] if steps else []


def _says_something(entry: str) -> bool:
    return entry not in ("", NOT_RUN)


def printed_numbers(figures: tuple[Figure, ...], ledger: Ledger) -> str:
    """Every number that the papers print, once, beside what the ledger has for it."""
    return markdown(_PRINTED_HEAD, [row for row, _ in _printed_rows(figures, ledger)])


def printed_numbers_with_results(figures: tuple[Figure, ...], ledger: Ledger, report: str) -> str:
    """Those numbers of which the ledger has runs, and in one line how many more stand in the report."""
    rows = _printed_rows(figures, ledger)
    known = [row for row, has_result in rows if has_result]
    if not (more := len(rows) - len(known)):
        return markdown(_PRINTED_HEAD, known)
    numbers = "number whose run is" if more == 1 else "numbers whose runs are"
    rest = f"The papers print {more} more {numbers} not in the ledger; [the report]({report}) lists them."
    return f"{markdown(_PRINTED_HEAD, known)}\n\n{rest}" if known else rest


def _printed_rows(figures: tuple[Figure, ...], ledger: Ledger) -> list[tuple[list[str], bool]]:
    """Rows of every printed number, each once, with whether the ledger has a run of it."""
    rows: dict[Any, tuple[list[str], bool]] = {}
    for figure in figures:
        for panel in figure.panels:
            for line in panel.lines:
                for place in line.printed:
                    if runs := runs_at(line, place):
                        where = ", ".join([panel.title, *_place(figure, place)])
                        row = [figure.name, where, line.label, _printed(line, place)]
                        row.append(_measured(figure, panel, line, place, ledger))
                        has_result = result_at(figure, line, place, ledger) is not None
                        rows.setdefault((runs, line.printed[place]), (row, has_result))
    return list(rows.values())


def methods_table(figure: Figure, ledger: Ledger) -> str:
    """The methods of a figure: the flags by which each is trained, and its result."""
    (panel,) = figure.panels
    rows = []
    for line in panel.lines:
        ((place, _),) = line.runs.items()
        (run,) = runs_at(line, place)
        ours = _measured(figure, panel, line, place, ledger)
        ours, _, zeros = ours.rpartition(", ") if ours.endswith("are 0") else (ours, "", "")
        epochs = str(settings_of(Cell(run, 0)).epochs) if method_of(run.settings).trains else ""
        rows.append([line.label, flags_of(run), epochs, ours, zeros.removesuffix(" are 0"), _printed(line, place)])
    return markdown(["method", "flags", "epochs", "test accuracy", "weights that are 0", "the paper"], rows)


def flags_of(run: Run) -> str:
    """The flags of `experiments.train` for a run, beside those of its network and dataset.

    >>> flags_of(Run(Request(method="supermask", rescale=True, learning_rate=50.0)))
    '`--method=supermask --rescale --learning_rate=50`'
    >>> flags_of(Run(Request(method="multicoat", keep_fractions=(0.5, 0.25))))
    '`--method=multicoat --keep_fractions=0.5,0.25`'
    """
    default = dataclasses.asdict(Request())
    given = {name: value for name, value in dataclasses.asdict(run.settings).items() if value != default[name]}
    flags = [_flag(name, value) for name, value in given.items() if name not in ("model", "dataset")]
    flags += ["--init_from=WORKDIR"] if run.start else []
    return f"`{' '.join(flags)}`" if flags else ""


def _flag(name: str, value: Any) -> str:
    if value is True:
        return f"--{name}"
    parts = value if isinstance(value, tuple) else (value,)
    return f"--{name}=" + ",".join(f"{part:g}" if isinstance(part, float) else f"{part}" for part in parts)


def _place(figure: Figure, place: Any) -> list[str]:
    if place in ("any", "VGG-19"):
        return []
    return [f"K = {place}" if figure.axis == "K" else str(place)]


def _printed(line: Line, place: Any) -> str:
    sparsity = f", {line.printed_sparsity[place]:g} % are 0" if place in line.printed_sparsity else ""
    return (
        f"{'about ' if line.about else ''}{line.printed[place]:g}{sparsity}" if place in line.printed else sparsity[2:]
    )


def _entry(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> str:
    printed = f"paper {text}" if (text := _printed(line, place)) else ""
    ours = _measured(figure, panel, line, place, ledger) if place in line.runs else ""
    return "; ".join(text for text in (ours, printed) if text)


def _measured(figure: Figure, panel: Panel, line: Line, place: Any, ledger: Ledger) -> str:
    result = result_at(figure, line, place, ledger)
    if result is not None:
        return _numbers(figure, result) + _of_several(figure, line, place, ledger, result)
    found = tryouts(figure, panel, line, place, ledger)
    return not_run(found, lambda one: f"{accuracy_of(figure, one):.1f}")


def _of_several(figure: Figure, line: Line, place: Any, ledger: Ledger, result: Result) -> str:
    """Which K is the best, and of how many that were run with as many trials."""
    runs = runs_at(line, place)
    if len(runs) == 1:
        return ""
    found = [result_at(figure, dataclasses.replace(line, runs={place: run}), place, ledger) for run in runs]
    count = sum(other is not None and len(other.lines) == len(result.lines) for other in found)
    return f", K = {result.run.settings.k}" + (f", best of {count} of {len(runs)} K" if count < len(runs) else "")


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
