"""The parts of a run that its settings decide, whatever the data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

import slotjax
from experiments.settings import DISTRIBUTIONS, Settings, recipe
from slotjax import data, models, training


class Inputs(NamedTuple):
    """What a network sees: the shape and dtype of one image, and the number of classes."""

    image_shape: tuple[int, ...]
    dtype: str
    classes: int


def inputs_of(dataset: data.Dataset) -> Inputs:
    """What a network sees of a dataset.

    >>> inputs_of(data.load("mnist_sample"))
    Inputs(image_shape=(28, 28, 1), dtype='uint8', classes=10)
    """
    images = dataset.train.images
    return Inputs(images.shape[1:], str(images.dtype), dataset.classes)


def network(name: str, inputs: Inputs) -> tuple[Callable[..., jax.Array], PyTree]:
    """`apply(weights, images) -> logits` of the network called `name`, and the shapes of its weights.

    Raises:
        ValueError: for a convolutional network and examples that are no images.
    """
    if name != "lenet" and len(inputs.image_shape) != 3:
        raise ValueError(f"--model: {name} needs images of height, width and channels, not {inputs.image_shape}")
    model: nn.Module = models.MODELS[name](classes=inputs.classes)

    def apply(weights: PyTree, images: jax.Array) -> Any:
        return model.apply({"params": weights}, images)

    def init() -> PyTree:
        image = data.as_float(jnp.zeros((1, *inputs.image_shape), inputs.dtype))
        return model.init(jax.random.key(0), image)["params"]

    return apply, jax.eval_shape(init)


def selector_of(settings: Settings) -> slotjax.Selector:
    """The selector that the settings describe."""
    return slotjax.slot_machine(
        settings.k,
        settings.selection,
        scores=settings.scores,
        options=settings.options,
        distribution=DISTRIBUTIONS[settings.distribution](),
        score_scale=settings.score_scale,
    )


def optimizer_of(settings: Settings, steps_per_epoch: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """The learning rate schedule and the optimizer that the settings describe."""
    learning_rate, weight_decay = recipe(settings)
    schedule = training.learning_rate_schedule(
        settings.schedule, learning_rate, settings.epochs, steps_per_epoch, settings.restarts
    )
    return schedule, training.sgd(schedule, settings.momentum, weight_decay, settings.nesterov)
