"""Curves of cost: what is counted, what is compared, and what the report shows of it."""

import jax
import numpy as np
import pytest

import slotjax
from experiments.papers.beyond.methods import METHODS
from experiments.speed import crossing, curves, methods, shown
from experiments.speed.curves import TRAFFIC, Curve
from experiments.speed.measure import DISTRIBUTION
from tests.programs.in_process import call

PROGRAM = """
  %all-reduce.1 = (f32[784,300]{1,0}, bf16[], /*index=2*/s32[2]{0}) all-reduce(%dot.1, %a, %b), replica_groups={}
  %start = f32[8]{0} all-gather-start(%c), channel_id=2
  %done = f32[8]{0} all-gather-done(%start)
  %all-reduce.3 = f32[8]{0} add(%all-reduce.1, %start)
"""
MADE_UP = {
    "options": Curve([1, 8, 64], {"greedy": [1.0, 1.25, 20.0], TRAFFIC: [1.05, 1.05, 1.05]}),
    "devices": Curve([1, 2], {"learned weights": [0.0, 1.0], "greedy, K = 8": [0.0, 1.0]}),
    "methods": Curve(["CONV-2", "LeNet-300-100"], {"biprop": [1.01, 2.2], "learned weights": [1.0, 1.0]}),
}


def test_each_of_a_ring_sends_all_that_is_summed_twice_but_its_own_part():
    reduced, gathered = 784 * 300 * 4 + 2 + 8, 32
    assert crossing.sent_bytes(PROGRAM, 4) == 2 * 3 / 4 * reduced + 3 / 4 * gathered
    assert crossing.sent_bytes("%a = f32[8]{0} add(%b, %c)", 4) == 0
    with pytest.raises(ValueError, match="all-to-all is not counted"):
        crossing.sent_bytes("  %a = f32[8]{0} all-to-all(%b)", 4)


def test_the_gradient_of_every_weight_crosses_once():
    found = crossing.sent_bytes(crossing.program(slotjax.learned(DISTRIBUTION), 4, (8,)), 4)
    assert found == 2 * 3 / 4 * 4 * (784 * 8 + 8 * 10)
    assert crossing.sent_bytes(crossing.program(slotjax.learned(DISTRIBUTION), 1, (8,)), 1) == 0


def test_a_step_is_compared_with_one_of_learned_weights(monkeypatch):
    """By a clock that goes on whenever it is read, everything takes the same time."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(curves, "_clock", lambda: lambda: next(ticks) / 4)
    assert curves._ratios([4], {"again": slotjax.learned(DISTRIBUTION)}, 1) == {"again": 1.0, TRAFFIC: 2.0}


def test_a_line_has_a_number_for_each_place(monkeypatch):
    def ratios(widths, selectors, rounds):
        assert rounds == 3
        return {TRAFFIC: sum(widths), **{label: one.settings.k + sum(widths) for label, one in selectors.items()}}

    monkeypatch.setattr(curves, "_ratios", ratios)
    options = curves.against_options(3, ks=(2, 5))
    assert options.places == [2, 5]
    assert options.lines.pop(TRAFFIC) == [400, 400]
    assert options.lines == {name: [402, 405] for name in ("greedy", "probabilistic", "nearest, stratified")}
    assert curves.against_width(3, (1, 2)).lines == {
        "greedy, K = 8": [408, 808],
        "greedy, K = 64": [464, 864],
        TRAFFIC: [400, 800],
    }
    assert curves.against_layers(3, (1, 3)).lines[TRAFFIC] == [300, 900]


def test_what_is_once_more_reads_and_writes_every_weight_once():
    learned = curves.variant(slotjax.learned(DISTRIBUTION), [4])
    once = curves._once_more(learned)
    examples = slotjax.data.Split(None, np.zeros((curves.STEPS + 1, 1), np.int32))
    changed = once.loop(once.state, {}, examples)
    jax.tree.map(lambda new, old: np.testing.assert_array_equal(new, -old), changed, learned.state.params)


@pytest.fixture
def measured(monkeypatch):
    """Panels that need no measuring."""
    panels = {
        name: shown.PANELS[name]._replace(measure=lambda rounds, curve=curve: curve) for name, curve in MADE_UP.items()
    }
    monkeypatch.setattr(shown, "PANELS", shown.PANELS | panels)


def test_the_benchmark_leaves_curves_that_the_report_shows(measured, tmp_path):
    assert call("benchmark", "--curves=options,devices,methods", f"--out={tmp_path}") == (0, "", "")
    found = shown.read_curves(tmp_path / shown.FILE)
    assert {name: Curve(*curve[:2]) for name, curve in found.items()} == MADE_UP
    assert (tmp_path / shown.PICTURE).read_bytes().startswith(b"\x89PNG")
    text = shown.section(found)
    assert "time of a step, learned = 1; " in text
    assert text.endswith("Not measured yet: width, layers.")
    assert f"![What a training step costs]({shown.PICTURE})" in text
    assert (
        "| options per connection K | 1 | 8 | 64 |\n| --- | --- | --- | --- |\n| greedy | 1.00 | 1.25 | 20.00 |" in text
    )
    assert "| method | CONV-2 | LeNet-300-100 |\n| --- | --- | --- |\n| biprop | 1.01 | 2.20 |" in text
    assert shown.steps_of_methods(found) == {"biprop": 2.2, "learned weights": 1.0}


def test_methods_have_a_table_and_no_picture(measured, tmp_path):
    assert call("benchmark", "--curves=methods", f"--out={tmp_path}")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [shown.FILE]
    assert "![" not in shown.section(shown.read_curves(tmp_path / shown.FILE))
    assert shown.steps_of_methods({}) == {}


def test_every_method_is_measured_with_each_network(monkeypatch):
    def ratios(variants, inputs, rounds, steps):
        assert next(iter(variants)) == "learned"
        assert all(jax.tree.leaves(one.state.params) for one in variants.values())
        return {label: inputs.image_shape[0] for label in variants if label != "learned"} | {TRAFFIC: 1.0}

    monkeypatch.setattr(methods, "ratios", ratios)
    found = methods.against_methods(3)
    assert found.places == ["LeNet-300-100", "CONV-2"]
    assert found.lines == {line.label: [28, 32] for line in METHODS.panels[0].lines}


def test_a_curve_that_is_measured_again_leaves_the_others(measured, monkeypatch, tmp_path):
    for names in ("devices", "options"):
        assert call("benchmark", f"--curves={names}", f"--out={tmp_path}")[0] == 0
    before = shown.read_curves(tmp_path / shown.FILE)
    assert [*before] == ["options", "devices"]  # in the order of the panels
    again = Curve([1], {"greedy": [2.0]})
    monkeypatch.setitem(shown.PANELS, "options", shown.PANELS["options"]._replace(measure=lambda rounds: again))
    assert call("benchmark", "--curves=options", f"--out={tmp_path}")[0] == 0
    after = shown.read_curves(tmp_path / shown.FILE)
    assert after["devices"] == before["devices"]
    assert Curve(*after["options"][:2]) == again


def test_an_unknown_curve_is_one_sentence(tmp_path):
    code, _, errors = call("benchmark", "--curves=depth", f"--out={tmp_path}")
    sentence = "error: --curves: 'depth' was given, but they must be of options, width, layers, devices, methods\n"
    assert (code, errors) == (1, sentence)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"width": {}, "lay', "Unterminated string"),
        ('{"width": {"places": [1], "lines": {}}}', "width has no 'hardware'"),
        ('{"width": {"places": [1], "lines": {"a": [1, 2]}, "hardware": {}}}', "a line is not as long as its places"),
        ('{"depth": {"places": [1], "lines": {}, "hardware": {}}}', "unknown curve: 'depth'"),
        ('{"methods": {"places": ["CONV-2"], "lines": {"a": [1]}, "hardware": {}}}', "methods has no LeNet-300-100"),
    ],
)
def test_a_damaged_file_is_one_sentence(text, reason, tmp_path):
    file = tmp_path / shown.FILE
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"cost\.json has no curves of experiments\.benchmark \({reason}"):
        shown.read_curves(file)
