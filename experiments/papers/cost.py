"""What a run costs in floating-point operations."""

import jax
import jax.numpy as jnp

import slotjax
from experiments.configuration.settings import Settings
from experiments.methods import selector_of
from experiments.running.components import Inputs, network, optimizer_of
from slotjax import data, training


def flops_per_step(settings: Settings, inputs: Inputs) -> float:
    """The floating-point operations of one training step, selection included, as XLA counts them.

    >>> from experiments.flags.resolve import Request, resolve
    >>> flops_per_step(resolve(Request(k=2)), Inputs((28, 28, 1), "uint8", 10)) > 128 * 4 * 266_200
    True
    """
    built, selector = network(settings, inputs), selector_of(settings)
    # Of as many steps as let its rates be tried fast, which do not change the count.
    optimizer = optimizer_of(settings, 1000)[1]
    key = jax.random.key(0)
    weights = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), built.shapes)
    variables = jax.eval_shape(selector.init, key, weights)
    state = jax.eval_shape(
        lambda params: training.init_state(key, params, optimizer, built.batch_stats), variables["params"]
    )
    images = jnp.zeros((settings.batch_size, *inputs.image_shape), inputs.dtype)
    labels = jnp.zeros(images.shape if settings.dataset in data.TEXTS else settings.batch_size, jnp.int32)
    step = training.train_step(training.Learner(apply=built.apply, selector=selector, optimizer=optimizer))
    return slotjax.analysis.flops(step, state, variables["frozen"], data.Split(images, labels))
