"""The papers' figures and tables as data: every run can be made, none twice, and numbers are those that are printed."""

import dataclasses

import pytest

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.flags.rules import check
from experiments.methods import selector_of
from experiments.papers import FIGURES, slot_machines, train_cell
from experiments.papers.cells import (
    cells_of,
    chosen_figures,
    describe_cell,
    expected_seconds,
    kept_epochs,
    positions_of,
)
from experiments.papers.grid import Cell, Run, identity, key, runs_of, settings_of
from experiments.running.components import Inputs, network

RUNS = list(dict.fromkeys(run for figure in FIGURES.values() for run in runs_of(figure)))
INPUTS = {
    **dict.fromkeys(("mnist", "mnist_sample"), Inputs((28, 28, 1), "uint8", 10)),
    "cifar10": Inputs((32, 32, 3), "uint8", 10),
    "stdlib": Inputs((128,), "uint8", 256),
    "imagenet2012": Inputs((224, 224, 3), "uint8", 1000),
}


@pytest.mark.quick("1")
@pytest.mark.parametrize("scale", [1, 0.01])
def test_every_run_has_settings_that_are_allowed(scale):
    for run in RUNS:
        cell = Cell(run, 0, scale)
        settings = dataclasses.replace(settings_of(cell), init_from="runs/start" if run.start else None)
        check(settings, Execution(keep_epochs=kept_epochs(cell)))
        selector_of(settings)


@pytest.mark.slow
def test_every_network_can_be_built():
    used = {(r.settings.model, r.settings.dataset, r.settings.width_multiplier) for r in RUNS}
    deep = {(model, "imagenet2012", 1.0) for model in ("resnet34", "resnet50", "resnet101")}
    for model, dataset, width in used - deep:  # whose parameters others count
        network(resolve(Request(model=model, dataset=dataset, width_multiplier=width)), INPUTS[dataset])


def test_runs_that_figures_share_happen_once():
    cells = cells_of(FIGURES.values())
    assert len({key(cell) for cell in cells}) == len(set(cells)) == len(cells)
    assert len(cells) < sum(len(cells_of([figure])) for figure in FIGURES.values()) / 1.2
    greedy = Cell(slot_machines.greedy("lenet"), 0)
    assert len({name.split("/")[0] for name in positions_of(greedy)}) >= 5


def test_runs_are_called_by_all_that_they_differ_in():
    cells = cells_of(FIGURES.values(), trials=1)
    assert len({describe_cell(cell) for cell in cells}) == len(cells)


def test_a_key_is_of_all_that_decides_the_numbers():
    cell = Cell(Run(Request()), 0)
    others = [
        Cell(Run(Request(k=4)), 0),
        Cell(Run(Request(momentum=0.8)), 0),
        Cell(Run(Request()), 1),
        Cell(Run(Request()), 0, scale=0.5),
        Cell(Run(Request()), 0, examples=500),
        Cell(Run(Request(method="learned")), 0),
        Cell(Run(Request(method="learned"), Run(Request())), 0),
        Cell(Run(Request(method="learned"), Run(Request()), 20), 0),
        Cell(Run(Request(method="learned"), Run(Request(k=2))), 0),
    ]
    assert len({key(one) for one in (cell, *others)}) == 1 + len(others)
    # A setting spelled out as the recipe has it is the same run.
    assert key(cell) == key(Cell(Run(resolve(Request())), 0))


def test_settings_at_their_defaults_are_not_part_of_a_key():
    settings = identity(Cell(Run(Request()), 0))["settings"]
    spelled = {name for name in settings if settings[name] == getattr(Request(), name)}
    assert spelled == {"model", "dataset", "method", "seed"}


def test_first_seeds_come_first_and_what_a_finetuning_starts_from_before_it():
    cells = cells_of(FIGURES.values())
    starts = {cell._replace(run=cell.run.start) for cell in cells if cell.run.start}
    assert starts
    for cell in cells:
        if cell.run.start:
            assert cells.index(cell._replace(run=cell.run.start)) < cells.index(cell)
    order = [
        (cell.run.settings.dataset == "imagenet2012", cell.seed)
        for cell in cells
        if not cell.run.start and cell not in starts
    ]
    assert order == sorted(order)
    first = [cell.run for cell in cells_of([FIGURES["slot.table2"], FIGURES["slot.figure3"]])]
    greedy, learned = slot_machines.greedy, slot_machines.learned
    assert set(first[:4]) >= {greedy("lenet", 2), greedy("lenet", 8), learned("lenet")}
    assert first.index(learned("conv6")) < first.index(greedy("conv6")) < first.index(greedy("lenet", 64))


def test_figures_are_chosen_by_name_or_paper():
    assert chosen_figures([]) == list(FIGURES.values())
    assert {figure.name for figure in chosen_figures(["slot.table2", "beyond"])} == {
        "slot.table2",
        *(name for name in FIGURES if name.startswith("beyond.")),
    }
    with pytest.raises(ValueError, match=r"^--only: 'slot.figure99' was given, but it must be of slot, hidden, beyond"):
        chosen_figures(["slot.figure99"])


def test_the_numbers_are_those_that_the_papers_print():
    def printed(figure, label, panel=0):
        return next(line for line in FIGURES[figure].panels[panel].lines if line.label.startswith(label)).printed

    assert printed("slot.table2", "GS") == {"LeNet": 98.2, "CONV-2": 78.2, "CONV-4": 86.3, "CONV-6": 88.4}
    assert printed("slot.table2", "PS") == {"LeNet": 98.0, "CONV-2": 71.7, "CONV-4": 80.2, "CONV-6": 81.7}
    assert printed("slot.table2", "edge-popup") == {"CONV-2": 77.7, "CONV-4": 85.8, "CONV-6": 88.1}
    assert printed("slot.table2", "supermask") == {"LeNet": 98.0, "CONV-2": 66.0, "CONV-4": 72.5, "CONV-6": 76.5}
    assert [printed("slot.vgg19", label)["VGG-19"] for label in ("GS", "finetuned", "learned")] == [91.7, 92.1, 92.6]
    assert printed("hidden.table2", "ResNet-50 (") == {"Kaiming normal": 61.7, "signed Kaiming constant": 68.6}
    assert printed("hidden.table2", "Wide") == {"Kaiming normal": 67.9, "signed Kaiming constant": 73.3}
    assert printed("slot.figure2", "GS") == {"LeNet": 97.0}
    sparse = FIGURES["slot.sparse"].panels[1].lines[0]
    assert (sparse.printed, sparse.printed_sparsity) == ({2: 76}, {2: 49, 64: 1.1})
    # Of the curves of learned weights the text has no numbers.
    assert all(line.about for panel in FIGURES["slot.figure3"].panels for line in panel.lines if "any" in line.printed)


def test_recipes_are_the_papers():
    conv6 = resolve(slot_machines.learned("conv6").settings)
    assert (conv6.epochs, conv6.learning_rate, conv6.schedule, conv6.padding) == (330, 0.01, "warm_restarts", "VALID")
    adam = resolve(next(run for run in RUNS if run.settings.optimizer == "adam").settings)
    assert (adam.batch_size, adam.learning_rate, adam.weight_decay, adam.train_on_all) == (60, 2e-4, 0, True)
    for figure in FIGURES.values():
        if figure.name.startswith("hidden.") and runs_of(figure) and "ImageNet" not in figure.title:
            for run in runs_of(figure):
                complete = resolve(run.settings)
                assert (complete.train_on_all, complete.epochs, complete.padding) == (True, 100, "SAME")
                assert (complete.dropout, complete.augmentation) == (0, "flip_and_crop")
                assert complete.weight_decay == (0 if complete.optimizer == "adam" else 1e-4)
            assert (figure.trials, figure.result, figure.spread) == (5, "last_test", "deviation")
    imagenet = [FIGURES[f"hidden.{name}"] for name in ("table2", "figure9", "figure10")]
    assert {figure.trials for figure in imagenet} == {1}
    assert {resolve(run.settings).weight_decay for figure in imagenet for run in runs_of(figure)} == {2**-15}


def test_the_eighth_trains_eight_methods_for_as_many_epochs_on_all_images():
    figure = FIGURES["beyond.eighth"]
    for model in ("conv2", "conv6"):
        cells = cells_of([figure], trials=1, models=[model])
        settings = [settings_of(cell) for cell in cells]
        assert len(settings) == 8
        assert {(one.epochs, one.restarts, one.examples) for one in settings} == {(25, (3, 9), None)}
    # What the paper's schedule of slot machines becomes by --epochs_scale=0.125 is the same run.
    scaled = Cell(slot_machines.greedy("conv2"), 0, scale=0.125)
    assert key(scaled) in {key(cell) for cell in cells_of([figure])}
    others = [other for other in FIGURES.values() if other is not figure]
    assert not {key(cell) for cell in cells_of([figure])} & {key(cell) for cell in cells_of(others)}


def test_a_network_with_fewer_parameters_per_width_keeps_as_many():
    for line in FIGURES["hidden.figure5"].panels[0].lines:
        kept = [run.settings.keep_fraction * width**2 for width, run in line.runs.items()]
        assert kept == pytest.approx([kept[0]] * len(kept))


def test_times_are_expected_from_runs_of_the_same_kind():
    def line(seconds, **settings):
        return {"settings": {"model": "lenet", "method": "slot_machine", **settings}, "seconds": seconds, "epochs": 10}

    cell = Cell(Run(Request(k=64, dataset="mnist")), 0)  # of 200 epochs
    assert expected_seconds(cell, []) is None
    assert expected_seconds(cell, [line(5.0)]) == 100
    assert expected_seconds(cell, [line(5.0), line(20.0, k=64), line(40.0, k=64)]) == 600
    paused = line(20_000.0, k=64)
    assert expected_seconds(cell, [line(20.0, k=64), line(40.0, k=64), paused]) == 800
    assert expected_seconds(cell._replace(scale=0.5), [line(5.0)]) == 50
    wide = Cell(Run(Request(k=64, dataset="mnist", width_multiplier=2.0)), 0)  # four times the work
    assert expected_seconds(wide, [line(5.0)]) == 400
    assert expected_seconds(wide, [line(5.0), line(30.0, width_multiplier=2.0), line(50.0, k=64)]) == 4000
    other = dataclasses.replace(cell.run.settings, model="conv2")
    assert expected_seconds(Cell(Run(other), 0), [line(5.0)]) is None


@pytest.mark.parametrize(("size", "devices"), [(128, 4), (6, 3), (7, 1)])
def test_a_batch_is_split_over_as_many_of_the_four_devices_as_it_can_be(size, devices):
    assert train_cell._mesh(resolve(Request(batch_size=size))).size == devices
