"""Which cells are asked for, in which order they are run, and how long they will take."""

from collections.abc import Iterable, Iterator
from typing import Any

from experiments.papers import FIGURES
from experiments.papers.grid import Cell, Figure, Run, identity, runs_at, runs_of, scaled
from experiments.papers.ledger import Line
from experiments.recipes import resolve


def chosen_figures(only: Iterable[str]) -> list[Figure]:
    """The figures of these names, or of papers (`slot`, `hidden`, `beyond`); all, if none is named.

    Raises:
        ValueError: for a name that is of neither.

    >>> [figure.name for figure in chosen_figures(["slot.figure2", "beyond"])][:2]
    ['slot.figure2', 'beyond.mnist']
    """
    names = list(only) or list(FIGURES)
    unknown = [name for name in names if name not in FIGURES and name not in {n.split(".")[0] for n in FIGURES}]
    if unknown:
        raise ValueError(
            f"--only: {unknown[0]!r} was given, but it must be of slot, hidden, beyond, {', '.join(FIGURES)}"
        )
    return [figure for figure in FIGURES.values() if figure.name in names or figure.name.split(".")[0] in names]


def cells_of(
    figures: Iterable[Figure], trials: int | None = None, models: Iterable[str] = (), scale: float = 1
) -> list[Cell]:
    """The cells of figures, each once, the most informative first.

    First seeds come first, and among them those for which the paper prints a number. A run that a finetuning starts
    from comes before it.
    """
    ranked: dict[Cell, tuple[int, bool]] = {}
    for figure in figures:
        printed = _with_printed_numbers(figure)
        for run in runs_of(figure):
            for seed in range(min(trials or figure.trials, figure.trials)):
                cell, rank = Cell(run, seed, scale), (seed, run not in printed)
                ranked[cell] = min(rank, ranked.get(cell, rank))
    ordered = [cell for cell in sorted(ranked, key=ranked.__getitem__) if not models or _model(cell) in models]
    return list(dict.fromkeys(needed for cell in ordered for needed in (*_starts(cell), cell)))


def figures_of(run: Run) -> list[Figure]:
    """All figures that show a run."""
    return [figure for figure in FIGURES.values() if run in runs_of(figure)]


def kept_epochs(cell: Cell) -> tuple[int, ...]:
    """The epochs of a cell's run that some figure looks at, or that another run starts from."""
    looked_at = {epoch for figure in figures_of(cell.run) for epoch in figure.epochs}
    started_from = {
        other.start_epoch
        for figure in FIGURES.values()
        for other in runs_of(figure)
        if other.start == cell.run and other.start_epoch is not None
    }
    last: Any = resolve(scaled(cell.run, cell.scale).settings).epochs
    return tuple(sorted({min(last, max(1, round(epoch * cell.scale))) for epoch in looked_at | started_from}))


def expected_seconds(cell: Cell, lines: Iterable[Line]) -> float | None:
    """What a cell will take, from runs of the same network and method that were finished on this machine; else None."""
    settings = identity(cell)["settings"]
    kinds = [("model", "method", "selection", "k", "width_multiplier"), ("model", "method", "selection"), ("model",)]
    for names in kinds:
        alike = [line for line in lines if all(line["settings"].get(n) == settings.get(n) for n in names)]
        if alike:
            epochs: Any = resolve(scaled(cell.run, cell.scale).settings).epochs
            return epochs * sum(line["seconds"] for line in alike) / sum(line["epochs"] for line in alike)
    return None


def names_of(run: Run) -> list[str]:
    """Where a run stands: `figure/panel/line/place`."""
    return [
        f"{figure.name}/{panel.title}/{line.label}/{place}"
        for figure in figures_of(run)
        for panel in figure.panels
        for line in panel.lines
        for place in line.runs
        if run in runs_at(line, place)
    ]


def _with_printed_numbers(figure: Figure) -> set[Run]:
    lines = [line for panel in figure.panels for line in panel.lines]
    return {run for line in lines for place in line.printed for run in runs_at(line, place)}


def _starts(cell: Cell) -> Iterator[Cell]:
    if cell.run.start is not None:
        start = cell._replace(run=cell.run.start)
        yield from _starts(start)
        yield start


def _model(cell: Cell) -> str:
    return cell.run.settings.model
