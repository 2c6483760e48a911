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
