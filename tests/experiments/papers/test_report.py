"""The report: hand-computed numbers, nothing guessed, drawn from the ledger alone."""

from pathlib import Path

from experiments import report
from experiments.papers import FIGURES, slot_machines
from experiments.papers import ledger as ledger_module
from experiments.papers.grid import Cell, runs_of
from experiments.papers.plots import panels_to_draw
from experiments.papers.results import has_data, operations, result_at
from experiments.papers.tables import (
    figure_tables,
    methods_table,
    missing_sentence,
    panel_table,
    printed_numbers,
    printed_numbers_with_results,
)
from experiments.speed import shown
from tests.experiments.papers.made_up_ledger import FIGURE_3, GREEDY, four, ledger_of, line

ROOT = Path(__file__).parents[3]


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
    ledger |= ledger_of(line(Cell(slot_machines.learned("conv2"), 0, scale=0.1), 0.6))
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


def test_a_newcomer_sees_the_methods_that_were_run_their_bits_and_their_time():
    figure = FIGURES["beyond.methods"]
    runs = {one.label: (place, run) for one in figure.panels[0].lines for place, run in one.runs.items()}
    assert panels_to_draw(figure, {}) == []
    assert "|" not in figure_tables(figure, {})
    ledger = four(runs["biprop"][1], 0.96, 0.97) | four(runs["greedy, K = 8"][1], 0.97)
    assert panels_to_draw(figure, ledger) == [*figure.panels]
    untimed = figure_tables(figure, ledger).splitlines()
    assert "| biprop | `--method=biprop` | 1 | 96.50 (96.00 to 97.00), 2 of 3 trials |" in untimed
    text = figure_tables(figure, ledger, {"biprop": 1.5, "edge-popup": 1.2}).splitlines()
    assert "| biprop | `--method=biprop` | 1 | 96.50 (96.00 to 97.00), 2 of 3 trials | 1.50 |" in text
    assert "| greedy, K = 8 | `--epochs=100` | 3 | 97.00, 1 of 3 trials |  |" in text
    assert not any(line.startswith("| edge-popup |") for line in text)


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
    readme = (ROOT / "README.md").read_text() + (ROOT / "experiments" / "README.md").read_text()
    costs = shown.read_curves(ledger_module.DIRECTORY.parent / shown.FILE)
    for name, table in report.readme_tables(ledger_module.read(), costs).items():
        assert f"<!-- {name}: written by experiments.report -->\n{table}\n<!-- end of {name} -->" in readme
