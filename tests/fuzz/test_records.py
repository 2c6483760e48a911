"""What runs leave as JSON, nearly right: used as it is, or refused in one sentence that names the file."""

import json

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.papers import FIGURES, ledger
from experiments.papers.cells import expected_seconds, figures_of, timed
from experiments.papers.grid import Cell
from experiments.papers.machines import machines_sentence
from experiments.papers.plots import draw, panels_to_draw
from experiments.papers.tables import figure_section, printed_numbers
from experiments.running.failure import RunError
from experiments.running.losses import check_checkpoints_left
from experiments.running.records import inputs_in, read_lines, settings_in
from experiments.running.summary import table
from experiments.running.workdir import find_run, read_config
from tests.experiments.papers.made_up_ledger import GREEDY
from tests.fuzz.amounts import amounts, try_all
from tests.fuzz.guards import assert_takes_little, refused, unchanged
from tests.fuzz.mutations import changed_file, changed_lines

SPARE = 2**21
SHOWN = [figure for figure in figures_of(GREEDY.runs[8]) if figure.kind in ("training", "changes", "bars", "table")]


def refusal(use):
    """The sentence with which something is refused, if it is."""
    try:
        use()
    except (ValueError, RunError) as error:
        return str(error)
    return None


def assert_used_or_refused(path, content, use):
    """Whatever is in a file, it is used, or refused in a sentence that names it; and it stays as it is."""
    path.write_bytes(content)

    def read():
        said = refusal(use)
        assert said is None or str(path) in said

    with unchanged(path.parent):
        assert_takes_little(read, 50 * len(content) + SPARE)


@amounts(30)
def test_a_config_is_that_of_a_run_or_refused(amount, workdir):
    path = workdir / "config.json"
    valid = json.loads(path.read_text())
    settings = settings_in(valid, path)

    def use():
        config = read_config(workdir)
        settings_in(config, path)
        inputs_in(config, path)
        try:
            find_run(settings, Execution(workdir=str(workdir)))
        except ValueError as error:
            if "holds a run with other settings" not in str(error):
                raise

    try_all(amount, changed_file(valid), lambda content: assert_used_or_refused(path, content, use))


@amounts(20)
def test_a_summary_is_shown_or_made_again(amount, workdir):
    path = workdir / "summary.json"
    valid = json.loads(path.read_text())
    settings = settings_in(read_config(workdir), workdir / "config.json")

    def use():
        if (summary := find_run(settings, Execution(workdir=str(workdir)))) is not None:
            assert table(summary, Request())

    try_all(amount, changed_file(valid), lambda content: assert_used_or_refused(path, content, use))


@amounts(20)
def test_metrics_are_read_or_refused(amount, workdir):
    path = workdir / "metrics.jsonl"
    valid = [json.loads(line) for line in path.read_text().splitlines()]

    def use():
        said = refusal(lambda: check_checkpoints_left(workdir, lambda epoch: True))
        assert said is None or "were removed" in said
        read_lines(path)

    try_all(amount, changed_lines(valid), lambda content: assert_used_or_refused(path, content, use))


@amounts(12, share=0.1)
def test_a_ledger_is_shown_or_refused(amount, ledger_lines, tmp_path):
    path = tmp_path / "a.jsonl"

    def holds(content):
        assert_used_or_refused(path, content, lambda: ledger.read(tmp_path, whole=True))
        try:
            lines = ledger.read(tmp_path, whole=True)
        except ValueError:
            return
        machines_sentence(lines)
        printed_numbers((FIGURES["slot.figure3"],), lines)
        for figure in SHOWN:
            figure_section(figure, lines, None)

    try_all(amount, changed_lines(ledger_lines), holds)


@amounts(12)
def test_a_ledger_tells_how_long_runs_take_or_is_refused(amount, ledger_lines, tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [line | {"seconds": 9.5, "machine": ledger.machine()} for line in ledger_lines]

    def use():
        expected_seconds(Cell(GREEDY.runs[8], 0), timed(ledger.read(tmp_path).values()))

    try_all(amount, changed_lines(lines), lambda content: assert_used_or_refused(path, content, use))


@amounts(0, share=0.02)
def test_a_ledger_is_drawn_or_refused(amount, ledger_lines, tmp_path):
    path = tmp_path / "ledger" / "a.jsonl"
    path.parent.mkdir()

    def holds(content):
        path.write_bytes(content)
        with refused(ValueError):
            lines = ledger.read(path.parent, whole=True)
            for figure in SHOWN:
                if panels_to_draw(figure, lines):
                    draw(figure, lines, tmp_path / "figure.png")

    try_all(amount, changed_lines(ledger_lines), holds)
