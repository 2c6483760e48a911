"""What a run costs in floating-point operations."""

from typing import Any

import jax
import jax.numpy as jnp

import slotjax
from experiments.configuration.recipes import resolve
from experiments.configuration.settings import Settings
from experiments.running.components import Inputs, network, optimizer_of, selector_of
from slotjax import training
from slotjax.data import Split


def flops_per_step(settings: Settings, inputs: Inputs) -> float:
    """The floating-point operations of one training step, selection included, as XLA counts them.

    >>> flops_per_step(Settings(k=2), Inputs((28, 28, 1), "uint8", 10)) > 128 * 4 * 266_200
    True
    """
    complete = resolve(settings)
    built, selector = network(complete, inputs), selector_of(complete)
    # Of as many steps as let its rates be tried fast, which do not change the count.
    optimizer = optimizer_of(complete, 1000)[1]
    key = jax.random.key(0)
    weights = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), built.shapes)
    variables = jax.eval_shape(selector.init, key, weights)
    state = jax.eval_shape(
        lambda params: training.init_state(key, params, optimizer, built.batch_stats), variables["params"]
    )
    size: Any = complete.batch_size
    images, labels = jnp.zeros((size, *inputs.image_shape), inputs.dtype), jnp.zeros(size, jnp.int32)
    step = training.train_step(training.Learner(apply=built.apply, selector=selector, optimizer=optimizer))
    return slotjax.analysis.flops(step, state, variables["frozen"], Split(images, labels))
