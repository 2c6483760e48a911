"""Learners with losses and labels of their own: tokens, trees and numbers."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax import training
from slotjax.data import Dataset, Split
from tests import paper, reference

BATCH, LENGTH, FEATURES, WORDS = 8, 5, 6, 3


def learner(**others):
    def apply(weights, batch_stats, images, key=None):
        return images @ weights, batch_stats

    return training.Learner(apply=apply, selector=paper.slot_machine(2), optimizer=training.sgd(0.2), **others)


def texts(count=BATCH):
    random = np.random.default_rng(0)
    images = random.normal(size=(count, LENGTH, FEATURES)).astype(np.float32)
    return Split(images, random.integers(0, WORDS, (count, LENGTH)).astype(np.int32))


def start(learner, outputs=WORDS):
    init = jax.jit(learner.selector.init)
    variables = init(jax.random.key(0), jnp.zeros((FEATURES, outputs)))
    return training.init_state(jax.random.key(1), variables["params"], learner.optimizer), variables["frozen"]


def expected_of(weights, split):
    logits = np.asarray(split.images, np.float64) @ np.asarray(weights)
    probabilities = np.take_along_axis(reference.softmax(logits.T).T, split.labels[..., None], -1)
    return -np.log(probabilities).mean(), (logits.argmax(-1) == split.labels).mean()


def test_the_loss_of_tokens_is_the_mean_over_all_and_accuracy_their_share():
    learning, batch = learner(), texts()
    state, frozen = start(learning)
    weights = jax.jit(learning.selector.select)({"params": state.params, "frozen": frozen})
    _, (loss, correct) = jax.jit(training.train_step(learning))(state, frozen, batch)
    expected = expected_of(weights, batch)
    assert float(loss) == pytest.approx(expected[0], rel=1e-5)
    assert float(correct) / BATCH == pytest.approx(expected[1], rel=1e-5)
    evaluate = partial(training.evaluate, learning.apply, mesh=training.data_mesh())
    found = jax.jit(lambda split: evaluate(weights, {}, split))(texts(1003))
    assert (float(found["loss"]), float(found["accuracy"])) == pytest.approx(
        expected_of(weights, texts(1003)), rel=1e-5
    )


@pytest.mark.slow
def test_texts_that_are_not_valid_change_neither_loss_nor_update():
    learning, batch = learner(), texts()
    state, frozen = start(learning)
    step = jax.jit(training.train_step(learning))
    few = step(state, frozen, Split(batch.images[:5], batch.labels[:5]))
    marked = step(state, frozen, batch, jnp.arange(BATCH) < 5)
    chex.assert_trees_all_close((few[0].params, few[1]), (marked[0].params, marked[1]), rtol=1e-5)


@pytest.mark.slow
def test_sums_over_batches_of_a_stream_are_those_of_its_texts():
    learning, batch = learner(), texts()
    state, frozen = start(learning)
    weights = jax.jit(learning.selector.select)({"params": state.params, "frozen": frozen})
    mesh, valid = training.data_mesh(jax.devices()[:1]), jnp.arange(BATCH) < 6
    add = training.compile_batch_evaluation(learning.apply, mesh)
    sums = training.zero_sums()
    for _ in range(2):
        sums = add(sums, weights, {}, batch, valid)
    _, trained, _ = training.compile_stream_step(learning, mesh)(state, training.zero_sums(), frozen, batch, valid)
    expected = expected_of(weights, Split(batch.images[:6], batch.labels[:6]))
    assert (int(sums.examples), int(trained.examples)) == (12, 6)
    for found in (sums.means(), trained.means()):
        assert (float(found["loss"]), float(found["accuracy"])) == pytest.approx(expected, rel=1e-5)


def squared_error(outputs, labels):
    return (outputs - labels["height"][:, None]) ** 2


def within_one(outputs, labels):
    return jnp.abs(outputs[:, 0] - labels["height"]) < 1


@pytest.mark.slow
def test_labels_may_be_a_tree_and_the_loss_any_function_of_it():
    learning = learner(loss=squared_error, correct=within_one, evaluation_loss=lambda *both: squared_error(*both) / 2)
    random = np.random.default_rng(0)
    images = random.normal(size=(40, FEATURES)).astype(np.float32)
    split = Split(images, {"height": images.sum(1), "unused": np.zeros((40, 2), np.int32)})
    mesh = training.data_mesh(jax.devices()[:2])
    epoch, evaluation = training.compile_epoch(learning, mesh, 8), training.compile_evaluation(learning, mesh)
    (state, frozen), data = start(learning, outputs=1), training.replicate(Dataset(split, split, split, 0), mesh)
    state, frozen = training.replicate((state, frozen), mesh)
    state, metrics = epoch(state, frozen, data)
    variables = {"params": state.params, "frozen": frozen}
    outputs = images @ np.asarray(learning.selector.select(variables))
    errors = outputs[:, 0] - images.sum(1)
    assert float(metrics["test"]["loss"]) == pytest.approx((errors**2).mean() / 2, rel=1e-4)
    assert float(metrics["test"]["accuracy"]) == pytest.approx((np.abs(errors) < 1).mean(), rel=1e-5)
    chex.assert_trees_all_close(evaluation(variables, {}, data)["test"], metrics["test"], rtol=1e-6)
    assert np.isfinite(metrics["losses"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": lambda logits, labels: squared_error(logits, labels).mean()}, "loss: it returned a single number"),
        ({"loss": squared_error}, "correct: without a function of its own, a learner needs integer labels of shape"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    learning = learner(**given)
    state, frozen = start(learning, outputs=1)
    batch = Split(np.ones((BATCH, FEATURES), np.float32), {"height": np.ones(BATCH, np.float32)})
    with pytest.raises(ValueError, match=message):
        training.train_step(learning)(state, frozen, batch)


def _small(**more):
    """A learner, its variables for three inputs, and four examples."""
    apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)  # noqa: E731
    learner = training.Learner(apply=apply, selector=paper.slot_machine(2), optimizer=training.sgd(0.2), **more)
    examples = Split(jnp.ones((4, 3)), jnp.zeros(4, jnp.int32))
    return learner, learner.selector.init(jax.random.key(0), jnp.zeros((3, 2))), examples


def test_the_sums_of_a_stream_are_of_the_valid_examples():
    learner, variables, batch = _small()
    state = training.init_state(jax.random.key(1), variables["params"], learner.optimizer)
    step = training.compile_stream_step(learner, training.data_mesh(jax.devices()[:1]))
    _, sums, loss = step(state, training.zero_sums(), variables["frozen"], batch, jnp.arange(4) < 1)
    np.testing.assert_allclose(sums.means()["loss"], loss, rtol=1e-6)


def test_evaluation_has_a_loss_of_its_own():
    learner, variables, split = _small(evaluation_loss=lambda logits, labels: jnp.full(4, 7.0))
    evaluate = training.compile_evaluation(learner, training.data_mesh(jax.devices()[:1]))
    assert evaluate(variables, {}, Dataset(split, split, split, 2))["test"]["loss"] == 7
