"""When a process joins others: as schedulers and the cloud say, or not at all."""

import pytest

from experiments.configuration.execution import Execution
from experiments.running import processes


@pytest.fixture
def joining(monkeypatch):
    """What `join` did, beside no scheduler's variables."""
    for name in processes._SCHEDULERS:
        monkeypatch.delenv(name, raising=False)
    calls = []
    monkeypatch.setattr(processes, "_initialize", lambda **flags: calls.append(flags))
    return calls


@pytest.mark.parametrize(
    ("variables", "joined"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}, False),  # a shell of an allocation
        ({"SLURM_STEP_NUM_TASKS": "1"}, False),
        ({"SLURM_STEP_NUM_TASKS": "4"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ({"JOB_COMPLETION_INDEX": "0"}, True),
    ],
)
def test_what_a_scheduler_started_as_one_of_several_joins_the_others(variables, joined, joining, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    processes.join(Execution())
    assert joining == [{}] * joined


def test_a_host_of_a_tpu_pod_joins_the_others(joining, monkeypatch):
    monkeypatch.setattr(processes, "_on_tpu_vm", lambda: True)
    processes.join(Execution())
    assert joining == [{}]


def lost(**flags):
    raise ValueError("coordinator_address should be defined.")


def test_where_others_are_not_found_the_sentence_names_the_flag(joining, monkeypatch):
    monkeypatch.setattr(processes, "_initialize", lost)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    with pytest.raises(ValueError, match=r"--coordinator_address: JOB_COMPLETION_INDEX says .* \(coordinator_address"):
        processes.join(Execution())


def test_a_tpu_without_other_hosts_is_used_alone(joining, monkeypatch, capsys):
    monkeypatch.setattr(processes, "_initialize", lost)
    monkeypatch.setattr(processes, "_on_tpu_vm", lambda: True)
    processes.join(Execution())
    assert "No other hosts of this TPU were found" in capsys.readouterr().err
