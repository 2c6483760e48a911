"""Factored scores are explicit scores: the same training, in float64, for two numbers per connection."""

import re
from typing import get_args

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import slotjax
from slotjax import models, training
from tests import paper

SHAPES = {"dense": {"kernel": (6, 4), "bias": (4,)}, "head": (3, 2, 4), "conv": {"kernel": (2, 2, 3, 2)}}
STEPS = 100
STORAGES = get_args(slotjax.options.Storage)
VARIANTS = {
    "shared per layer": {"share": "layer"},
    "shared by the network": {"share": "network"},
    "sparse": {"sparse": True},
    "nearest": {"initial": "nearest", "exact": True},
}


SGD = {
    "the paper's": lambda: training.sgd(restarts(), 0.9, 1e-4),
    "plain": lambda: optax.sgd(0.3),
    "Nesterov": lambda: training.sgd(restarts(), 0.9, 1e-3, nesterov=True),
    "accumulation": lambda: optax.MultiSteps(training.sgd(0.3, 0.9, 1e-3), 4, accumulator_dtype=jnp.float64),
    "decoupled decay": lambda: optax.chain(optax.trace(0.9), optax.add_decayed_weights(1e-2), optax.scale(-0.1)),
    "EMA": lambda: optax.chain(optax.ema(0.9, accumulator_dtype=jnp.float64), optax.sgd(0.3)),
}


def restarts():
    return training.learning_rate_schedule("warm_restarts", 0.2, epochs=30, steps_per_epoch=10, restarts=(8, 15))


def train(selector, params, loss, optimizer, steps=STEPS):
    """Variables after half of the steps and after all."""
    variables = jax.jit(lambda: selector.init(jax.random.key(0), params))()

    @jax.jit
    def advance(trainable, state, frozen, start):
        def step(carry, number):
            trainable, state = carry
            key = jax.random.fold_in(jax.random.key(1), number)

            def value(trainable):
                return loss(selector.select({"params": trainable, "frozen": frozen}, key), number)

            gradient = jax.grad(value)(trainable)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizer.update(gradient, state, trainable)
                return (optax.apply_updates(trainable, updates), state), None

        return jax.lax.scan(step, (trainable, state), start + jnp.arange(steps // 2))[0]

    carry, history = (variables["params"], optimizer.init(variables["params"])), []
    for start in (0, steps // 2):
        carry = advance(*carry, variables["frozen"], jnp.asarray(start))
        history.append(variables | {"params": carry[0]})
    return history


def network(shapes=(24, (16, 12)), examples=96):
    """A LeNet, its parameters in float64, and its loss on batch number `step % 3` of noisy class means."""
    features, widths = shapes
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, examples)
    images = random.normal(size=(examples, features)) + 2 * random.normal(size=(10, features))[labels]
    images, labels = jnp.asarray(images).reshape(3, -1, features), jnp.asarray(labels, jnp.int32).reshape(3, -1)
    model = models.LeNet(widths=widths)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, features), jnp.float32))["params"]
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float64), shapes)

    def loss(weights, step):
        logits = model.apply({"params": weights}, images[step % 3])
        with jax.numpy_dtype_promotion("standard"):
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels[step % 3]).mean()

    return params, loss


def tree():
    """Leaves of ranks 1 to 4 and a loss that is not linear in any of them."""
    random = np.random.default_rng(1)
    draw = lambda shape: jnp.asarray(random.normal(size=shape))  # noqa: E731
    is_shape = lambda leaf: isinstance(leaf, tuple)  # noqa: E731
    params, targets = (jax.tree.map(draw, SHAPES, is_leaf=is_shape) for _ in range(2))

    def loss(weights, step):
        phase = 1 + jnp.asarray(step % 5, jnp.float64)
        return sum(
            jnp.sum(jnp.tanh(3 * weight - phase * target) ** 2)
            for weight, target in zip(jax.tree.leaves(weights), jax.tree.leaves(targets), strict=True)
        )

    return params, loss


def assert_same_training(k, selection, params, loss, optimizer, steps=STEPS, storages=STORAGES, **variant):
    explicit = paper.slot_machine(k, selection, **variant)
    states = [*map(seen(explicit), train(explicit, params, loss, optimizer, steps))]
    for storage in storages:
        factored = paper.slot_machine(k, selection, scores="factored", options=storage, **variant)
        for one, other in zip(
            states, map(seen(factored), train(factored, params, loss, optimizer, steps)), strict=True
        ):
            chex.assert_trees_all_equal(other[0], one[0])
            chex.assert_trees_all_close(other[1], one[1], rtol=0, atol=1e-9)
    assert k == 1 or changed(states[0][0], states[-1][0]) > 0


def seen(selector):
    """What is selected, without a key and with one, and the scores and weights."""

    @jax.jit
    def see(variables):
        selections = selector.selection(variables), selector.selection(variables, jax.random.key(9))
        return selections, (selector.scores(variables), selector.select(variables))

    return see


def changed(before, after):
    pairs = zip(*map(jax.tree.leaves, (before, after)), strict=True)
    return sum(int(np.sum(one != other)) for one, other in pairs)


def test_a_small_network_trains_alike_for_200_steps(x64):
    assert_same_training(8, "greedy", *network((24, (8,))), SGD["the paper's"](), 200, ["seeded"])


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize(("k", "steps"), [(1, 100), (2, 300), (64, 100)])
def test_a_network_trains_alike(k, steps, selection, x64):
    """Momentum, L2 penalty and warm restarts: the same selections and draws, scores to 1e-9."""
    assert_same_training(k, selection, *network(), SGD["the paper's"](), steps)


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("k", [8])
def test_lenet_300_100_trains_alike(k, selection, x64):
    assert_same_training(k, selection, *network((784, (300, 100)), 384), SGD["the paper's"](), 50)


@pytest.mark.slow
@pytest.mark.parametrize("rule", SGD)
def test_every_linear_optimizer_trains_alike(rule, x64):
    assert_same_training(3, "greedy", *network(), SGD[rule]())


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("k", [3])
def test_a_tree_of_all_ranks_trains_alike(k, selection, x64):
    assert_same_training(k, selection, *tree(), SGD["the paper's"]())


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_alike(variant, selection, x64):
    assert_same_training(3, selection, *network(), SGD["the paper's"](), **VARIANTS[variant])


@pytest.mark.slow
def test_an_optimizer_that_is_not_linear_trains_otherwise(x64):
    """What the guard is for, and proof that the tests above can fail."""
    with pytest.raises(AssertionError):
        assert_same_training(8, "greedy", *network(), optax.adam(0.01))


def assert_nothing_as_large_as_k_weights_is_made(k, selection, **variant):
    """In a whole training loop, so that nothing is kept from one step to the next either."""
    selector, n = paper.slot_machine(k, selection, scores="factored", options="seeded", **variant), 300 * 200
    variables = selector.init(jax.random.key(0), jnp.zeros((300, 200)))

    def loop(trainable, frozen, x):
        def step(trainable, key):
            loss = lambda t: jnp.sum((x @ selector.select({"params": t, "frozen": frozen}, key)) ** 2)  # noqa: E731
            return jax.tree.map(lambda p, g: p - 0.01 * g, trainable, jax.grad(loss)(trainable)), None

        return jax.lax.scan(step, trainable, jax.random.split(jax.random.key(0), 5))[0]

    compiled = jax.jit(loop).lower(variables["params"], variables["frozen"], jnp.ones((4, 300))).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 16 * n * 4
    sizes = [
        np.prod([int(size) for size in shape.split(",")]) for shape in re.findall(r"\[([\d,]+)\]", compiled.as_text())
    ]
    assert max(sizes) <= n


@pytest.mark.slow
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("k", [8, 64, 256])
def test_nothing_as_large_as_k_weights_is_ever_made(k, selection):
    assert_nothing_as_large_as_k_weights_is_made(k, selection)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_nor_by_any_variant(variant):
    assert_nothing_as_large_as_k_weights_is_made(20, "probabilistic", **VARIANTS[variant])


@pytest.mark.slow
def test_the_compiled_program_does_not_grow_with_k():
    def size(k):
        selector = paper.slot_machine(k, scores="factored", options="seeded")
        variables = jax.eval_shape(lambda: selector.init(jax.random.key(0), jnp.zeros((30, 20))))
        return len(jax.jit(selector.select).lower(variables).compile().as_text())

    assert size(4096) < 1.2 * size(64)


def test_one_compilation_for_every_state(compilations):
    selector = paper.slot_machine(20, scores="factored", options="seeded")
    select = jax.jit(selector.select)
    variables = [selector.init(jax.random.key(seed), jnp.zeros((30, 20))) for seed in range(3)]
    select(variables[0])
    before = len(compilations)
    for other in variables[1:]:
        select(other)
    assert len(compilations) == before


@pytest.mark.parametrize("initial", ["given", "nearest"])
def test_a_decay_of_u_and_a_changes_no_choice(initial):
    selector = slotjax.slot_machine(8, initial=initial, exact=True)
    variables = selector.init(jax.random.key(0), jax.random.normal(jax.random.key(1), (8, 6)))
    decayed = variables | {"params": jax.tree.map(lambda leaf: leaf / 4, variables["params"])}
    np.testing.assert_array_equal(selector.selection(decayed), selector.selection(variables))
