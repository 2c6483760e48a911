"""The parts of a run that its settings decide, whatever the data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

import slotjax
from experiments.recipes import recipe, resolve
from experiments.settings import Settings
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
    if settings.biases_and_scales == "fixed":
        return slotjax.partition({"(.*/)?(bias|scale)": slotjax.fixed(), ".*": _method_of(settings)})
    return _method_of(settings)


def _method_of(settings: Settings) -> slotjax.Selector:
    distribution = distribution_of(settings)
    if settings.method == "slot_machine":
        return slotjax.slot_machine(
            settings.k,
            settings.selection,
            scores=settings.scores,
            options=settings.options,
            distribution=distribution,
            score_scale=settings.score_scale,
            share=settings.share,
            sparse=settings.sparse,
            initial=settings.initial,
        )
    if settings.method == "edge_popup":
        return slotjax.edge_popup(
            settings.keep_fraction, ranking=settings.ranking, options=settings.options, distribution=distribution
        )
    if settings.method == "supermask":
        return slotjax.supermask(
            evaluation=settings.evaluation,
            rescale=settings.rescale,
            options=settings.options,
            distribution=distribution,
        )
    if settings.method == "learned":
        return slotjax.learned(None if settings.init_from else distribution)
    return slotjax.random_selection(distribution)


def distribution_of(settings: Settings) -> slotjax.Distribution:
    """What random values are drawn from.

    >>> distribution_of(Settings(distribution="kaiming_normal", fan="fan_out")).scale((8, 2))
    1.0
    """
    name = settings.distribution or recipe(settings).distribution
    counts_one_fan = not name.startswith("glorot")
    distribution = getattr(slotjax, name)(settings.fan) if counts_one_fan else getattr(slotjax, name)()
    scaled = settings.method == "edge_popup" and settings.scale_for_kept
    return slotjax.scaled_for(settings.keep_fraction, distribution) if scaled else distribution


def optimizer_of(settings: Settings, steps_per_epoch: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """The learning rate schedule and the optimizer that the settings describe."""
    complete: Any = resolve(settings)
    schedule = training.learning_rate_schedule(
        complete.schedule, complete.learning_rate, complete.epochs, steps_per_epoch, complete.restarts
    )
    return schedule, training.sgd(schedule, complete.momentum, complete.weight_decay, complete.nesterov)
