"""What training on all devices never does: compile twice, keep a copy of its state, or go to the host in between.

On CPUs, JAX's guard sees arrays that are placed or moved to other devices implicitly, but neither what the host reads
nor callbacks; so the compiled program is searched for these, which are the only way to the host from within it.
"""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from slotjax import training
from slotjax.data import Split
from tests import paper
from tests.slotjax.training.test_training import dataset, linear, setup

TO_THE_HOST = re.compile(r"callback|(?<![\w-])(infeed|outfeed|send|recv)\(")
REPEATS = 3


def an_epoch():
    """The compiled epoch, its donated arguments and the others."""
    epoch, state, frozen, data = setup(dataset(), devices=jax.device_count())
    return epoch, (state,), (frozen, data), lambda outcome: (outcome[0],)


def a_step_of_a_stream():
    mesh, selector, optimizer = training.data_mesh(), paper.slot_machine(3, "probabilistic"), training.sgd(0.1)
    variables = selector.init(jax.random.key(0), jnp.zeros((12, 4)))
    state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    step = training.compile_stream_step(linear(selector, optimizer), mesh)
    state, sums, frozen = training.replicate((state, training.zero_sums(), variables["frozen"]), mesh)
    batch = training.place_batch(Split(*map(jax.device_get, dataset(16).train)), mesh)
    valid = training.place_batch(jax.device_get(jnp.arange(16) < 15), mesh)
    return step, (state, sums), (frozen, batch, valid), lambda outcome: outcome[:2]


def a_batch_of_an_evaluation():
    mesh = training.data_mesh()
    add = training.compile_batch_evaluation(lambda w, stats, x: (x @ w, stats), mesh)
    sums, weights = training.replicate((training.zero_sums(), jnp.ones((12, 4))), mesh)
    batch = training.place_batch(Split(*map(jax.device_get, dataset(16).train)), mesh)
    valid = training.place_batch(jax.device_get(jnp.arange(16) < 15), mesh)
    return add, (sums,), (weights, {}, batch, valid), lambda outcome: (outcome,)


CALLS = pytest.mark.parametrize("call", [an_epoch, a_step_of_a_stream, a_batch_of_an_evaluation])


@pytest.mark.quick("an_epoch")
@CALLS
def test_a_call_compiles_once_donates_and_transfers_nothing(call, compilations):
    function, donated, others, again = call()
    compilations.clear()
    for _ in range(REPEATS):
        before = donated
        with jax.transfer_guard("disallow"):
            donated = again(function(*donated, *others))
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    assert len(compilations) == 1
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((donated, others)))


@pytest.mark.slow
@CALLS
def test_nothing_in_the_compiled_program_goes_to_the_host(call):
    function, donated, others, _ = call()
    text = function.lower(*donated, *others).compile().as_text()
    assert "all-reduce" in text
    assert not TO_THE_HOST.search(text)


@pytest.mark.slow
def test_the_same_with_eight_devices():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8"}
    command = [sys.executable, "-m", "pytest", "-n0", __file__]
    subprocess.run(command, env=environment, check=True)
