"""Two processes that train one network: real processes and real signals, on one machine."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess

import pytest

from tests.patience import PATIENCE
from tests.programs.in_process import call
from tests.programs.training_process import ROOT, STORED, command, flags, metrics, wait_for_epochs

EPOCHS = 24  # enough for five interruptions
FLAGS = (f"--epochs={EPOCHS}", "--k=2", *STORED)  # which are compiled soonest; only process 0 writes JAX's cache
LOST = (
    "error: another process of this run has ended or cannot be reached; "
    "start all again to go on from the last checkpoint.\n"
)


def start_both(digits, workdir, own=((), ())):
    """Both processes, each with flags of its own, if given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2"}
    together = [f"--coordinator_address=127.0.0.1:{port}", "--num_processes=2"]
    return [
        subprocess.Popen(
            command(digits, workdir, *FLAGS, *together, f"--process_id={number}", *own[number]),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]


def checksums(workdir):
    """Those that the last checkpoint keeps of its arrays, which one process cannot read as two wrote them."""
    record = json.loads((workdir / "checkpoints" / str(EPOCHS) / "record" / "metadata").read_text())
    assert len(record["checksums"]) > 5
    return record["checksums"]


def finish_both(processes):
    said = [process.communicate(timeout=PATIENCE) for process in processes]
    return [process.returncode for process in processes], said


@pytest.fixture(scope="session")
def unbroken(digits, once):
    def train(directory):
        codes, said = finish_both(start_both(digits, directory / "run"))
        assert codes == [0, 0], said
        (directory / "said.json").write_text(json.dumps(said))

    directory = once("both", train)
    return directory / "run", json.loads((directory / "said.json").read_text())


def kill(processes, victims):
    """Kills some of the processes, and waits until the others have ended by themselves and said so."""
    for victim in victims:
        processes[victim].send_signal(signal.SIGKILL)
    codes, said = finish_both(processes)
    assert 0 not in codes
    for number, (_, errors) in enumerate(said):
        assert errors.endswith(LOST) == (number not in victims), errors
        assert "Traceback" not in errors
        assert "most recent call first" not in errors


def test_process_0_logs_and_the_other_is_silent(unbroken):
    (output, errors), (other, other_errors) = unbroken[1]
    assert "epoch 1/" in output
    assert "epoch " not in other
    assert (errors, other_errors) == ("", "")
    assert len(metrics(unbroken[0])) == 1 + EPOCHS


def running_both(digits, workdir):
    """Both processes, which have written two lines more than they found."""
    found = len(metrics(workdir)) if workdir.exists() else 0
    processes = start_both(digits, workdir)
    wait_for_epochs(processes[0], workdir, found + 2)
    return processes


def ask_to_stop(digits, workdir, number):
    """Sends a signal to one, and waits until both have saved the same epoch."""
    processes = running_both(digits, workdir)
    processes[number].send_signal(signal.SIGTERM)
    codes, said = finish_both(processes)
    assert codes == [0, 0]
    assert re.search(r"Stopped after epoch \d+", said[0][0])
    assert said[number][1] == "SIGTERM: stopping when the running call is done.\n"
    assert said[1 - number][1] == ""


def fill_the_disk(digits, workdir, number):
    """Leaves one without room, and waits until it has said so and the other has ended too."""
    processes = running_both(digits, workdir)
    resource.prlimit(processes[number].pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    codes, said = finish_both(processes)
    assert codes[number] == 1
    # Above it, threads of TensorStore may complain that nobody waits for their write since another one failed.
    (sentence,) = [line for line in said[number][1].splitlines() if line.startswith("error: ")]
    assert re.fullmatch(r"error: --workdir: .* cannot be written .*File too large.*", sentence)
    assert codes[1 - number] != 0
    assert said[1 - number][1].endswith(LOST)


@pytest.mark.slow
def test_whatever_becomes_of_one_the_other_says_so_and_both_started_again_end_as_unbroken(unbroken, digits, tmp_path):
    """A run that loses either process, is asked to stop, and has a full disk at one, which writes no metrics."""
    workdir = tmp_path / "run"
    kill(running_both(digits, workdir), [0])
    kill(running_both(digits, workdir), [1])
    ask_to_stop(digits, workdir, 1)
    fill_the_disk(digits, workdir, 1)
    kill(running_both(digits, workdir), [0, 1])
    codes, said = finish_both(start_both(digits, workdir))
    assert codes == [0, 0], said
    assert metrics(workdir) == metrics(unbroken[0])
    assert checksums(workdir) == checksums(unbroken[0])


@pytest.mark.slow
def test_when_one_has_an_error_of_its_own_the_other_ends_too(unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(unbroken[0], workdir)
    (workdir / "summary.json").unlink()
    codes, said = finish_both(start_both(digits, workdir, ((), ["--seed=1"])))
    assert codes[1] == 1
    assert re.fullmatch(r"error: --workdir: .* holds a run with other settings .*\n", said[1][1])
    assert codes[0] != 0
    assert said[0][1].endswith(LOST)


@pytest.mark.slow
def test_stored_options_that_are_split_over_both(digits, tmp_path):
    codes, said = finish_both(start_both(digits, tmp_path / "run", (["--shard_state"],) * 2))
    assert codes == [0, 0], said
    assert ", before and after" in said[0][0]


def test_flags_of_several_processes_belong_together(digits, tmp_path):
    code, _, errors = call("train", *flags(digits, tmp_path / "run", "--num_processes=2"))
    assert code == 1
    assert errors.startswith("error: --coordinator_address: it must be given with ")


def test_an_address_needs_a_port(digits, tmp_path):
    own = ["--coordinator_address=localhost", "--num_processes=2", "--process_id=0"]
    code, _, errors = call("train", *flags(digits, tmp_path / "run", *own))
    assert code == 1
    assert errors == "error: --coordinator_address: 'localhost' was given, but it must be HOST:PORT\n"
