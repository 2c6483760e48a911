"""Two processes of two devices each: the numbers of one device, and checkpoints of which one reads a damaged part."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from slotjax import training
from slotjax.training.arrays import restore_arrays, save_arrays
from slotjax.training.devices import fetch
from tests.patience import PATIENCE
from tests.slotjax.training.test_devices import SELECTORS, alone, trained

WORKER = """
import sys
import jax
rank, port, call, *arguments = sys.argv[1:]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(rank))
from tests.slotjax.training import test_two_processes
getattr(test_two_processes, call)(*arguments)
"""


# Of those that `test_devices` compares with one device.
TOGETHER = [("dense", "greedy, explicit"), ("batch norm", "greedy, factored")]


def train_all(out):
    """Losses of 50 steps in float32, and selections of 200 in float64, of what is compared below."""
    results = {}
    for network, selector in TOGETHER:
        results[f"{network}, {selector}, losses"] = trained(network, SELECTORS[selector], 4)[0]
        with jax.enable_x64(True):
            selection = trained(network, SELECTORS[selector], 4, epochs=4)[1]
        for number, leaf in enumerate(jax.tree.leaves(selection)):
            results[f"{network}, {selector}, selection {number}"] = leaf
    if jax.process_index() == 0:
        np.savez(out, **results)


def run_both(call, *arguments):
    """What both processes say and their codes, when each calls a function of this file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(Path(__file__).parents[3])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), port, call, *map(str, arguments)],
            cwd=Path(__file__).parents[3],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=PATIENCE)[0].splitlines() for process in processes]
    said = [[line for line in lines if not line.startswith("[Gloo]")] for lines in said]
    return said, [process.returncode for process in processes]


@pytest.fixture(scope="session")
def together(once):
    """The results of the two processes."""

    def train(directory):
        assert run_both("train_all", directory / "results.npz")[1] == [0, 0]

    return np.load(once("together", train) / "results.npz")


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector"), TOGETHER)
def test_two_processes_of_two_devices_train_as_one_device(network, selector, together):
    losses = alone(network, selector, np.float32)[0]
    np.testing.assert_allclose(together[f"{network}, {selector}, losses"], losses, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector"), TOGETHER)
def test_two_processes_of_two_devices_select_as_one_device(network, selector, together, x64):
    selection = jax.tree.leaves(alone(network, selector, np.float64, 4)[1])
    for number, leaf in enumerate(selection):
        np.testing.assert_array_equal(together[f"{network}, {selector}, selection {number}"], leaf)


def split_state(value):
    # Random, because a constant would be so small that Orbax keeps it elsewhere.
    scores = value + jax.random.uniform(jax.random.key(0), (400, 100))
    return training.shard({"scores": scores}, training.data_mesh())


def save_split(directory):
    with training.Checkpoints(f"{directory}/checkpoints", best=0) as checkpoints:
        for epoch in (1, 2):
            checkpoints.save(epoch, split_state(epoch), [])
    save_arrays(f"{directory}/frozen", split_state(3))


def restore_split(directory):
    with training.Checkpoints(f"{directory}/checkpoints", best=0) as checkpoints:
        state, _ = checkpoints.restore_latest(split_state(0))
    print("restored", int(fetch(state["scores"]).min()))
    try:
        fetch(restore_arrays(f"{directory}/frozen", split_state(0))["scores"])
    except ValueError as error:
        print("refused" if "frozen is damaged" in str(error) else error)


@pytest.mark.slow
def test_what_one_process_cannot_read_of_its_part_none_takes(tmp_path):
    assert run_both("save_split", tmp_path)[1] == [0, 0]
    files = [path for path in tmp_path.glob("**/ocdbt.process_1/d/*") if "checkpoints/1" not in str(path)]
    assert len({path.parent for path in files}) == 2
    for path in files:
        path.write_bytes(path.read_bytes()[:-200])
    assert run_both("restore_split", tmp_path) == ([["restored 1", "refused"]] * 2, [0, 0])
