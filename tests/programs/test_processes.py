"""Two processes that train one network: real processes and real signals, on one machine."""

import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from tests.patience import PATIENCE
from tests.programs.in_process import call
from tests.programs.training_process import ROOT, STORED, command, flags, metrics, wait_for_epochs

EPOCHS = 6
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


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("both") / "run"
    codes, said = finish_both(start_both(digits, workdir))
    assert codes == [0, 0], said
    return workdir, said


def assert_ends_as_unbroken(digits, workdir, unbroken):
    codes, said = finish_both(start_both(digits, workdir))
    assert codes == [0, 0], said
    assert metrics(workdir) == metrics(unbroken[0])
    assert checksums(workdir) == checksums(unbroken[0])


def kill(processes, victims, workdir, lines, delay=0.0):
    """Kills some of the processes, and waits until the others have ended by themselves and said so."""
    wait_for_epochs(processes[0], workdir, lines)
    time.sleep(delay)
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
    assert output.count("epoch ") > EPOCHS
    assert "epoch " not in other
    assert (errors, other_errors) == ("", "")
    assert len(metrics(unbroken[0])) == 1 + EPOCHS


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_dies_the_other_says_so_and_starting_both_again_resumes(victim, unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    kill(start_both(digits, workdir), [victim], workdir, 3)
    assert_ends_as_unbroken(digits, workdir, unbroken)


def running_both(digits, workdir, epochs):
    processes = start_both(digits, workdir)
    wait_for_epochs(processes[0], workdir, epochs)
    return processes


@pytest.mark.slow
@pytest.mark.parametrize("number", [1])  # all ask all others, in one way
def test_when_one_is_asked_to_stop_both_save_the_same_epoch(number, unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    processes = running_both(digits, workdir, 3)
    processes[number].send_signal(signal.SIGTERM)
    codes, said = finish_both(processes)
    assert codes == [0, 0]
    assert re.search(r"Stopped after epoch \d+", said[0][0])
    assert said[number][1] == "SIGTERM: stopping when the running call is done.\n"
    assert said[1 - number][1] == ""
    assert_ends_as_unbroken(digits, workdir, unbroken)


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
@pytest.mark.parametrize("number", [1])  # the one that writes no metrics
def test_when_the_disk_of_one_is_full_it_says_so_and_the_other_ends_too(number, unbroken, digits, tmp_path):
    workdir = tmp_path / "run"
    processes = running_both(digits, workdir, 2)
    resource.prlimit(processes[number].pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    codes, said = finish_both(processes)
    assert codes[number] == 1
    # Above it, threads of TensorStore may complain that nobody waits for their write since another one failed.
    (sentence,) = [line for line in said[number][1].splitlines() if line.startswith("error: ")]
    assert re.fullmatch(r"error: --workdir: .* cannot be written .*File too large.*", sentence)
    assert codes[1 - number] != 0
    assert said[1 - number][1].endswith(LOST)
    assert_ends_as_unbroken(digits, workdir, unbroken)


@pytest.mark.slow
def test_stored_options_that_are_split_over_both(digits, tmp_path):
    codes, said = finish_both(start_both(digits, tmp_path / "run", (["--shard_state"],) * 2))
    assert codes == [0, 0], said
    assert ", before and after" in said[0][0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5])  # which kills both
def test_kills_of_one_or_both_at_random_moments(seed, unbroken, digits, tmp_path):
    workdir, moments = tmp_path / "run", random.Random(seed)
    victims = moments.choice([[0], [1], [0, 1]])
    kill(start_both(digits, workdir), victims, workdir, moments.randrange(0, EPOCHS - 1), moments.uniform(0, 2))
    assert_ends_as_unbroken(digits, workdir, unbroken)


def test_flags_of_several_processes_belong_together(digits, tmp_path):
    code, _, errors = call("train", *flags(digits, tmp_path / "run", "--num_processes=2"))
    assert code == 1
    assert errors.startswith("error: --coordinator_address: it must be given with ")


def test_an_address_needs_a_port(digits, tmp_path):
    own = ["--coordinator_address=localhost", "--num_processes=2", "--process_id=0"]
    code, _, errors = call("train", *flags(digits, tmp_path / "run", *own))
    assert code == 1
    assert errors == "error: --coordinator_address: 'localhost' was given, but it must be HOST:PORT\n"
