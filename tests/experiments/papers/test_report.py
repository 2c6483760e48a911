"""The report: hand-computed numbers, nothing guessed, drawn from the ledger alone."""

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
from experiments.papers.cells import positions_of
from experiments.papers.grid import Cell, identity, is_tryout, key, runs_of
from experiments.papers.plots import label_of
from experiments.papers.results import has_data, operations, result_at
from experiments.papers.tables import (
    figure_tables,
    methods_table,
    missing_sentence,
    panel_table,
    printed_numbers,
    printed_numbers_with_results,
)

FIGURE_3 = FIGURES["slot.figure3"]
GREEDY = FIGURE_3.panels[0].lines[0]
ROOT = Path(__file__).parents[3]


def line(cell, accuracy, **more):
    """A line of the ledger, of which the report needs no more."""
    fields = {
        "key": key(cell),
        "cells": positions_of(cell) if is_tryout(cell) else [],  # of which only those of try-outs are read
        **identity(cell),
        "epochs": 200,
        "epochs_of_the_paper": 200,
        "epochs_scale": cell.scale,
        "test_accuracy_at_best_validation": accuracy,
        "last_test_accuracy": accuracy - 0.1,
        "sparsity": 0.25,
        "flops": 2e15,
        "start_flops": 0.0,
        "best_epoch": 100,
        "curve": {"test": [0.1, *[accuracy] * 200], "changed": []},
        "changes": {str(epoch): 1 / epoch for epoch in range(10, 101, 5)},
        "values": {
            name: {"edges": [-1.0, 0.0, 1.0], "offered": [9, 9], **{str(epoch): [3, epoch] for epoch in (5, 25, 100)}}
            for name in ("Conv_0/kernel", "Conv_1/kernel", "Dense_0/kernel")
        },
        "finished": "2026-01-01",
    }
    return fields | more


def ledger_of(*lines):
    return {one["key"]: one for one in lines}


def four(run, *accuracies, **more):
    return ledger_of(*(line(Cell(run, seed), accuracy, **more) for seed, accuracy in enumerate(accuracies)))


def row(figure, ledger, label, panel=0):
    table = panel_table(figure, figure.panels[panel], ledger).splitlines()
    head, found = table[0], next(text for text in table if text.startswith(f"| {label} |"))
    return dict(zip(*([cell.strip() for cell in text.split("|")[1:-1]] for text in (head, found)), strict=True))


def test_means_with_least_and_greatest():
    ledger = four(slot_machines.greedy("lenet", 2), 0.96, 0.97, 0.98, 0.99)
    cells = row(FIGURE_3, ledger, "slot machine (GS)")
    assert cells["2"] == "97.50 (96.00 to 99.00); paper 97"
    assert cells["8"] == "not run; paper 98.2"
    assert "4" not in cells  # of which there is nothing


def test_means_with_standard_deviations_of_the_last_epoch():
    figure = FIGURES["hidden.figure3"]
    run = figure.panels[0].lines[0].runs[50]
    cells = row(figure, four(run, 0.8, 0.9, 1.0, 0.9, 0.9), figure.panels[0].lines[0].label)
    assert cells["50"] == "80.00 (± 7.07)"


def test_missing_trials_are_counted():
    ledger = four(slot_machines.greedy("lenet", 4), 0.96, 0.97)
    assert row(FIGURE_3, ledger, "slot machine (GS)")["4"] == "96.50 (96.00 to 97.00), 2 of 4 trials"
    ledger = four(slot_machines.greedy("lenet", 4), 0.96)
    assert row(FIGURE_3, ledger, "slot machine (GS)")["4"] == "96.00, 1 of 4 trials"


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


def test_a_run_of_fewer_epochs_fills_no_cell():
    short = line(Cell(slot_machines.greedy("lenet", 2), 0, scale=0.1), 0.95, epochs=20)
    ledger = ledger_of(short)
    assert row(FIGURE_3, ledger, "slot machine (GS)")["2"] == "not run (try-out of 20 of 200 epochs: 95.0); paper 97"
    assert result_at(FIGURE_3, GREEDY, 2, ledger) is None


def test_a_run_of_fewer_images_fills_no_cell():
    few = line(Cell(slot_machines.greedy("lenet", 2), 0, examples=500), 0.9)
    text = row(FIGURE_3, ledger_of(few), "slot machine (GS)")["2"]
    assert text == "not run (try-out of 200 of 200 epochs, 500 images: 90.0); paper 97"
    assert result_at(FIGURE_3, GREEDY, 2, ledger_of(few)) is None


def test_the_best_over_k_is_that_of_the_best_mean():
    two, eight = slot_machines.greedy("lenet", 2), slot_machines.greedy("lenet", 8)
    ledger = four(two, 0.99, 0.90) | four(eight, 0.97, 0.97)
    found = row(FIGURES["slot.table2"], ledger, "GS, best over K")["LeNet"]
    assert found == "97.00 (97.00 to 97.00), 2 of 4 trials, K = 8, best of 2 of 6 K; paper 98.2"
    # What has fewer trials is not compared, and not counted either.
    lucky = ledger | four(slot_machines.greedy("lenet", 64), 0.999)
    found = row(FIGURES["slot.table2"], lucky, "GS, best over K")["LeNet"]
    assert found == "97.00 (97.00 to 97.00), 2 of 4 trials, K = 8, best of 2 of 6 K; paper 98.2"
    whole = {k: four(slot_machines.greedy("lenet", k), *[0.9 + k / 1000] * 4) for k in slot_machines.K}
    found = row(
        FIGURES["slot.table2"], {key: one for part in whole.values() for key, one in part.items()}, "GS, best over K"
    )
    assert found["LeNet"] == "96.40 (96.40 to 96.40), K = 64; paper 98.2"


def test_sparsity_is_shown_where_it_is_asked_for():
    run = slot_machines.greedy("lenet", 2, sparse=True)
    assert row(FIGURES["slot.sparse"], four(run, 0.95), "one option is 0")["2"].endswith(", 25.0 % are 0")


def test_a_finetuning_costs_what_it_started_from_as_well():
    ledger = four(slot_machines.finetuned("conv4"), 0.85, 0.85, flops=1e15, start_flops=2e15)
    figure = FIGURES["slot.figure5"]
    result = result_at(figure, figure.panels[0].lines[2], "finetuned", ledger)
    assert operations(result) == (2e15, 1e15)


def test_a_tryout_has_the_accuracy_that_counts_in_its_figure():
    figure = FIGURES["hidden.figure3"]
    first = figure.panels[0].lines[0]
    short = line(Cell(first.runs[50], 0, scale=0.1), 0.9, epochs=10, epochs_of_the_paper=100)
    assert row(figure, ledger_of(short), first.label)["50"] == "not run (try-out of 10 of 100 epochs: 80.0)"


def test_numbers_that_are_read_from_curves_and_sparsities_say_so():
    assert row(FIGURE_3, {}, "learned weights")["not varied"] == "not run; paper about 98.2"
    cells = row(FIGURES["slot.sparse"], {}, "one option is 0", panel=1)
    assert (cells["2"], cells["64"]) == ("not run; paper 76, 49 % are 0", "not run; paper 1.1 % are 0")


def test_every_printed_number_stands_beside_what_was_run():
    text = printed_numbers(tuple(FIGURES.values()), four(slot_machines.greedy("lenet", 2), 0.97, 0.97, 0.97, 0.97))
    assert "| slot.figure2 | (a) MNIST, LeNet | GS, K = 2 | 97 | 97.00 (97.00 to 97.00) |" in text
    assert "| slot.vgg19 | VGG-19 on CIFAR-10 | GS, K = 8 | 91.7 | not run |" in text
    assert "94.66" not in text  # which is of nobody's run here


def test_the_readme_has_the_rows_with_a_result_and_counts_the_others():
    figures = tuple(FIGURES.values())
    ledger = four(slot_machines.greedy("lenet", 2), 0.97)
    ledger |= ledger_of(line(Cell(slot_machines.learned("conv2"), 0, scale=0.1), 0.6))  # a try-out is no result
    rows = printed_numbers(figures, ledger).splitlines()[2:]
    with_result = [text for text in rows if "not run" not in text]
    assert 1 <= len(with_result) < len(rows)
    *table, blank, rest = printed_numbers_with_results(figures, ledger, "report.md").splitlines()
    assert (table[2:], blank) == (with_result, "")
    assert rest.startswith(f"The papers print {len(rows) - len(with_result)} more numbers ")
    only = (FIGURES["slot.sparse"],)
    all_run = four(slot_machines.greedy("conv6", 2), 0.8) | four(slot_machines.greedy("conv6", 2, sparse=True), 0.8)
    all_run |= four(slot_machines.greedy("lenet", 2), 0.9)
    assert "more number" not in printed_numbers_with_results(only, all_run, "report.md")


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


def test_a_sentence_says_what_is_missing_and_how_to_run_it():
    def sentence(*runs, seeds=4, figure="slot.sparse"):
        return missing_sentence(FIGURES[figure], {k: v for run in runs for k, v in four(run, *[0.9] * seeds).items()})

    command = "`python -m experiments.reproduce --only=slot.sparse --data_dir=DIR` trains them."
    assert sentence() == f"All 32 runs of slot.sparse are not in the ledger yet; {command}"
    every = runs_of(FIGURES["slot.sparse"])
    lenet = [run for run in every if run.settings.model == "lenet"]
    assert sentence(*lenet) == (
        "16 of the 32 runs of slot.sparse are not in the ledger yet, among them all those for CONV-6 on CIFAR-10; "
        + command
    )
    assert sentence(*every, seeds=3) == f"8 of the 32 runs of slot.sparse are not in the ledger yet; {command}"
    assert sentence(*every) == ""
    assert sentence(figure="slot.figure11").startswith("The only run of slot.figure11 is not in the ledger yet; ")
    assert sentence(figure="slot.figure11").endswith(" trains it.")


def test_the_eighth_has_one_row_per_method_and_fills_no_cell_of_the_papers():
    figure = FIGURES["beyond.eighth"]
    runs = {one.label: one.runs["CONV-2"] for one in figure.panels[0].lines}
    ledger = {key: one for run in runs.values() for key, one in four(run, 0.6, 0.7).items()}
    text = figure_tables(figure, ledger)
    assert [text.count(f"| {label} | 65.00 (60.00 to 70.00), 2 of 3 trials |") for label in runs] == [1] * 8
    assert "CONV-6 |" not in text
    for other in FIGURES.values():
        if other is not figure and other.kind != "networks":
            assert "not run (" not in figure_tables(other, ledger)
            assert not any(has_data(other, panel, ledger) for panel in other.panels)


def test_axes_reach_to_all_error_bars():
    axes = Picture().subplots()
    runs = [slot_machines.greedy("lenet", 4), slot_machines.greedy("lenet", 8, share="layer")]
    ledger = four(runs[0], 0.5, 0.7) | four(runs[1], 0.2, 0.9)
    plots._against(axes, FIGURES["slot.figure9"], FIGURES["slot.figure9"].panels[0], ledger)
    low, high = axes.get_ylim()
    assert (low > 0, low < 20, high > 90, high < 100) == (True,) * 4


def test_methods_have_their_flags_and_what_they_come_to():
    sparse = slot_machines.greedy("lenet", 2, sparse=True)
    text = methods_table(FIGURES["beyond.mnist"], four(sparse, 0.95, 0.96, 0.97, 0.98)).splitlines()
    found = {line.split(" | ")[0].removeprefix("| "): line for line in text}
    about = "`--k=2 --sparse` | 200 | 96.50 (95.00 to 98.00) | 25.0 % |  |"
    assert found["greedy, K = 2, one of them 0"].endswith(f"| {about}")
    assert found["greedy, K = 2"] == "| greedy, K = 2 | `--k=2` | 200 | not run |  | 97 |"
    finetuned = "`--method=learned --epochs=100 --init_from=WORKDIR` | 100 | not run |  |  |"
    assert found["greedy, K = 8, finetuned"].endswith(finetuned)


def test_the_readmes_tables_are_those_of_the_ledger():
    readme = (ROOT / "README.md").read_text()
    for name, table in report.readme_tables(ledger_module.read()).items():
        assert f"<!-- {name}: written by experiments.report -->\n{table}\n<!-- end of {name} -->" in readme


def test_the_committed_pictures_are_those_of_the_ledger():
    lines = ledger_module.read()
    drawn = {f"{name}.png" for name, figure in FIGURES.items() if plots.panels_to_draw(figure, lines)}
    assert files(ROOT / "experiments" / "results") == drawn


def test_the_readme_is_renewed_between_its_markers(tmp_path):
    readme = tmp_path / "README.md"
    start, end = "<!-- table: written by experiments.report -->", "<!-- end of table -->"
    readme.write_text(f"before\n{start}\nold\n{end}\nafter\n")
    for _ in range(2):
        report.update_between_markers(readme, "table", "new")
        assert readme.read_text() == f"before\n{start}\nnew\n{end}\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(ValueError, match=r"^--readme: .* must have the lines "):
        report.update_between_markers(readme, "table", "new")
    assert readme.read_text() == "no markers"


def test_the_program_needs_no_data(tmp_path):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    cell = Cell(slot_machines.greedy("lenet", 2), 0)
    (ledger / "a.jsonl").write_text(json.dumps(line(cell, 0.97)) + "\n")
    command = [sys.executable, "-m", "experiments.report", f"--ledger={ledger}", f"--out={tmp_path / 'out'}"]
    finished = subprocess.run(
        [*command, "--only=slot.figure3", "--readme="], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert finished.stderr.startswith("1 runs in the ledger; 1 figures and tables in ")
    assert "97.00, 1 of 4 trials; paper 97" in (tmp_path / "out" / "report.md").read_text()
    wrong = subprocess.run([*command, "--only=none"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: --only: 'none' was given, but it must be of ")


@pytest.mark.parametrize(
    ("arguments", "renews"),
    [([], True), (["--out=a"], False), (["--ledger=a", "--out=b"], False), (["--out=a", "--readme=README.md"], True)],
)
def test_the_projects_readme_is_renewed_by_its_own_ledger_only(arguments, renews):
    values = flags.FlagValues()
    report.define_flags(values)
    values(["report", *arguments])
    assert bool(report.readme_to_update(values)) == renews


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
