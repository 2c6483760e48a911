"""Where losses count in the report: what is compared, and what stands beside it."""

import dataclasses

from PIL import Image

from experiments import report
from experiments.papers import FIGURES
from experiments.papers.beyond import transformer
from experiments.papers.grid import Cell
from experiments.papers.loss_tables import loss_table
from experiments.papers.plots import panels_to_draw
from experiments.papers.results import on_one_text, result_at
from experiments.papers.tables import figure_tables
from tests.experiments.papers.made_up_ledger import four, ledger_of, line

FIGURE = FIGURES["beyond.transformer"]
LEARNED, NEAREST = FIGURE.panels[0].lines[:2]


def runs(run, *losses, validation=2.0, step=0.1, learned=400, **more):
    """Lines of one run, a seed for each loss, of a network of 400 parameters."""
    fields = {"last_validation_loss": validation, "parameters": 400, "learned_parameters": learned}
    fields |= {"sizes": {"ticket": 700, "float32": 1600}, "seconds_per_step": step}
    lines = four(run, *[0.5] * len(losses), **fields, **more)
    for one, loss in zip(lines.values(), losses, strict=True):
        one["last_test_loss"] = loss
        one["untrained_test_loss"] = 2 * loss
        one["curve"] = {"test": [0.0, 0.5, 0.5], "test_loss": [5.0, 2.0, loss], "changed": []}
    return lines


def rows(panel, ledger, figure=FIGURE):
    cells = [text.split("|")[1:-1] for text in loss_table(figure, figure.panels[panel], ledger).splitlines()[2:]]
    return {cell[0].strip(): [one.strip() for one in cell[1:]] for cell in cells}


def test_the_best_rate_is_that_of_the_validation_split():
    low, middle, _ = (transformer.learned(learning_rate=rate) for rate in transformer.RATES)
    ledger = runs(low, 1.5, validation=1.9) | runs(middle, 1.6, validation=1.8)
    assert result_at(FIGURE, LEARNED, "any", ledger).mean == 1.6
    (label,) = rows(0, ledger)
    assert label == "learned weights, rate 0.003, best of 2 on the validation split"


def test_a_row_says_what_was_learned_what_it_weighs_and_what_a_step_costs():
    ledger = runs(transformer.learned(learning_rate=3e-3), 1.0, 2.0, 3.0)
    ledger |= runs(transformer.nearest(64), 2.079442, step=0.15, learned=60)
    found = rows(0, ledger)
    assert found["nearest, uniform options, K = 64"] == [
        *("6", "2.079, 1 of 3 trials", "3.000", "15.0 %", "700", "0.438", "1.50"),
    ]
    (learned,) = (row for label, row in found.items() if label.startswith("learned"))
    assert learned == ["32", "2.000 (1.000 to 3.000)", "2.885", "100.0 %", "1,600", "1.000", "1.00"]


def test_what_is_given_is_measured_without_a_step_and_after_some():
    found = rows(3, runs(transformer.given(16), 1.5, learned=60))
    assert found["given, without a step, K = 16"][1] == "3.000, 1 of 3 trials"
    assert found["given, a tenth of the steps, K = 16"][1] == "1.500, 1 of 3 trials"


def test_learned_weights_that_were_rounded_have_their_own_loss_and_bytes():
    rounded = {"4": {"loss": 1.25, "bytes": 240.0}}
    found = rows(3, runs(transformer.learned(learning_rate=3e-3), 1.0, quantized=rounded))
    assert found["learned, then rounded"][:5] == [
        *("4.5", "1.250, 1 of 3 trials", "1.803", "100.0 %", "240"),
    ]
    assert "8.5" not in [row[0] for row in found.values()]


def test_runs_on_different_texts_are_never_in_one_table():
    common = runs(transformer.learned(learning_rate=3e-3), 1.0, dataset_sha256="a", versions={"python": "3.12.3"})
    nearest = runs(transformer.nearest(64), 1.5, dataset_sha256="a", versions={"python": "3.12.3"})
    other = runs(transformer.nearest(8), 1.25, dataset_sha256="b", versions={"python": "3.11.7"})
    ledger = common | nearest | other
    assert on_one_text(FIGURE, FIGURE.panels[0], ledger) == common | nearest
    tables = figure_tables(FIGURE, ledger)
    assert "**0.40 million parameters, kernels selected**, the library of Python 3.12.3" in tables
    assert "1.250" not in tables
    (picture,) = (panel for panel in panels_to_draw(FIGURE, other))
    assert picture is FIGURE.panels[0]


def test_a_run_on_two_texts_is_shown_in_each_panel_on_the_text_of_that_panel():
    def on(text, run, loss):
        return runs(run, loss, dataset_sha256=text, versions={"python": text})

    slow, fast = (transformer.learned(learning_rate=rate) for rate in (1e-3, 1e-2))
    ((name, first),) = on("a", fast, 1.0).items()
    ((_, second),) = on("b", fast, 1.25).items()
    ledger = (
        {name: first | {"on_other_texts": {"b": second}}} | on("a", slow, 1.5) | on("a", transformer.nearest(8), 2.0)
    )
    ledger |= on("b", transformer.given(64), 1.75)
    losses = {
        title: loss_table(FIGURE, panel, on_one_text(FIGURE, panel, ledger)) for title, panel in _panels().items()
    }
    assert "1.000" in losses["0.40 million parameters, kernels selected"]
    assert "1.250" in losses["From learned weights"]


def tried(run, loss, **more):
    fields = {"last_test_loss": loss, "last_validation_loss": loss, "epochs": 1, "epochs_of_the_paper": 10}
    return ledger_of(line(Cell(run, 0, scale=0.1, examples=32), 0.5, **fields, **more))


def test_what_was_tried_stands_in_the_table_and_fills_no_cell():
    nearest = transformer.nearest(64)
    ledger = tried(nearest, 5.5, dataset_sha256="a")
    for rate, loss in zip(transformer.RATES, (5.25, 5.0, 5.75), strict=True):
        ledger |= tried(transformer.learned(learning_rate=rate), loss, dataset_sha256="a")
    assert result_at(FIGURE, NEAREST, 6, ledger) is None
    text = figure_tables(FIGURE, ledger)
    assert "| learned weights | 32 | not run (try-out of 1 of 10 epochs, 32 windows: 5.000) |  |  |" in text
    assert "| nearest, uniform options, K = 64 | 6 | not run (try-out of 1 of 10 epochs, 32 windows: 5.500) |" in text
    # The text of the runs decides which table a try-out is in.
    other = ledger | runs(transformer.nearest(8), 1.5, dataset_sha256="b")
    assert "try-out" not in loss_table(FIGURE, FIGURE.panels[0], on_one_text(FIGURE, FIGURE.panels[0], other))
    assert panels_to_draw(FIGURE, ledger) == []


def _panels():
    return {panel.title: panel for panel in FIGURE.panels}


def test_without_runs_there_is_no_table_and_no_picture():
    for name in ("beyond.transformer", "beyond.transformer_training", "beyond.transformer_large"):
        assert panels_to_draw(FIGURES[name], {}) == []
        assert figure_tables(FIGURES[name], {}).startswith("All ")


def test_a_panel_over_epochs_is_drawn_where_a_line_has_what_it_shows():
    figure = FIGURES["beyond.transformer_training"]
    learned = runs(transformer.learned(learning_rate=3e-3), 1.0)
    assert [panel.title for panel in panels_to_draw(figure, learned)] == ["Learning curves"]
    nearest = runs(transformer.nearest(64), 1.0, latent={"1": 0.02, "2": 0.03})
    assert [panel.over for panel in panels_to_draw(figure, nearest)] == ["curve/test_loss", "latent"]


def test_the_pictures_are_drawn(tmp_path):
    figures = [
        dataclasses.replace(FIGURES[name], trials=2) for name in ("beyond.transformer", "beyond.transformer_training")
    ]
    ledger = runs(transformer.learned(learning_rate=3e-3), 1.0, 1.1)
    ledger |= runs(transformer.nearest(64), 1.2, 1.1, latent={"1": 0.02, "2": 0.03})
    report.report(figures, ledger, tmp_path)
    for figure in figures:
        with Image.open(tmp_path / "figures" / f"{figure.name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 22)) > 20
