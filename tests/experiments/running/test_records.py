"""What a run left is read again only if it is what a run leaves."""

import dataclasses
import json
import math

import jax
import pytest

from experiments import export
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.papers import FIGURES
from experiments.papers.grid import Cell, runs_of, settings_of
from experiments.running.components import Inputs
from experiments.running.failure import RunError, named_lack_of_memory
from experiments.running.records import read_lines, settings_in
from experiments.running.workdir import find_run, open_run, write_json

INPUTS = Inputs((28, 28, 1), "uint8", 10)


@pytest.fixture
def workdir(tmp_path):
    open_run(resolve(Request()), Execution(workdir=str(tmp_path)), INPUTS)[1].close()
    return tmp_path


def change(workdir, name, value):
    """Changes one entry of `config.json`, named by its path; removes it, if there is no value for it."""
    path = workdir / "config.json"
    content = place = json.loads(path.read_text())
    *parents, last = name.split(".")
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    write_json(path, content)


SETTINGS = [
    ("settings", None, "settings is None in place of an object"),
    ("settings", [], "settings is [] in place of an object"),
    ("settings", ..., "it has no 'settings'"),
    ("settings.k", None, "settings.k is None in place of a whole number"),
    ("settings.k", "8", "settings.k is '8' in place of a whole number"),
    ("settings.k", 0, "--k: 0 was given, but it must be from 1 to 65536"),
    ("settings.slots", 8, "settings has 'slots', which this version does not know"),
    ("settings.model", "alexnet", "--model: 'alexnet' was given"),
    ("settings.model", 3, "settings.model is 3 in place of a text"),
    ("settings.method", "magic", "--method: 'magic' was given"),
    ("settings.learning_rate", math.nan, "settings.learning_rate is nan in place of a finite number"),
    ("settings.restarts", 25, "settings.restarts is 25 in place of a list"),
    ("versions", None, "versions is None in place of an object"),
]
OTHERS = [
    ("inputs", None, "inputs is None in place of an object"),
    ("inputs.classes", ..., "inputs has no 'classes'"),
    ("inputs.classes", 0, "it has images of uint8 in 0 classes"),
    ("inputs.dtype", "complex64", "it has images of complex64"),
    ("inputs.image_shape", [28, 28], "image_shape is [28, 28] in place of"),
    ("inputs.image_shape", [28, -28, 1], "image_shape is [28, -28, 1] in place of"),
    ("inputs.image_shape", "28", "inputs.image_shape is '28' in place of a list"),
]


@pytest.mark.parametrize(("name", "value", "said"), SETTINGS)
def test_a_config_that_no_run_wrote_is_named(name, value, said, workdir):
    change(workdir, name, value)
    with pytest.raises(ValueError, match=r"^--workdir: .*config.json is damaged \(") as error:
        find_run(resolve(Request()), Execution(workdir=str(workdir)))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "value", "said"), [*SETTINGS, *OTHERS])
def test_nothing_is_exported_of_it(name, value, said, workdir):
    change(workdir, name, value)
    with pytest.raises(ValueError, match=r"^--workdir: .*config.json is damaged \(") as error:
        export.export(workdir, workdir / "ticket")
    assert said in str(error.value)


def test_a_config_without_a_setting_that_was_added_later_is_of_the_same_run(workdir):
    change(workdir, "settings.biases_and_scales", ...)
    assert find_run(resolve(Request()), Execution(workdir=str(workdir))) is None


def test_whatever_the_papers_train_could_be_read_again():
    for run in {run for figure in FIGURES.values() for run in runs_of(figure)}:
        for cell in (Cell(run, 0), Cell(run, 0, scale=0.001, examples=32)):
            settings = dataclasses.replace(settings_of(cell), init_from="runs/start" if run.start else None)
            assert settings_in({"settings": vars(settings)}, "config.json") == settings


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[]", "it is [] in place of an object"),
        ('{"epoch": "1"}', "it has no 'test'"),
        ('{"epoch": 1, "validation": {"loss": 1, "accuracy": NaN}, "test": {"loss": 1, "accuracy": 1}}', "is nan in"),
        ("{", "Expecting property name"),
    ],
)
def test_metrics_that_no_run_wrote_are_named(line, said, tmp_path):
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"^--workdir: .*metrics.jsonl is damaged \(") as error:
        read_lines(tmp_path / "metrics.jsonl")
    assert said in str(error.value)


def test_a_summary_that_no_run_wrote_is_no_summary(workdir, capsys):
    write_json(workdir / "summary.json", {"proof": 5})
    assert find_run(resolve(Request()), Execution(workdir=str(workdir))) is None
    assert "summary.json is damaged (it has no 'best_epoch'); it is made again" in capsys.readouterr().err


@pytest.mark.parametrize("prefix", ["RESOURCE_EXHAUSTED: ", "INTERNAL: Error dispatching computation: "])
def test_a_device_without_memory_is_one_sentence(prefix):
    error = jax.errors.JaxRuntimeError(f"{prefix}Out of memory allocating 147000000000 bytes.")
    sentence = (
        r"^--model: its training needs more memory than there is \(.*Out of memory allocating 147000000000 bytes\);"
    )
    with pytest.raises(RunError, match=sentence), named_lack_of_memory():
        raise error


def test_another_error_of_a_device_is_not_taken_for_it():
    with pytest.raises(jax.errors.JaxRuntimeError), named_lack_of_memory():
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
