"""Draws the papers' figures and writes their tables from the ledger alone, without data and without training.

    python -m experiments.report                    all of them, into experiments/results and the README

Beside every number stands the one that the paper prints, where its text prints one. What was not run says so.
"""

import sys
from pathlib import Path

from absl import app, flags

from experiments.papers import FIGURES, ledger
from experiments.papers.cells import chosen_figures
from experiments.papers.grid import Figure
from experiments.papers.networks import networks_table
from experiments.papers.plots import draw
from experiments.papers.results import Ledger
from experiments.papers.tables import figure_section, methods_table, printed_numbers
from experiments.program import one_sentence, prepare

HEAD = """# Results

Written by `python -m experiments.report` from the ledger: one line of JSON per run, with its settings, seed, versions,
hardware and, where it is known, commit. Where the paper's text prints a number, it stands beside ours; of other curves
it has the figure only. No biases, and no scales of batch norm, are learned unless a row says so.
"""


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `app.run`."""
    results = ledger.DIRECTORY.parent
    flags.DEFINE_list("only", [], f"Figures and tables, all unless given: {', '.join(FIGURES)}.", flag_values=values)
    flags.DEFINE_string("ledger", str(ledger.DIRECTORY), "Where the ledger is.", flag_values=values)
    flags.DEFINE_string("out", str(results), "Where report.md and figures/ go.", flag_values=values)
    readme = str(results.parents[1] / "README.md")
    flags.DEFINE_string(
        "readme",
        readme,
        "Whose tables of results are renewed; empty for none. With --only, --ledger or --out none unless given.",
        flag_values=values,
    )


def report(figures: list[Figure], lines: Ledger, out: Path) -> None:
    """Draws the figures and writes `report.md`."""
    (out / "figures").mkdir(parents=True, exist_ok=True)
    sections = []
    for figure in figures:
        if figure.kind == "networks":
            sections.append(f"## {figure.name}: {figure.title}\n\n{networks_table(figure.name)}")
            continue
        picture = None
        if figure.kind != "table":
            picture = f"figures/{figure.name}.png"
            draw(figure, lines, out / picture)
        sections.append(figure_section(figure, lines, picture))
    (out / "report.md").write_text("\n\n".join([HEAD.rstrip(), *sections]) + "\n")


def renew(readme: Path, name: str, table: str) -> None:
    """Puts a table between the README's two markers of that name.

    Raises:
        ValueError: if it has not both of them, once.
    """
    start, end = f"<!-- {name}: written by experiments.report -->", f"<!-- end of {name} -->"
    text = readme.read_text()
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"--readme: {readme} must have the lines {start} and {end}, each once")
    before, _, rest = text.partition(start)
    readme.write_text(f"{before}{start}\n{table}\n{end}{rest.partition(end)[2]}")


def renewed(values: flags.FlagValues) -> str:
    """Whose tables of results are renewed: the project's own only by the project's whole ledger, in its place."""
    return values.readme if values["readme"].present or not _asked(values) else ""


def _asked(values: flags.FlagValues) -> list[str]:
    return [name for name in ("only", "ledger", "out") if values[name].present]


def _check(values: flags.FlagValues) -> None:
    asked = _asked(values)
    if asked and "out" not in asked:
        raise ValueError(f"--out: it must be given with --{asked[0]}, or the whole project's report would be lost")
    if not list(Path(values.ledger).glob("*.jsonl")):
        raise ValueError(f"--ledger: {values.ledger!r} was given, but there is no ledger, which has files *.jsonl")


def main(arguments: list[str]) -> None:
    """Draws and writes what the flags ask for."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError, OSError):
        _check(values)
        figures, lines = chosen_figures(values.only), ledger.read(Path(values.ledger))
        report(figures, lines, Path(values.out))
        if readme := renewed(values):
            renew(Path(readme), "results", printed_numbers(tuple(figures), lines))
            renew(Path(readme), "methods", methods_table(FIGURES["beyond.mnist"], lines))
    print(f"{len(lines)} runs in the ledger; {len(figures)} figures and tables in {values.out}", file=sys.stderr)


if __name__ == "__main__":
    define_flags()
    app.run(main)
