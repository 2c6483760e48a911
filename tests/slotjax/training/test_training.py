"""Training: the compiled epoch against NumPy, over devices, and what it must never do."""

from typing import get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import models, training
from slotjax.data import Dataset, Split
from slotjax.training.epoch import _batches
from tests import paper, reference


def dataset(examples=64, features=12, classes=4, dtype=np.float32, seed=0):
    random = np.random.default_rng(seed)
    splits = []
    for count in (examples, 10, 10):
        labels = random.integers(0, classes, count).astype(np.int32)
        images = random.normal(size=(count, features)) + 3 * (labels[:, None] == np.arange(features))
        splits.append(Split(jnp.asarray(images, dtype), jnp.asarray(labels)))
    return Dataset(*splits, classes)


def setup(data, devices=1, k=3, selection="greedy", batch_size=16, optimizer=None, epochs_key=7):
    mesh = training.data_mesh(jax.devices()[:devices])
    model = models.LeNet(classes=4, widths=(8,))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 12), jnp.float32))["params"]
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, data.train.images.dtype), shapes)
    selector = paper.slot_machine(k, selection)
    optimizer = optimizer or training.sgd(0.1, 0.9, 1e-3)
    variables = jax.jit(lambda key: selector.init(key, shapes))(jax.random.key(1))
    state = training.init_state(jax.random.key(epochs_key), variables["params"], optimizer)
    learner = training.Learner(apply=training.linen_apply(model), selector=selector, optimizer=optimizer)
    epoch = training.compile_epoch(learner, mesh, batch_size)
    state, frozen, data = training.replicate((state, variables["frozen"], data), mesh)
    return epoch, state, frozen, data


def linear(selector, optimizer, **others):
    """A learner of one matrix."""
    return training.Learner(
        apply=lambda w, stats, x, key=None: (x @ w, stats), selector=selector, optimizer=optimizer, **others
    )


def logistic_epoch(scores, options, data, order, rate, momentum, decay):
    """SGD on scores (Eq. 4, with momentum and L2 penalty) for one dense layer, in NumPy."""
    velocity, losses = np.zeros_like(scores), []
    for batch in order:
        images, labels = np.asarray(data.train.images)[batch], np.asarray(data.train.labels)[batch]
        index = reference.greedy(scores)
        logits = images @ reference.selected(options, index)
        probabilities = reference.softmax(logits.T).T
        losses.append(-np.log(probabilities[np.arange(len(labels)), labels]).mean())
        probabilities[np.arange(len(labels)), labels] -= 1
        gradient = reference.score_gradients(options, images.T @ probabilities / len(labels))
        velocity = momentum * velocity + gradient + decay * scores
        scores = scores - rate * velocity
    return scores, losses


def test_an_epoch_equals_numpy_in_float64(x64):
    data, selector, optimizer = dataset(dtype=np.float64), paper.slot_machine(3), training.sgd(0.1, 0.9, 1e-3)
    variables = selector.init(jax.random.key(1), jnp.zeros((12, 4)))
    state = training.init_state(jax.random.key(7), variables["params"], optimizer)
    scores, options = np.asarray(state.params), np.asarray(variables["frozen"]["options"])
    shuffle = jax.random.fold_in(jax.random.fold_in(state.key, 0), 0)
    order = np.asarray(_batches(shuffle, 64, 16))
    mesh = training.data_mesh(jax.devices()[:1])
    epoch = training.compile_epoch(linear(selector, optimizer), mesh, 16)
    state, metrics = epoch(*training.replicate((state, variables["frozen"], data), mesh))
    expected, losses = logistic_epoch(scores, options, data, order, 0.1, 0.9, 1e-3)
    np.testing.assert_allclose(metrics["losses"], losses, rtol=1e-12)
    np.testing.assert_allclose(state.params, expected, rtol=1e-10, atol=1e-14)
    changed = np.mean(reference.greedy(scores) != reference.greedy(expected))
    assert changed > 0
    assert float(metrics["changed"]) == pytest.approx(changed, rel=1e-6)
    logits = np.asarray(data.test.images) @ reference.selected(options, reference.greedy(expected))
    assert float(metrics["test"]["accuracy"]) == pytest.approx(
        np.mean(logits.argmax(1) == np.asarray(data.test.labels))
    )


@pytest.mark.slow
@pytest.mark.parametrize("selection", [pytest.param("greedy", marks=pytest.mark.slow), "probabilistic"])
def test_one_and_four_devices_agree(selection, x64):
    results = []
    for devices in (1, 4):
        epoch, state, frozen, data = setup(dataset(dtype=np.float64), devices, selection=selection)
        for _ in range(5):
            state, metrics = epoch(state, frozen, data)
        results.append(jax.device_get((state._replace(key=0), metrics)))
    chex.assert_trees_all_close(*results, rtol=1e-9, atol=1e-12)


def test_the_batch_is_split_over_the_devices():
    epoch, *arguments = setup(dataset(), devices=4)
    text = epoch.lower(*arguments).compile().as_text()
    assert "all-reduce" in text
    assert "f32[4,12]" in text  # 16 examples on four devices


@pytest.mark.slow
@pytest.mark.parametrize("selection", [pytest.param("greedy", marks=pytest.mark.slow), "probabilistic"])
def test_the_same_seed_gives_bitwise_the_same_and_another_seed_does_not(selection):
    runs = []
    for key in (7, 7, 8):
        epoch, state, frozen, data = setup(dataset(), selection=selection, epochs_key=key)
        for _ in range(2):
            state, metrics = epoch(state, frozen, data)
        runs.append(jax.device_get((state._replace(key=0), metrics)))
    chex.assert_trees_all_equal(runs[0], runs[1])
    assert np.any(runs[0][1]["losses"] != runs[2][1]["losses"])


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
def test_training_learns_and_never_touches_frozen(selection):
    optimizer = training.sgd(0.1 if selection == "greedy" else 25.0)
    epoch, state, frozen, data = setup(dataset(examples=640), selection=selection, optimizer=optimizer, k=8)
    before = jax.device_get(frozen)
    accuracies = []
    for _ in range(10):
        state, metrics = epoch(state, frozen, data)
        accuracies.append(float(metrics["train"]["accuracy"]))
    assert accuracies[-1] > max(0.7, accuracies[0])
    chex.assert_trees_all_equal(before, jax.device_get(frozen))


@pytest.mark.slow
def test_sampling_is_fresh_at_every_step():
    optimizer = training.sgd(0.0)
    epoch, state, frozen, data = setup(dataset(), selection="probabilistic", optimizer=optimizer, batch_size=64)
    losses = []
    for _ in range(3):  # the whole training split each time, and scores that do not change
        state, metrics = epoch(state, frozen, data)
        losses.append(float(metrics["losses"][0]))
    assert len({round(loss, 4) for loss in losses}) == 3


def test_batches_use_every_example_at_most_once_and_differ_between_epochs():
    first, second = (np.asarray(_batches(jax.random.key(epoch), 103, 10)) for epoch in (0, 1))
    assert first.shape == (10, 10)
    assert len(np.unique(first)) == 100
    assert np.any(first != second)


def test_an_epoch_of_fewer_steps_sees_other_examples_in_each():
    first, second = (np.asarray(_batches(jax.random.key(epoch), 103, 10, 4)) for epoch in (0, 1))
    assert first.shape == (4, 10)
    assert len(np.unique(first)) == 40
    assert len(np.intersect1d(first, second)) < 40
    with pytest.raises(ValueError, match="steps: 11 was given, but 103 training examples are enough for 10"):
        _batches(jax.random.key(0), 103, 10, 11)


@pytest.mark.quick("2345-1")
@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("count", [3, 1000, 2345])
def test_evaluation_counts_every_example_once(devices, count):
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(count, 5)).astype(np.float32), random.integers(0, 5, count).astype(np.int32)
    mesh = training.data_mesh(jax.devices()[:devices])
    split = training.replicate(Split(images, labels), mesh)

    def scaled(weights, batch_stats, images):
        return images * weights, batch_stats

    result = jax.jit(lambda split: training.evaluate(scaled, jnp.float32(1), {}, split, mesh))(split)
    assert float(result["accuracy"]) == pytest.approx(np.mean(images.argmax(1) == labels), rel=1e-6)
    losses = -np.log(reference.softmax(images.T.astype(float)).T[np.arange(count), labels])
    assert float(result["loss"]) == pytest.approx(losses.mean(), rel=1e-5)


def test_a_batch_that_devices_cannot_share_is_refused():
    with pytest.raises(ValueError, match="batch_size: 6 is not a multiple of the 4 devices"):
        setup(dataset(), devices=4, batch_size=6)


@pytest.mark.slow
def test_the_paper_schedule_restarts_at_25_and_75():
    schedule = training.learning_rate_schedule("warm_restarts", 0.2, 200, 10)
    rates = np.array([float(schedule(step)) for step in range(2000)])
    expected = []
    for start, end in ((0, 25), (25, 75), (75, 200)):
        steps = np.arange(10 * (end - start))
        expected.append(0.1 * (1 + np.cos(np.pi * steps / len(steps))))
    np.testing.assert_allclose(rates, np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize(("epochs", "starts"), [(20, [0]), (25, [0]), (50, [0, 25]), (75, [0, 25]), (76, [0, 25, 75])])
def test_a_restart_past_the_last_epoch_does_not_happen(epochs, starts):
    schedule = training.learning_rate_schedule("warm_restarts", 1.0, epochs, 1)
    assert [epoch for epoch in range(epochs) if float(schedule(epoch)) == 1] == starts
    assert float(schedule(epochs)) == pytest.approx(0, abs=1e-7)


def test_the_other_schedules():
    constant, cosine = (training.learning_rate_schedule(name, 0.2, 10, 10) for name in ("constant", "cosine"))
    assert float(constant(99)) == pytest.approx(0.2)
    assert [round(float(cosine(step)), 3) for step in (0, 50, 100)] == [0.2, 0.1, 0]
    with pytest.raises(ValueError, match="schedule: 'linear' was given"):
        training.learning_rate_schedule("linear", 0.2, 10, 10)


def test_a_warm_up_rises_linearly_and_then_the_schedule_follows():
    schedule = training.learning_rate_schedule("cosine", 0.2, 12, 10, warmup_epochs=2)
    rates = np.array([float(schedule(step)) for step in range(121)])
    expected = np.concatenate([0.2 * np.arange(20) / 20, 0.1 * (1 + np.cos(np.pi * np.arange(101) / 100))])
    np.testing.assert_allclose(rates, expected, atol=1e-6)
    with pytest.raises(ValueError, match="warmup_epochs: 3 was given, but it must be less than the 3 epochs"):
        training.learning_rate_schedule("cosine", 0.2, 3, 10, warmup_epochs=3)


def test_smoothed_labels_in_the_loss():
    logits, labels = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 1, 2, 3, 0], np.int32)
    target = 0.9 * np.eye(4)[labels] + 0.1 / 4
    expected = -(target * np.log(reference.softmax(logits.T).T)).sum(1)
    losses = training.cross_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray(labels), 0.1)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_losses_of_half_precision_logits_are_in_float32():
    losses = training.cross_entropy(jnp.ones((2, 3), jnp.bfloat16), jnp.zeros(2, jnp.int32))
    np.testing.assert_allclose(losses, np.log(3), rtol=1e-6)


def test_examples_that_are_not_valid_change_neither_loss_nor_update():
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(6, 3)).astype(np.float32), random.integers(0, 2, 6).astype(np.int32)
    selector, optimizer = paper.slot_machine(2), training.sgd(0.2)
    variables = selector.init(jax.random.key(0), jnp.zeros((3, 2)))
    step = jax.jit(training.train_step(linear(selector, optimizer)))
    state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    few = step(state, variables["frozen"], Split(images[:4], labels[:4]))
    marked = step(state, variables["frozen"], Split(images, labels), jnp.arange(6) < 4)
    chex.assert_trees_all_close(few[0].params, marked[0].params, rtol=1e-6)
    assert float(few[1][0]) == pytest.approx(float(marked[1][0]), rel=1e-6)
    assert int(few[1][1]) == int(marked[1][1])


def test_a_batch_without_valid_examples_has_no_loss_and_no_gradient():
    selector, optimizer = paper.slot_machine(2), training.sgd(0.2)
    variables = selector.init(jax.random.key(0), jnp.zeros((3, 2)))
    step = jax.jit(training.train_step(linear(selector, optimizer)))
    state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    batch = Split(jnp.ones((2, 3)), jnp.zeros(2, jnp.int32))
    after, (loss, correct) = step(state, variables["frozen"], batch, jnp.zeros(2, bool))
    chex.assert_trees_all_equal(after.params, state.params)
    assert (float(loss), int(correct)) == (0, 0)


@pytest.mark.slow
def test_a_batch_larger_than_the_training_split_is_refused():
    epoch, state, frozen, data = setup(dataset(examples=8))
    with pytest.raises(ValueError, match="batch_size: 16 was given, but there are only 8 training examples"):
        epoch(state, frozen, data)


def batch_norm_run(devices):
    random = np.random.default_rng(0)
    splits = [
        Split(random.normal(size=(count, 4, 4, 1)).astype(np.float32), random.integers(0, 3, count).astype(np.int32))
        for count in (32, 8, 8)
    ]
    model = models.ResNet(classes=3, blocks=(1,), small_images=True)
    variables = model.init(jax.random.key(0), jnp.asarray(splits[0].images[:1]))
    selector, optimizer = paper.slot_machine(2, scores="factored", options="seeded"), training.sgd(0.1, 0.9)
    chosen = selector.init(jax.random.key(1), variables["params"])
    state = training.init_state(jax.random.key(2), chosen["params"], optimizer, variables["batch_stats"])
    mesh = training.data_mesh(jax.devices()[:devices])
    learner = training.Learner(apply=training.linen_apply(model), selector=selector, optimizer=optimizer)
    epoch = training.compile_epoch(learner, mesh, 16)
    state, frozen, data = training.replicate((state, chosen["frozen"], Dataset(*splits, 3)), mesh)
    for _ in range(2):
        state, metrics = epoch(state, frozen, data)
    return jax.device_get((state._replace(key=0), metrics))


@pytest.mark.slow
def test_batch_statistics_are_trained_with_and_are_those_of_the_global_batch():
    one, four = batch_norm_run(1), batch_norm_run(4)
    means = [leaf for name, leaf in one[0].batch_stats["BatchNorm_0"].items() if name == "mean"]
    assert all(np.all(np.abs(mean) > 1e-6) for mean in means)
    chex.assert_trees_all_close(one, four, rtol=1e-3, atol=1e-5)
