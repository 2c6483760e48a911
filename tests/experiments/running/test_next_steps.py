"""What a finished run says to do next can be done."""

import shlex
import sys

import pytest
from absl import flags

from experiments import evaluate, export
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.running import next_steps as module
from experiments.running.next_steps import next_steps


@pytest.mark.parametrize("workdir", ["runs/one", "a run with spaces"])
@pytest.mark.parametrize("data_dir", [None, "data"])
def test_the_commands_have_valid_flags_and_name_the_run(workdir, data_dir):
    steps = next_steps(resolve(Request()), Execution(workdir=workdir, data_dir=data_dir))
    for name, program in (("next: pack it", export), ("next: evaluate the ticket", evaluate)):
        values = flags.FlagValues()
        program.define_flags(values)
        _, _, module_name, *arguments = shlex.split(steps[name])
        assert module_name == program.__name__
        assert values([module_name, *arguments]) == [module_name]
        assert "workdir" not in values or values.workdir == workdir
        assert "data_dir" not in values or values.data_dir == data_dir


def test_what_has_no_ticket_is_not_told_to_be_packed():
    steps = next_steps(resolve(Request(method="supermask", evaluation="expected")), Execution(workdir="runs/one"))
    assert not [name for name in steps if "pack" in name or "ticket" in name]


def test_python_is_called_as_briefly_as_it_can_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert module.python() == ".venv/bin/python"
    monkeypatch.setattr(module.shutil, "which", lambda name: sys.executable)
    assert module.python() == "python"


@pytest.mark.parametrize("data_dir", [None, "data"])
def test_a_network_of_texts_is_told_to_write(data_dir):
    settings = resolve(Request(model="char_transformer", dataset="stdlib"))
    steps = next_steps(settings, Execution(workdir="runs/one", data_dir=data_dir))
    assert steps["next: evaluate the ticket"].endswith("--ticket=char_transformer.ticket --sample=200")
