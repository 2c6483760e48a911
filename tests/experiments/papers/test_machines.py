import json

import pytest

from experiments.papers import ledger
from experiments.papers.cells import timed
from experiments.papers.machines import machines_sentence
from tests.experiments.papers.made_up_ledger import GREEDY, four

RUN = GREEDY.runs[8]


def on(devices, **hardware):
    return four(RUN, 0.9, hardware={"platform": "gpu", "devices": devices, **hardware})


def test_devices_are_named_with_their_number_and_runs():
    cpus = {"platform": "cpu", "devices": ["cpu", "cpu"]}
    lines = four(RUN, 0.9, 0.9, hardware=cpus) | {"other": {"hardware": cpus | {"devices": ["cpu"]}}}
    assert machines_sentence(lines) == "Trained on: 2 x CPU (2 runs), CPU (1 run)."


def test_float32_products_of_a_gpu_are_called_what_they_are():
    assert "TF32" in machines_sentence(on(["GPU"]))
    assert "TF32" in machines_sentence(on(["GPU"], matmul_precision="default"))
    assert machines_sentence(on(["GPU"], matmul_precision="highest")) == "Trained on: GPU (1 run)."


def test_lines_without_hardware_are_counted():
    assert machines_sentence(four(RUN, 0.9)) == "Trained on: machines that are not named (1 run)."


def test_a_list_of_no_devices_names_no_machine():
    assert machines_sentence(on([])) == "Trained on: machines that are not named (1 run)."


@pytest.mark.parametrize("hardware", [{}, {"platform": "gpu"}, {"platform": "gpu", "devices": [3]}])
def test_hardware_that_no_run_wrote_is_refused(hardware, tmp_path):
    (line,) = four(RUN, 0.9, hardware=hardware).values()
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ValueError, match=r"^--ledger: line 1 of .* is damaged .*hardware"):
        ledger.read(tmp_path, whole=True)


@pytest.mark.parametrize("more", [{"epochs": 0}, {"settings": {"width_multiplier": 0}}])
def test_a_line_that_does_not_tell_how_long_an_epoch_took_is_not_asked(more):
    (line,) = four(RUN, 0.9, seconds=9.0).values()
    assert timed([line]) == [line]
    assert timed([line | more]) == []
