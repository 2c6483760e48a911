"""The report's files: which pictures are drawn and removed, and which README is renewed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from matplotlib.figure import Figure as Picture
from PIL import Image

from experiments import report
from experiments.papers import FIGURES, plots, slot_machines
from experiments.papers import ledger as ledger_module
from experiments.papers.grid import Cell, runs_of
from experiments.papers.plots import label_of
from experiments.papers.results import result_at
from tests.experiments.papers.made_up_ledger import FIGURE_3, GREEDY, four, ledger_of, line
from tests.programs.in_process import call

ROOT = Path(__file__).parents[3]


def test_a_legend_says_how_much_of_a_line_was_run():
    def label(ledger, figure=FIGURE_3, line=GREEDY):
        known = {place: result for place in line.runs if (result := result_at(figure, line, place, ledger))}
        return label_of(figure, line, known)

    two, eight = (four(slot_machines.greedy("lenet", k), *[0.9] * 4) for k in (2, 8))
    some = four(slot_machines.greedy("lenet", 8), 0.9)
    every = {
        key: one for k in slot_machines.K for key, one in four(slot_machines.greedy("lenet", k), *[0.9] * 4).items()
    }
    assert label({}) == "slot machine (GS) (not run)"
    assert label(some) == "slot machine (GS) (1 of 6 run, 1 of 4 trials)"
    assert label(two | some) == "slot machine (GS) (2 of 6 run, 1 to 4 of 4 trials)"
    assert label(two | eight) == "slot machine (GS) (2 of 6 run)"
    assert label(every) == "slot machine (GS)"
    assert (
        label({key: one for key, one in every.items() if key != next(iter(eight))})
        == "slot machine (GS) (3 to 4 of 4 trials)"
    )


def files(out):
    return {path.name for path in (out / "figures").iterdir()}


def runs_at_all_places(figures):
    return {run for figure in figures for run in runs_of(figure)}


@pytest.mark.parametrize("filled", ["half", pytest.param("whole", marks=pytest.mark.slow)])
def test_every_figure_with_data_is_drawn(filled, tmp_path):
    names = ["slot.figure2", "slot.figure5", "slot.figure7", "slot.figure11", "hidden.figure6"]
    names += ["slot.figure3"] if filled == "whole" else []
    figures = [FIGURES[name] for name in names]
    ledger = ledger_of(
        *(line(Cell(run, seed), 0.9 + seed / 100) for run in runs_at_all_places(figures) for seed in range(5))
    )
    if filled == "half":
        ledger = {key: ledger[key] for key in sorted(ledger)[::2]}
    report.report(figures, ledger, tmp_path)
    assert files(tmp_path) == {f"{name}.png" for name in names}
    for path in (tmp_path / "figures").iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) >= 300
            assert len(picture.convert("RGB").getcolors(1 << 22)) > 20
    text = (tmp_path / "report.md").read_text()
    assert all(f"## {name}: " in text for name in names)
    assert ("are not in the ledger yet" in text) is (filled == "half")


def test_a_figure_without_data_is_not_drawn_and_its_earlier_picture_removed(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("slot.figure2.png", "slot.figure9.png", "of_somebody_else.png"):
        (tmp_path / "figures" / name).write_text("earlier")
    report.report([FIGURE_3, FIGURES["slot.figure9"]], four(slot_machines.learned("lenet"), 0.98), tmp_path)
    assert files(tmp_path) == {"slot.figure3.png", "of_somebody_else.png"}
    text = (tmp_path / "report.md").read_text()
    assert "figures/slot.figure3.png" in text
    assert "figures/slot.figure9.png" not in text
    assert (
        "All 288 runs of slot.figure9 are not in the ledger yet; "
        "`python -m experiments.reproduce --only=slot.figure9 --data_dir=DIR` trains them." in text
    )


def test_a_picture_has_the_panels_with_data_only():
    def titles(*runs, figure=FIGURE_3, **more):
        ledger = {key: one for run in runs for key, one in four(run, 0.9, **more).items()}
        return [panel.title for panel in plots.panels_to_draw(figure, ledger)]

    assert titles() == []
    assert titles(slot_machines.learned("conv4"), slot_machines.greedy("lenet", 64)) == [
        "LeNet-300-100 on MNIST",
        "CONV-4 on CIFAR-10",
    ]
    # Histograms need what was recorded of the weights, tables no picture.
    ledger = four(slot_machines.greedy("conv6"), 0.9)
    assert len(plots.panels_to_draw(FIGURES["slot.figure11"], ledger)) == 1
    (without,) = ledger.values()
    del without["values"]
    assert plots.panels_to_draw(FIGURES["slot.figure11"], ledger) == []
    assert plots.panels_to_draw(FIGURES["slot.table2"], ledger) == []


def test_a_try_out_stands_in_the_table_and_not_in_the_picture(tmp_path):
    ledger = ledger_of(line(Cell(slot_machines.learned("conv2"), 0, scale=0.1), 0.6, epochs=20))
    report.report([FIGURE_3], ledger, tmp_path)
    assert files(tmp_path) == set()
    text = (tmp_path / "report.md").read_text()
    assert "**CONV-2 on CIFAR-10**" in text
    assert "try-out of 20 of 200 epochs: 60.0" in text
    assert "**CONV-4 on CIFAR-10**" not in text


def test_axes_reach_to_all_error_bars():
    axes = Picture().subplots()
    runs = [slot_machines.greedy("lenet", 4), slot_machines.greedy("lenet", 8, share="layer")]
    ledger = four(runs[0], 0.5, 0.7) | four(runs[1], 0.2, 0.9)
    plots._against(axes, FIGURES["slot.figure9"], FIGURES["slot.figure9"].panels[0], ledger)
    low, high = axes.get_ylim()
    assert (low > 0, low < 20, high > 90, high < 100) == (True,) * 4


def test_the_committed_pictures_are_those_of_the_ledger():
    lines = ledger_module.read()
    drawn = {f"{name}.png" for name, figure in FIGURES.items() if plots.panels_to_draw(figure, lines)}
    assert files(ROOT / "experiments" / "results") == drawn


def test_the_readme_is_renewed_between_its_markers(tmp_path):
    readme, other = tmp_path / "README.md", tmp_path / "other.md"
    other.write_text("without")
    start, end = "<!-- table: written by experiments.report -->", "<!-- end of table -->"
    readme.write_text(f"before\n{start}\nold\n{end}\nafter\n")
    for _ in range(2):
        report.update_between_markers([other, readme], "table", "new")
        assert readme.read_text() == f"before\n{start}\nnew\n{end}\nafter\n"
    assert other.read_text() == "without"
    for wrong in ("no markers", f"{start}\n{end}\n{end}", f"{start}\n"):
        readme.write_text(wrong)
        with pytest.raises(ValueError, match=r"^--readme: .* must have the lines "):
            report.update_between_markers([readme, other], "table", "new")
        assert readme.read_text() == wrong
    both = f"{start}\n{end}\n"
    for page in (readme, other):
        page.write_text(both)
    with pytest.raises(ValueError, match=r"^--readme: .* must have the lines "):
        report.update_between_markers([readme, other], "table", "new")


def test_the_program_needs_no_data(tmp_path):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    cell = Cell(slot_machines.greedy("lenet", 2), 0)
    (ledger / "a.jsonl").write_text(json.dumps(line(cell, 0.97)) + "\n")
    own = [f"--ledger={ledger}", f"--out={tmp_path / 'out'}"]
    command = [sys.executable, "-m", "experiments.report", *own, "--only=slot.figure3", "--readme="]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stderr.startswith("1 runs in the ledger; 1 figures and tables in ")
    assert "97.00, 1 of 4 trials; paper 97" in (tmp_path / "out" / "report.md").read_text()
    code, _, errors = call("report", *own, "--only=none")
    assert code == 1
    assert errors.startswith("error: --only: 'none' was given, but it must be of ")


@pytest.mark.parametrize(
    ("arguments", "renews"),
    [([], True), (["--out=a"], False), (["--ledger=a", "--out=b"], False), (["--out=a", "--readme=README.md"], True)],
)
def test_the_projects_readme_is_renewed_by_its_own_ledger_only(arguments, renews):
    values = flags.FlagValues()
    report.define_flags(values)
    values(["report", *arguments])
    assert bool(report.pages_to_update(values)) == renews


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ledger=a"], "--out: it must be given with --ledger"),
        (["--only=slot"], "--out: it must be given with --only"),
        (["--ledger=nowhere", "--out=b"], "--ledger: 'nowhere' was given, but there is no ledger"),
    ],
)
def test_a_report_that_would_be_of_nothing_is_refused(arguments, sentence):
    values = flags.FlagValues()
    report.define_flags(values)
    values(["report", *arguments])
    with pytest.raises(ValueError, match=sentence):
        report._check(values)
