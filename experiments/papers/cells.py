"""Which cells are asked for, in which order they are run, and how long they will take."""

import dataclasses
import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from experiments.configuration.settings import Request
from experiments.methods import method_of
from experiments.papers import FIGURES
from experiments.papers.grid import Cell, Figure, Line, Run, key, runs_at, runs_of, scaled_epochs, settings_of
from experiments.papers.ledger import LedgerLine

# By what runs of the papers differ, beside what `describe` says.
_VARIED = (
    *("width_multiplier", "padding", "distribution", "scale_factor", "scale_for_kept", "scores", "where"),
    *("optimizer", "learning_rate", "evaluation", "rescale"),
)


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
    figures: Iterable[Figure],
    trials: int | None = None,
    models: Iterable[str] = (),
    scale: float = 1,
    examples: int | None = None,
) -> list[Cell]:
    """The cells of figures, each once, the most informative first.

    First seeds come first; among them runs for which the paper prints a number, then slot machines of K = 8, then those
    of which it prints the best, then all others; MNIST before CIFAR-10, and ImageNet last of all. A run that a
    finetuning starts from comes before it.
    """
    ranked: dict[Cell, tuple[int, ...]] = {}
    for figure in figures:
        for panel in figure.panels:
            for line in panel.lines:
                for place in line.runs:
                    for run in runs_at(line, place):
                        for seed in range(min(trials or figure.trials, figure.trials)):
                            cell, rank = Cell(run, seed, scale, examples), _rank(line, place, run, seed)
                            ranked[cell] = min(rank, ranked.get(cell, rank))
    ordered = [cell for cell in sorted(ranked, key=ranked.__getitem__) if not models or _model(cell) in models]
    return list(dict.fromkeys(needed for cell in ordered for needed in (*_starts(cell), cell)))


def _rank(line: Line, place: Any, run: Run, seed: int) -> tuple[int, ...]:
    alone, printed = len(runs_at(line, place)) == 1, place in line.printed
    is_usual = line.flat or ("k" in method_of(run.settings).flags and run.settings.k == 8)
    group = 0 if alone and printed else 1 if is_usual else 2 if printed else 3
    dataset = {"cifar10": 1, "imagenet2012": 2}.get(run.settings.dataset, 0)
    return int(dataset == 2), seed, group, dataset


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
    return epochs_of(looked_at | started_from, cell)


def finetunings_of(cell: Cell) -> list[Cell]:
    """The cells of all figures that start from a cell.

    >>> from experiments.papers.slot_machines import finetuned, greedy
    >>> [other.run == finetuned("lenet") for other in finetunings_of(Cell(greedy("lenet"), 0))]
    [True]
    """
    runs = (run for figure in FIGURES.values() if cell.seed < figure.trials for run in runs_of(figure))
    return [cell._replace(run=run) for run in dict.fromkeys(runs) if run.start == cell.run]


def epochs_of(epochs: Iterable[int], cell: Cell) -> tuple[int, ...]:
    """Epochs of the paper's run as epochs of the cell's, which may be scaled; ascending, each once."""
    last = settings_of(cell).epochs
    return tuple(sorted({min(last, scaled_epochs(epoch, cell.scale)) for epoch in epochs}))


def expected_seconds(cell: Cell, lines: Iterable[LedgerLine]) -> float | None:
    """What a cell will take, from runs of the same network and method that were finished on this machine; else None."""
    settings = dataclasses.asdict(settings_of(cell))
    names = ("model", "method", "selection", "k", "width_multiplier")
    for count in (5, 4, 3, 1):
        similar = [line for line in lines if all(_setting(line, name) == settings[name] for name in names[:count])]
        if similar:
            # The median, because a run that was paused, or beside other work, says little.
            return settings["epochs"] * statistics.median(_epoch_seconds(line, settings) for line in similar)
    return None


def timed(lines: Iterable[LedgerLine]) -> list[LedgerLine]:
    """Those of the lines that say how long an epoch took.

    >>> line = {"settings": {}, "epochs": 2, "seconds": 9.0}
    >>> timed([line, line | {"epochs": 0}, {"settings": {}}]) == [line]
    True
    """
    told = (line for line in lines if line.keys() >= {"settings", "epochs", "seconds"})
    return [line for line in told if line["epochs"] > 0 and _setting(line, "width_multiplier") > 0]


def _epoch_seconds(line: LedgerLine, settings: dict[str, Any]) -> float:
    """The seconds of an epoch with these settings, as a run took them: work grows with the square of the width."""
    wider = settings["width_multiplier"] / _setting(line, "width_multiplier")
    return line["seconds"] / line["epochs"] * wider**2


def _setting(line: LedgerLine, name: str) -> Any:
    return line["settings"].get(name, getattr(Request(), name))


def positions_of(cell: Cell) -> list[str]:
    """Where a cell stands: `figure/panel/line/place`. With its epochs scaled, runs of several places may be one."""
    own = key(cell)
    return [
        f"{figure.name}/{panel.title}/{line.label}/{place}"
        for figure in FIGURES.values()
        for panel in figure.panels
        for line in panel.lines
        for place in line.runs
        if any(key(cell._replace(run=run)) == own for run in runs_at(line, place))
    ]


def describe_cell(cell: Cell) -> str:
    """A cell in words.

    >>> describe_cell(Cell(Run(Request(k=2)), 3))
    'lenet on mnist_sample, greedy slot machine, K = 2, seed 3'
    >>> describe_cell(Cell(Run(Request(method="learned", width_multiplier=0.5, epochs=25)), 0))
    'lenet on mnist_sample, learned weights, width_multiplier=0.5, 25 epochs, seed 0'
    """
    settings, start = cell.run.settings, cell.run.start
    varied = [f"{name}={value}" for name in _VARIED if (value := getattr(settings, name)) != getattr(Request(), name)]
    if start and settings.initial != "given":
        method = "finetuning" + (f" from epoch {cell.run.start_epoch}" if cell.run.start_epoch else "")
    else:
        method = method_of(settings).describe(settings)
        varied += [f"{settings_of(cell).epochs} epochs"] if settings.epochs else []
    return ", ".join([f"{settings.model} on {settings.dataset}", method, *varied, f"seed {cell.seed}"])


def _starts(cell: Cell) -> Iterator[Cell]:
    if cell.run.start is not None:
        start = cell._replace(run=cell.run.start)
        yield from _starts(start)
        yield start


def _model(cell: Cell) -> str:
    return cell.run.settings.model
