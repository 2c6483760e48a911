"""What a figure or table of a paper is: runs, where they stand in it, and what the paper prints."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.configuration.settings import Request, Settings
from experiments.flags.resolve import resolve


class Run(NamedTuple):
    """A network to train, whatever its seed.

    Attributes:
        settings: what is asked for; the rest are the papers' recipes (`experiments.configuration.recipes`).
        start: the run that a finetuning starts from.
        start_epoch: the epoch of it. Default: that of the best validation accuracy.
    """

    settings: Request
    start: "Run | None" = None
    start_epoch: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A curve, or a row of a table.

    Attributes:
        label: what is varied from line to line.
        runs: by their place on the horizontal axis, or their column; of several in one place, the best counts.
        printed: test accuracies in percent that the paper's text prints, by place.
        flat: whether the line has one run, drawn from end to end; its place is `"any"`.
        about: whether the printed numbers are read from a curve.
        printed_sparsity: shares of weights that are 0, in percent, that the paper's text prints, by place.
        results: what of the runs counts, by place, where it is not what counts in the figure.
    """

    label: str
    runs: Mapping[Any, Run | tuple[Run, ...]]
    printed: Mapping[Any, float] = dataclasses.field(default_factory=dict)
    flat: bool = False
    about: bool = False
    printed_sparsity: Mapping[Any, float] = dataclasses.field(default_factory=dict)
    results: Mapping[Any, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot of a figure, such as that of one network, or one table of several.

    Attributes:
        title: what it is of.
        lines: its curves or rows.
        over: of a figure over epochs, what the ledger's lines have for each of them.
    """

    title: str
    lines: tuple[Line, ...]
    over: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure, or a table.

    Attributes:
        name: `paper.figure` as `--only` takes it.
        title: what it shows.
        kind: how it is drawn: `"against"` (what counts against what is varied), `"methods"` (the same against the bits
            of a connection, with a table of its own), `"over_epochs"` (what a panel is over), `"bars"`, `"training"`
            (accuracy against the operations spent), `"changes"` (selections changed every five epochs), `"values"`
            (histograms of selected weights), `"table"` or `"networks"` (no runs, but the networks themselves).
        axis: what the horizontal axis or the columns are.
        panels: its plots.
        claim: what the paper concludes from it.
        trials: how many seeds.
        result: what counts: `"test_at_best_validation"` or `"last_test"`, accuracies, or the name of a loss in the
            ledger's lines, such as `"last_test_loss"`, in nats.
        spread: what error bars are, `"range"` (least and greatest) or `"deviation"` (one standard deviation).
        epochs: those of which the networks are looked at; for histograms, after those before training.
        observes: what else its runs' lines of the ledger have of these epochs, by the names in
            `experiments.papers.ledger_line`.
        shows: for tables, what of a run's summary: `"accuracy"`, `"sparsity"` or both.
    """

    name: str
    title: str
    kind: str
    axis: str
    panels: tuple[Panel, ...]
    claim: str
    trials: int = 4
    result: str = "test_at_best_validation"
    spread: str = "range"
    epochs: tuple[int, ...] = ()
    observes: tuple[str, ...] = ()
    shows: tuple[str, ...] = ("accuracy",)


class Cell(NamedTuple):
    """One run with one seed; with other than the defaults, a try-out.

    Attributes:
        run: which.
        seed: its seed.
        scale: its epochs are so many times the figure's.
        examples: it has only so many images of every split, and batches of at most as many.
    """

    run: Run
    seed: int
    scale: float = 1
    examples: int | None = None


def runs_of(figure: Figure) -> list[Run]:
    """The runs of a figure, each once."""
    places = (runs_at(line, place) for panel in figure.panels for line in panel.lines for place in line.runs)
    return list(dict.fromkeys(run for runs in places for run in runs))


def runs_at(line: Line, place: Any) -> tuple[Run, ...]:
    """The runs at one place of a line; none, if it has only what the paper prints there."""
    runs = line.runs.get(place, ())
    return (runs,) if isinstance(runs, Run) else runs


def is_tryout(cell: Cell) -> bool:
    """Whether it has other epochs than the figure's run, or fewer images."""
    return (cell.scale, cell.examples) != (1, None)


def scaled_epochs(epochs: int, scale: float) -> int:
    """So many times the epochs, in whole epochs, at least one.

    >>> scaled_epochs(200, 0.125), scaled_epochs(25, 0.125), scaled_epochs(25, 0.001)
    (25, 3, 1)
    """
    return max(1, round(epochs * scale))


def settings_of(cell: Cell) -> Settings:
    """What a cell is trained with; of a try-out with epochs and restarts scaled, and its number of examples.

    >>> settings = settings_of(Cell(Run(Request(dataset="mnist")), 0, scale=0.1, examples=50))
    >>> settings.epochs, settings.restarts, settings.examples, settings.batch_size
    (20, (2, 8), 50, 50)
    """
    settings = resolve(dataclasses.replace(cell.run.settings, seed=cell.seed))
    if not is_tryout(cell):
        return settings
    epochs = scaled_epochs(settings.epochs, cell.scale)
    return dataclasses.replace(
        settings,
        epochs=epochs,
        warmup_epochs=min(settings.warmup_epochs, epochs - 1),
        restarts=tuple(sorted({scaled_epochs(epoch, cell.scale) for epoch in settings.restarts})),
        examples=cell.examples,
        batch_size=min(settings.batch_size, cell.examples or settings.batch_size),
    )


def start_epoch_of(cell: Cell) -> int | None:
    """The epoch of the run that a cell's starts from; that of the best validation accuracy, if it is None."""
    return cell.run.start_epoch and scaled_epochs(cell.run.start_epoch, cell.scale)


def identity(cell: Cell) -> dict[str, Any]:
    """What decides a cell's numbers: settings other than the defaults, seed, and what it starts from.

    >>> identity(Cell(Run(Request(k=2)), 3))["settings"]["learning_rate"]
    0.2
    """
    # Those of their defaults are left out, so that a setting that is added later changes no identity.
    defaults = {field.name: field.default for field in dataclasses.fields(Request)}
    named = ("model", "dataset", "method", "seed")
    values = dataclasses.asdict(settings_of(cell))
    settings = {name: value for name, value in values.items() if value != defaults[name] or name in named}
    start = None if cell.run.start is None else [key(cell._replace(run=cell.run.start)), start_epoch_of(cell)]
    return {"settings": settings, "start": start}


def key(cell: Cell) -> str:
    """A short name of a cell's identity.

    >>> key(Cell(Run(Request()), 0)) == key(Cell(Run(Request(learning_rate=0.2)), 0))  # which is the recipe's
    True
    """
    text = json.dumps(identity(cell), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
