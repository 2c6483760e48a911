"""Trials that are trained at once are those that are trained one after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax import models, training
from slotjax.data import Dataset, Split
from tests import paper

SEEDS, CLASSES, BATCH, EXAMPLES = range(2), 4, 16, 480
SELECTORS = {
    "greedy, factored": paper.slot_machine(4, scores="factored", options="seeded"),
    "probabilistic, factored": paper.slot_machine(4, "probabilistic", scores="factored", options="seeded"),
    "greedy, explicit": paper.slot_machine(4, scores="explicit", options="stored"),
    "edge-popup": paper.edge_popup(0.5),
    "supermask": paper.supermask(),
}


def examples(dtype):
    random = np.random.default_rng(0)
    labels = (np.arange(EXAMPLES) % CLASSES).astype(np.int32)
    images = (
        random.normal(size=(EXAMPLES, 12)) + 2 * np.eye(CLASSES)[labels] @ random.normal(size=(CLASSES, 12))
    ).astype(dtype)
    split = Split(jnp.asarray(images), jnp.asarray(labels))
    held_out = Split(split.images[:160], split.labels[:160])
    return Dataset(split, held_out, held_out, CLASSES)


def parts(selector, dtype):
    model, optimizer, data = models.LeNet(classes=CLASSES, widths=(8, 6)), training.sgd(0.1, 0.9, 1e-4), examples(dtype)
    shapes = jax.eval_shape(model.init, jax.random.key(0), data.train.images[:1].astype(np.float32))["params"]
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), shapes)

    init = jax.jit(lambda key: selector.init(key, shapes))

    def start(seed):
        variables = init(jax.random.key(seed))
        return training.init_state(jax.random.key(seed), variables["params"], optimizer), variables["frozen"]

    mesh = training.data_mesh(jax.devices()[:1])
    learner = training.Learner(apply=training.linen_apply(model), selector=selector, optimizer=optimizer)
    return start, (learner, mesh, BATCH), data


def alone(selector, dtype, epochs):
    start, arguments, data = parts(selector, dtype)
    epoch, found = training.compile_epoch(*arguments), []
    for seed in SEEDS:
        state, frozen = start(seed)
        for _ in range(epochs):
            state, metrics = epoch(state, frozen, data)
        found.append((state, frozen, metrics))
    return found


def at_once(selector, dtype, epochs):
    start, arguments, data = parts(selector, dtype)
    epoch = training.compile_trials(*arguments)
    states, frozen = training.replicate(training.stack_trials([start(seed) for seed in SEEDS]), arguments[1])
    for _ in range(epochs):
        states, metrics = epoch(states, frozen, data)
    trees = states, frozen, metrics
    return [jax.tree.map(lambda leaf, number=number: leaf[number], trees) for number in range(len(SEEDS))]


@pytest.mark.slow
@pytest.mark.parametrize("name", SELECTORS)
def test_the_selections_of_300_steps_are_the_same(name, x64):
    selector = SELECTORS[name]
    for one, other in zip(alone(selector, np.float64, 10), at_once(selector, np.float64, 10), strict=True):
        assert int(one[0].step) == int(other[0].step) == 300
        selections = [
            selector.selection({"params": state.params, "frozen": frozen}) for state, frozen, _ in (one, other)
        ]
        jax.tree.map(np.testing.assert_array_equal, *selections)


@pytest.mark.slow
def test_trials_differ_from_each_other():
    found = at_once(SELECTORS["greedy, factored"], np.float32, 1)
    losses = [np.asarray(metrics["losses"]) for _, _, metrics in found]
    assert not np.allclose(losses[0], losses[1])


@pytest.mark.slow
def test_accuracies_in_float32_are_within_the_noise_of_seeds():
    selector = SELECTORS["greedy, factored"]
    accuracies = [
        [float(metrics["test"]["accuracy"]) for _, _, metrics in run(selector, np.float32, 10)]
        for run in (alone, at_once)
    ]
    noise = max(np.std(accuracies[0]), 0.02)
    assert abs(np.mean(accuracies[0]) - np.mean(accuracies[1])) < noise
    assert min(map(min, accuracies)) > 0.5


@pytest.mark.slow
def test_all_trials_are_one_compiled_program(compilations):
    selector = SELECTORS["greedy, factored"]
    start, arguments, data = parts(selector, np.float32)
    epoch = training.compile_trials(*arguments)
    states, frozen = training.replicate(training.stack_trials([start(seed) for seed in SEEDS]), arguments[1])
    states, _ = epoch(states, frozen, data)
    before = len(compilations)
    states, _ = epoch(states, frozen, data)
    assert len(compilations) == before
