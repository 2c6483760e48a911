"""Where nothing is scattered: on accelerators, whose order of adding is not fixed, or slow if it has to be."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import slotjax
from slotjax import models, training
from slotjax.data import Split
from tests import paper

SMALL, LARGE = (32, 32, 3), (64, 64, 3)
NETWORKS = {
    "lenet": (models.LeNet(), (28, 28, 1)),
    "conv2": (models.conv2(), SMALL),
    "vgg19": (models.VGG19(), SMALL),
    "resnet": (models.ResNet(blocks=(1, 1)), LARGE),
}
SELECTORS = {
    "learned": slotjax.learned(slotjax.distributions.glorot_uniform()),
    "greedy, factored, seeded": paper.slot_machine(8, scores="factored", options="seeded"),
    "greedy, factored, stored": paper.slot_machine(8, scores="factored", options="stored"),
    "greedy, explicit": paper.slot_machine(8, scores="explicit", options="stored"),
    "probabilistic, factored": paper.slot_machine(8, "probabilistic", scores="factored", options="seeded"),
    "probabilistic, explicit": paper.slot_machine(8, "probabilistic", scores="explicit", options="stored"),
    "edge-popup": paper.edge_popup(0.5),
    "supermask": paper.supermask(),
}


def lowered_steps(network, selector):
    """The program of one training step, for each kind of accelerator."""
    model, shape = NETWORKS[network]
    images = jax.ShapeDtypeStruct((8, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    learner = training.Learner(
        apply=training.linen_apply(model), selector=selector, optimizer=training.sgd(0.1, 0.9, 1e-4)
    )
    chosen = jax.eval_shape(selector.init, jax.random.key(0), variables["params"])
    state = training.TrainState(
        step=jnp.zeros((), jnp.int32),
        epoch=jnp.zeros((), jnp.int32),
        key=jax.random.key(1),
        params=chosen["params"],
        opt_state=jax.eval_shape(learner.optimizer.init, chosen["params"]),
        batch_stats=variables.get("batch_stats", {}),
    )
    step, platforms = jax.jit(training.train_step(learner)), ("cuda", "tpu")
    batch = Split(images, jax.ShapeDtypeStruct((8,), jnp.int32))
    traced = step.trace(state, chosen["frozen"], batch)
    return [traced.lower(lowering_platforms=(platform,)).as_text() for platform in platforms]


@pytest.mark.slow
@pytest.mark.parametrize("network", ["lenet", "conv2", pytest.param("vgg19", marks=pytest.mark.slow), "resnet"])
def test_no_network_scatters_in_training(network):
    for program in lowered_steps(network, SELECTORS["greedy, factored, seeded"]):
        assert "scatter" not in program


@pytest.mark.quick("edge-popup")
@pytest.mark.parametrize("selector", SELECTORS)
def test_no_selector_scatters_in_training(selector):
    for program in lowered_steps("lenet", SELECTORS[selector]):
        assert "scatter" not in program


def value_and_gradient(loss, logits, labels):
    losses, pullback = jax.vjp(lambda logits: loss(logits, labels), logits)
    return losses, pullback(jnp.cos(jnp.arange(losses.size)).reshape(losses.shape).astype(losses.dtype))[0]


@pytest.mark.quick("shape0")
@pytest.mark.parametrize("shape", [(16,), (4, 6)])
def test_cross_entropy_is_that_of_optax_bitwise_on_cpus_and_to_rounding_elsewhere(shape):
    random = np.random.default_rng(0)
    logits = jnp.asarray(random.normal(size=(*shape, 10)), jnp.float32)
    labels = jnp.asarray(random.integers(0, 10, shape), jnp.int32)
    with jax.numpy_dtype_promotion("standard"):
        theirs = jax.jit(partial(value_and_gradient, optax.softmax_cross_entropy_with_integer_labels))(logits, labels)
    ours = jax.jit(partial(value_and_gradient, training.cross_entropy))(logits, labels)
    elsewhere = jax.jit(partial(value_and_gradient, training.loss._cross_entropy_by_comparison))(logits, labels)
    for expected, found, close in zip(theirs, ours, elsewhere, strict=True):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(close, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_a_class_that_cannot_be_has_no_part_in_the_loss_elsewhere():
    logits, labels = jnp.array([[0.0, 0.0, -jnp.inf]]), jnp.array([1])
    loss, gradient = value_and_gradient(training.loss._cross_entropy_by_comparison, logits, labels)
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.5, -0.5, 0]], rtol=1e-6)
