"""Two processes of two devices each: the numbers of one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from test_devices import NETWORKS, SELECTORS, trained

WORKER = """
import sys
import jax
rank, port, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, rank)
import test_two_processes
test_two_processes.train_all(out if rank == 0 else None)
"""


def everything():
    return [(network, selector) for network in NETWORKS for selector in SELECTORS]


def train_all(out):
    """Losses of 50 steps in float32, and selections of 200 in float64, of every network and selector."""
    results = {}
    for network, selector in everything():
        results[f"{network}, {selector}, losses"] = trained(network, SELECTORS[selector], 4)[0]
        with jax.enable_x64(True):
            selection = trained(network, SELECTORS[selector], 4, epochs=4)[1]
        for number, leaf in enumerate(jax.tree.leaves(selection)):
            results[f"{network}, {selector}, selection {number}"] = leaf
    if out:
        np.savez(out, **results)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What the two processes came to."""
    out = tmp_path_factory.mktemp("two") / "results.npz"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(Path(__file__).parent)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), port, str(out)], cwd=Path(__file__).parents[1], env=environment
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=1500) for process in processes] == [0, 0]
    return np.load(out)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector"), everything())
def test_two_processes_of_two_devices_train_as_one_device(network, selector, together):
    losses = trained(network, SELECTORS[selector], 1)[0]
    np.testing.assert_allclose(together[f"{network}, {selector}, losses"], losses, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector"), everything())
def test_two_processes_of_two_devices_select_as_one_device(network, selector, together, x64):
    selection = jax.tree.leaves(trained(network, SELECTORS[selector], 1, epochs=4)[1])
    for number, leaf in enumerate(selection):
        np.testing.assert_array_equal(together[f"{network}, {selector}, selection {number}"], leaf)
