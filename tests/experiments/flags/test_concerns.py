"""A flag that was given and does nothing is refused; one that was not makes no difference between runs."""

import dataclasses

import pytest

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.concerns import inert
from experiments.flags.resolve import resolve
from experiments.methods import METHODS
from experiments.papers.grid import Cell, Run, key
from experiments.running.components import Inputs
from experiments.running.workdir import find_run, open_run
from slotjax import models
from tests.experiments.flags.parsing import parse


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "--keep_fraction=0.1",
            "--keep_fraction: it needs --method=edge_popup or biprop or partly_frozen, but that is slot_machine",
        ),
        ("--ranking=layer", "--ranking: it needs --method=edge_popup, but that is slot_machine"),
        ("--method=edge_popup --rescale", "--rescale: it needs --method=supermask, but that is edge_popup"),
        ("--method=learned --k=64", "--k: it needs --method=slot_machine, but that is learned"),
        ("--method=learned --k=8", "--k: it needs --method=slot_machine, but that is learned"),
        ("--method=supermask --nosparse", "--sparse: it needs --method=slot_machine, but that is supermask"),
        (
            "--method=random --options=stored",
            "--options: it needs --method=slot_machine or edge_popup or biprop or multicoat or partly_frozen or "
            "supermask, but that is random",
        ),
        (
            "--method=random --learning_rate=0.1",
            "--learning_rate: it needs --method=slot_machine or edge_popup or biprop or multicoat or partly_frozen or "
            "supermask or learned, but that is random",
        ),
        ("--method=learned --optimizer=adam --momentum=0.5", "--momentum: it needs --optimizer=sgd, but that is adam"),
        ("--method=edge_popup --restarts=1", "--restarts: it needs --schedule=warm_restarts, but that is cosine"),
        ("--initial=nearest --score_scale=1", "--score_scale: it needs --initial=uniform, but that is nearest"),
        (
            "--method=learned --init_from=runs/x --distribution=glorot_normal",
            "--distribution: it does nothing with --init_from, which is runs/x",
        ),
        (
            "--fan=fan_in",
            "--fan: it needs --distribution=kaiming_normal or kaiming_uniform or signed_kaiming_constant or "
            "xavier_normal or signed_xavier_constant, but that is glorot_uniform",
        ),
        (
            "--padding=SAME",
            "--padding: it needs --model=conv2 or conv4 or conv6 or conv8, but that is lenet",
        ),
        ("--model=vgg19 --biases_and_scales=fixed", "--biases_and_scales: it needs --affine=True, but that is False"),
        ("--method=learned --init_from=", "--init_from: '' was given, but it must be WORKDIR or WORKDIR@EPOCH"),
        ("--method=learned --init_from=@3", "--init_from: '@3' was given, but it must be WORKDIR or WORKDIR@EPOCH"),
        ("--workdir=a\0b", r"--workdir: 'a\x00b' was given, but no name has the character 0"),
        ("--image_size=64", "--image_size: it needs --dataset=imagenet2012, but that is mnist_sample"),
        (
            "--data_dir=data",
            "--data_dir: it needs --dataset=mnist or fashion_mnist or cifar10 or cifar100 or imagenet2012, but that is "
            "mnist_sample",
        ),
        ("--workers=2", "--workers: it needs --dataset=imagenet2012, but that is mnist_sample"),
    ],
)
def test_a_flag_that_does_nothing_names_what_it_needs(arguments, sentence):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (compared below)
        parse(*arguments.split())
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "arguments",
    [
        "--method=edge_popup --keep_fraction=0.1 --ranking=global --scale_for_kept --fan=fan_out --options=stored",
        "--method=supermask --rescale --evaluation=sampled",
        "--method=partly_frozen --keep_fraction=0.3 --pruned=0.4 --kept=0.2",
        "--method=biprop --keep_fraction=0.3 --options=stored --scale_for_kept",
        "--method=multicoat --keep_fractions=0.7,0.2 --scale_for_kept",
        "--method=learned --optimizer=adam --distribution=kaiming_normal",
        "--method=learned --init_from=runs/x --momentum=0.5 --restarts=1,2",
        "--method=random --model=vgg19 --affine --learning_rate=0.1",
        "--model=vgg19 --affine --biases_and_scales=fixed --dropout=0.1",
        "--model=conv2 --padding=SAME --width_multiplier=0.5",
        "--dataset=cifar10 --data_dir=data --model=conv2",
        "--dataset=imagenet2012 --image_size=64 --workers=2 --checkpoint_steps=10 --model=resnet18",
        "--k=2 --selection=probabilistic --sparse --share=layer --initial=uniform --score_scale=0.1",
    ],
)
def test_a_flag_that_does_something_is_taken(arguments):
    parse(*arguments.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "--initial: uniform was given, but with --distribution=own_stratified it must be nearest or given"),
        ("--method=biprop", "--distribution: own_stratified needs --method=slot_machine, but that is biprop"),
        (
            "--initial=nearest --sparse",
            "--sparse: True was given, but with --distribution=own_stratified it must be False",
        ),
        (
            "--initial=nearest --k=4097",
            "--k: 4097 was given, but with --distribution=own_stratified it must be from 2 to 4096",
        ),
    ],
)
def test_stratified_options_are_for_the_nearest_of_several(arguments, sentence):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (compared below)
        parse("--distribution=own_stratified", *arguments.split())
    assert str(error.value) == sentence


@pytest.mark.parametrize("method", METHODS)
def test_every_flag_of_another_method_is_refused(method):
    others = {name for other in METHODS.values() for name in other.flags} - set(METHODS[method].flags) - {"init_from"}
    defaults = {field.name: field.default for field in dataclasses.fields(Request)}
    for name in others:
        value = 1 if defaults[name] is None else defaults[name]
        value = ",".join(map(str, value)) if isinstance(value, tuple) else value
        with pytest.raises(ValueError, match=f"^--{name}: it needs --method="):
            parse(f"--method={method}", f"--{name}={value}")


def test_whatever_a_model_has_concerns_it():
    for model, make in models.MODELS.items():
        unused = inert(resolve(Request(model=model, affine=True)))
        for name in ("padding", "width_multiplier", "dropout", "affine"):
            assert (name in unused) != hasattr(make(classes=2), name)
    assert set(unused) <= {field.name for kind in (Request, Execution) for field in dataclasses.fields(kind)}


INPUTS = Inputs((28, 28, 1), "uint8", 10)


def open_and_find(workdir, there, here):
    open_run(resolve(Request(**there)), Execution(workdir=str(workdir)), INPUTS)[1].close()
    return find_run(resolve(Request(**here)), Execution(workdir=str(workdir)))


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"method": "learned", "k": 64}, {"method": "learned"}),
        ({"keep_fraction": 0.1, "ranking": "global"}, {}),
        ({"padding": "SAME", "dropout": 0.1, "image_size": 32}, {}),
        ({"method": "edge_popup", "restarts": (3,)}, {"method": "edge_popup"}),
        ({"method": "learned", "optimizer": "adam", "momentum": 0.5}, {"method": "learned", "optimizer": "adam"}),
    ],
)
def test_settings_that_do_nothing_are_no_difference_between_runs(there, here, tmp_path):
    assert open_and_find(tmp_path, there, here) is None


def test_settings_that_do_something_are(tmp_path):
    there, here = ({"method": "edge_popup", "keep_fraction": share, "k": k} for share, k in ((0.5, 8), (0.3, 9)))
    with pytest.raises(ValueError, match=r"\(--keep_fraction=0\.5 there and 0\.3 here\)"):
        open_and_find(tmp_path, there, here)


def test_the_keys_of_the_ledger_stay_as_they_are():
    learned = Request(method="learned", k=64, model="conv2", dataset="cifar10")
    cells = Cell(Run(Request(epochs=200)), 0), Cell(Run(learned), 1)
    assert [*map(key, cells)] == [
        "f6a5eb0bde935213",
        "47b10c08cd2cee39",
    ]
