"""Draws the papers' figures and writes their tables from the ledger alone, without data and without training.

    python -m experiments.report                    all of them, into experiments/results and the pages

Beside every number stands the one that the paper prints, where its text prints one. What has no runs in the ledger is
not drawn; a sentence says what is missing, and the command that trains it.
"""

import sys
from pathlib import Path

from absl import flags

from experiments.files import write_whole
from experiments.papers import FIGURES, ledger
from experiments.papers.cells import chosen_figures
from experiments.papers.grid import Figure
from experiments.papers.machines import machines_sentence
from experiments.papers.networks import networks_table
from experiments.papers.plots import draw, panels_to_draw
from experiments.papers.results import Ledger
from experiments.papers.tables import (
    figure_section,
    figure_tables,
    methods_table,
    printed_numbers,
    printed_numbers_with_results,
)
from experiments.program import one_sentence, prepare, start
from experiments.speed import shown

HEAD = """# Results

Written by `python -m experiments.report` from the ledger: one line of JSON per run, with its settings, seed, versions,
hardware and, where it is known, commit; the last section is from the benchmark. Where the paper's text prints a number,
it stands beside ours; of other curves it has the figure only. Pictures, panels, rows and columns without any run are
left out; a sentence says how many runs are missing, and which command trains them. No biases, and no scales of batch
norm, are learned unless a row says so.
"""


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    results = ledger.DIRECTORY.parent
    flags.DEFINE_list("only", [], f"Figures and tables: {', '.join(FIGURES)}. Default: all.", flag_values=values)
    flags.DEFINE_string("ledger", str(ledger.DIRECTORY), "Where the ledger is.", flag_values=values)
    flags.DEFINE_string("out", str(results), "Where report.md and figures/ go.", flag_values=values)
    flags.DEFINE_list(
        "readme",
        [str(folder / "README.md") for folder in (results.parents[1], results.parent)],
        "Pages whose tables of results are renewed, where their markers stand; empty for none. Default: this "
        "project's, but none with --only, --ledger or --out.",
        flag_values=values,
    )


def report(figures: list[Figure], lines: Ledger, out: Path, costs: dict[str, shown.Measured] | None = None) -> None:
    """Draws the figures that have data and writes `report.md`; removes earlier pictures of those that have none.

    What a step costs, if it is given, is the last section.
    """
    pictures = out / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    sections = []
    for name in FIGURES:
        (pictures / f"{name}.png").unlink(missing_ok=True)
    for figure in figures:
        if figure.kind == "networks":
            sections.append(f"## {figure.name}: {figure.title}\n\n{networks_table(figure.name)}")
            continue
        picture = f"{pictures.name}/{figure.name}.png" if panels_to_draw(figure, lines) else None
        if picture:
            draw(figure, lines, out / picture)
        sections.append(figure_section(figure, lines, picture, shown.steps_of_methods(costs or {})))
    if costs:
        shown.draw_curves(costs, out / shown.PICTURE)
        sections.append(shown.section(costs))
    printed = f"## Every number that the papers print\n\n{printed_numbers(tuple(figures), lines)}"
    write_whole(out / "report.md", "\n\n".join([HEAD.rstrip(), machines_sentence(lines), printed, *sections]) + "\n")


def update_between_markers(pages: list[Path], name: str, table: str) -> None:
    """Puts a table between the two markers of that name, on the page that has them.

    Raises:
        ValueError: if the markers do not stand on one page, each once.
    """
    start, end = f"<!-- {name}: written by experiments.report -->", f"<!-- end of {name} -->"
    marked = [page for page in pages if start in page.read_text()]
    text = marked[0].read_text() if len(marked) == 1 else ""
    if text.count(start) != 1 or text.count(end) != 1:
        places = ", ".join(map(str, pages))
        raise ValueError(f"--readme: one of {places} must have the lines {start} and {end}, each once")
    before, _, rest = text.partition(start)
    write_whole(marked[0], f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}")


def readme_tables(lines: Ledger, costs: dict[str, shown.Measured] | None) -> dict[str, str]:
    """What the project's pages have of the ledger, by the name of its markers."""
    results = printed_numbers_with_results(tuple(FIGURES.values()), lines, "results/report.md")
    return {
        "accuracies": figure_tables(FIGURES["slot.table2"], lines),
        "results": f"{results}\n\n{machines_sentence(lines)}",
        "eighth": figure_tables(FIGURES["beyond.eighth"], lines),
        "choice": figure_tables(FIGURES["beyond.methods"], lines, shown.steps_of_methods(costs or {})),
        "methods": methods_table(FIGURES["beyond.mnist"], lines),
    }


def costs_to_show(values: flags.FlagValues) -> dict[str, shown.Measured] | None:
    """What the benchmark left beside the project's ledger, unless the report is of less than all, or of another one."""
    file = ledger.DIRECTORY.parent / shown.FILE
    narrower = values["only"].present or values["ledger"].present
    return None if narrower or not file.exists() else shown.read_curves(file)


def pages_to_update(values: flags.FlagValues) -> list[Path]:
    """Whose tables of results are renewed: the project's own only by the project's whole ledger, in its place."""
    pages = values.readme if values["readme"].present or not _narrowing_flags(values) else []
    return [Path(page) for page in pages]


def _narrowing_flags(values: flags.FlagValues) -> list[str]:
    return [name for name in ("only", "ledger", "out") if values[name].present]


def _check(values: flags.FlagValues) -> None:
    given = _narrowing_flags(values)
    if given and "out" not in given:
        raise ValueError(f"--out: it must be given with --{given[0]}, or the whole project's report would be lost")
    if not list(Path(values.ledger).glob("*.jsonl")):
        raise ValueError(f"--ledger: {values.ledger!r} was given, but there is no ledger, which has files *.jsonl")


def main(arguments: list[str]) -> None:
    """Draws and writes what the flags ask for."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError, OSError):
        _check(values)
        figures, lines = chosen_figures(values.only), ledger.read(Path(values.ledger), whole=True)
        costs = costs_to_show(values)
        report(figures, lines, Path(values.out), costs)
        if pages := pages_to_update(values):
            for name, table in readme_tables(lines, costs).items():
                update_between_markers(pages, name, table)
    print(f"{len(lines)} runs in the ledger; {len(figures)} figures and tables in {values.out}", file=sys.stderr)


if __name__ == "__main__":
    define_flags()
    start(main)
