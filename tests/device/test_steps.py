"""A step of every method on an accelerator is finite, and near to that of a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import METHODS, selector_of
from experiments.running.components import Inputs, network
from slotjax import data, training
from tests.device.accelerator import accelerator, on_both  # noqa: F401 (a fixture)

pytestmark = pytest.mark.device

REQUESTS = {name: Request(method=name) for name in METHODS} | {
    "probabilistic": Request(selection="probabilistic"),
    "K = 64, nearest": Request(k=64, initial="nearest"),
    "stored": Request(options="stored", scores="explicit"),
    "supermask, rescaled": Request(method="supermask", rescale=True),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_one_step_of_lenet(device, name):
    settings = resolve(REQUESTS[name])
    built, selector = network(settings, Inputs((28, 28, 1), "float32", 10)), selector_of(settings)
    learner = training.Learner(apply=built.apply, selector=selector, optimizer=training.sgd(0.1, 0.9, 1e-4))
    step = jax.jit(training.train_step(learner))

    def outcome(key, batch):
        variables = selector.init(key, built.shapes)
        before = training.init_state(key, variables["params"], learner.optimizer, built.batch_stats)
        after, (loss, _) = step(before, variables["frozen"], batch)
        return loss, jax.tree.map(jnp.subtract, after.params, before.params)

    images = jax.random.uniform(jax.random.key(1), (64, 28, 28, 1))
    batch = data.Split(images, jnp.arange(64, dtype=jnp.int32) % 10)
    with jax.default_matmul_precision("highest"):
        (loss, change), (expected_loss, expected) = on_both(device, outcome, jax.random.key(0), batch)
    assert np.isfinite(loss)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-3)
    for one, other in zip(jax.tree.leaves(change), jax.tree.leaves(expected), strict=True):
        assert np.isfinite(one).all()
        # Where rounding decides otherwise between two values that are as good, single connections differ.
        assert np.linalg.norm(one - other) <= 0.02 * np.linalg.norm(other)
    trains = METHODS[settings.method].trains
    assert any(leaf.any() for leaf in jax.tree.leaves(change)) == trains
