"""The parts of a run that its settings decide, whatever the data."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

import slotjax
from experiments.configuration.choices import FOREIGN
from experiments.configuration.settings import Settings
from experiments.running.foreign import foreign
from experiments.schema import problems
from slotjax import data, models, training

STARTS = {"scale": 1, "bias": 0, "var": 1, "mean": 0}
_INIT = 3  # beside the uses of a run's key in training
MODEL_SETTINGS = ("padding", "width_multiplier", "dropout", "affine")  # of those networks that have them

Source = data.Dataset | data.Stream


class Inputs(NamedTuple):
    """What a network sees: the shape and dtype of one image, or of the bytes of a text, and the number of classes."""

    image_shape: tuple[int, ...]
    dtype: str
    classes: int


class Network(NamedTuple):
    """A network as training needs it.

    Attributes:
        apply: the model, from images as the dataset has them to logits; with a key, augmented and with dropout.
        init: from a key to the weights that the model's own initializers draw.
        shapes: of its weights; where there are scales and biases, the arrays that they start from.
        batch_stats: running statistics of batches before training; `{}` without batch norm.
    """

    apply: training.Apply
    init: Callable[[jax.Array], PyTree]
    shapes: PyTree
    batch_stats: PyTree


def load_source(settings: Settings, data_dir: str | None, load: Callable[..., data.Dataset] | None = None) -> Source:
    """The dataset, or a stream of one that fits into no memory.

    >>> from experiments.flags.resolve import Request, resolve
    >>> len(load_source(resolve(Request(train_on_all=True)), None).train.labels)
    4000
    >>> [len(split.labels) for split in load_source(resolve(Request(examples=600)), None)[:3]]
    [600, 500, 600]
    """
    if settings.dataset in data.STREAMS:
        return data.load_imagenet(data_dir, settings.image_size, settings.examples)
    dataset = (load or data.load)(settings.dataset, data_dir, settings.examples)
    if settings.train_on_all:
        both = zip(dataset.train, dataset.validation, strict=True)
        dataset = dataset._replace(train=data.Split(*map(np.concatenate, both)))
    return dataset


def inputs_of(source: Source) -> Inputs:
    """What a network sees of a dataset.

    >>> inputs_of(data.load("mnist_sample"))
    Inputs(image_shape=(28, 28, 1), dtype='uint8', classes=10)
    """
    if isinstance(source, data.Stream):
        return Inputs(source.image_shape, "uint8", source.classes)
    images = source.train.images
    return Inputs(images.shape[1:], str(images.dtype), source.classes)


def inputs_from(described: Mapping[str, Any]) -> Inputs:
    """The inputs that `Inputs._asdict` described, read back from JSON.

    Raises:
        ValueError: if they are not what a network can see, in a phrase.

    >>> inputs_from({"image_shape": [28, 28, 1], "dtype": "uint8", "classes": 10}).image_shape
    (28, 28, 1)
    """
    for problem in problems(dict(described), Inputs):
        raise ValueError(problem)
    shape, dtype, classes = (described[name] for name in Inputs._fields)
    if len(shape) not in (1, 3) or not all(0 < side < 2**31 for side in shape):
        raise ValueError(f"image_shape is {shape} in place of a number of features, or of height, width and channels")
    if dtype not in ("uint8", "float32") or not 2 <= classes < 2**31:
        raise ValueError(f"it has images of {dtype} in {classes} classes in place of uint8 or float32 in at least 2")
    return Inputs(tuple(described["image_shape"]), described["dtype"], described["classes"])


def examples_of(source: Source) -> int:
    """How many examples there are to train on."""
    return source.train_examples if isinstance(source, data.Stream) else len(source.train.labels)


def network(settings: Settings, inputs: Inputs) -> Network:
    """The network that the settings describe, with normalization and augmentation of its images.

    Raises:
        ValueError: for a convolutional network and examples that are no images, or images too small for it.
    """
    if settings.model not in ("lenet", *models.TEXT_MODELS) and len(inputs.image_shape) != 3:
        raise ValueError(
            f"--model: {settings.model} needs images of height, width and channels, not {inputs.image_shape}"
        )
    if settings.augmentation != "none" and len(inputs.image_shape) != 3:
        raise ValueError(f"--augmentation: it needs images of height, width and channels, not {inputs.image_shape}")
    functions, as_input = _functions(settings, inputs), _as_input(settings)

    def apply(weights: PyTree, batch_stats: PyTree, images: jax.Array, key: Any = None) -> Any:
        if key is not None:
            augment_key, key = jax.random.split(key)
            images = data.augment(images, augment_key, settings.augmentation)
        return functions.apply(weights, batch_stats, as_input(images), key)

    def init(key: jax.Array) -> PyTree:
        return functions.init(key, as_input(jnp.zeros((1, *inputs.image_shape), inputs.dtype)))

    shapes = _shapes(init)
    if shapes is None or any(leaf.size == 0 for leaf in jax.tree.leaves(shapes)):
        raise ValueError(f"--model: {settings.model} needs larger images than {inputs.image_shape}")
    return Network(
        apply, lambda key: init(key)["params"], initial(shapes["params"]), initial(shapes.get("batch_stats", {}))
    )


class _Functions(NamedTuple):
    """A model: from a key and images to its variables, and `apply` as training calls it."""

    init: Callable[[jax.Array, jax.Array], PyTree]
    apply: training.Apply


def _functions(settings: Settings, inputs: Inputs) -> _Functions:
    if settings.model not in FOREIGN:
        model = module(settings, inputs.classes)
        return _Functions(model.init, training.linen_apply(model))
    height, width, channels = inputs.image_shape
    init, apply = foreign(settings.model, (height, width, channels), inputs.classes)
    return _Functions(
        lambda key, images: {"params": init(key)},
        lambda weights, batch_stats, images, key=None: (apply(weights, images), batch_stats),
    )


def _as_input(settings: Settings) -> Callable[[jax.Array], jax.Array]:
    """From images to what a model takes, which is floats, but for a text the bytes themselves."""
    if settings.model in models.TEXT_MODELS:
        return lambda text: text
    return partial(data.as_float, normalization=data.NORMALIZATIONS.get(settings.dataset))


def _shapes(init: Callable[[jax.Array], PyTree]) -> PyTree | None:
    """Those of its variables, or none if Flax divides by the size of a layer that has no pixels left."""
    try:
        return jax.eval_shape(lambda: init(jax.random.key(0)))
    except ZeroDivisionError:
        return None


def start_of(settings: Settings, built: Network) -> PyTree:
    """What a selector draws from: the weights of the model's own init where it takes values from them, else shapes.

    >>> from experiments.flags.resolve import Request, resolve
    >>> settings = resolve(Request(distribution="own"))
    >>> start = start_of(settings, network(settings, Inputs((28, 28, 1), "uint8", 10)))
    >>> round(float(start["Dense_0"]["kernel"].std()), 3)  # which is 1 / 28
    0.036
    """
    if settings.model not in (*models.TEXT_MODELS, *FOREIGN) and not settings.distribution.startswith("own"):
        return built.shapes
    return jax.jit(built.init)(jax.random.fold_in(jax.random.key(settings.seed), _INIT))


def draw(selector: slotjax.Selector, key: jax.Array, weights: PyTree) -> dict[str, PyTree]:
    """What `selector.init` gives, as one compiled program and not as a dozen for every weight.

    Args:
        selector: what draws.
        key: of all that is random.
        weights: arrays, or where only their shapes matter, shapes.

    >>> draw(slotjax.learned(), jax.random.key(0), {"bias": jnp.ones(2)})["params"]
    {'bias': Array([1., 1.], dtype=float32)}
    """
    leaves, treedef = jax.tree.flatten(weights)
    arrays = {at: leaf for at, leaf in enumerate(leaves) if not isinstance(leaf, jax.ShapeDtypeStruct)}

    def init(key: jax.Array, arrays: dict[int, jax.Array]) -> dict[str, PyTree]:
        return selector.init(key, jax.tree.unflatten(treedef, [arrays.get(at, leaf) for at, leaf in enumerate(leaves)]))

    return jax.jit(init)(key, arrays)


def module(settings: Settings, classes: int) -> nn.Module:
    """The Flax module, with those of the settings that it has.

    >>> from experiments.flags.resolve import Request, resolve
    >>> module(resolve(Request(model="conv2", width_multiplier=0.5)), 10).width_multiplier
    0.5
    """
    model = models.MODELS[settings.model](classes=classes)
    given = {name: getattr(settings, name) for name in MODEL_SETTINGS}
    if settings.compute_dtype != "float32":
        given["dtype"] = jnp.dtype(settings.compute_dtype)
    return model.clone(**{name: value for name, value in given.items() if hasattr(model, name)})


def initial(shapes: PyTree) -> PyTree:
    """Scales and variances of 1, biases and means of 0, as Flax starts them, and the shapes of all other leaves.

    >>> initial({"kernel": jax.ShapeDtypeStruct((2, 2), "float32"), "bias": jax.ShapeDtypeStruct((2,), "float32")})
    {'bias': Array([0., 0.], dtype=float32), 'kernel': ShapeDtypeStruct(shape=(2, 2), dtype=float32)}
    """

    def start(path: Any, leaf: jax.ShapeDtypeStruct) -> Any:
        value = STARTS.get(path[-1].key)
        return leaf if value is None else jnp.full(leaf.shape, value, leaf.dtype)

    return jax.tree_util.tree_map_with_path(start, shapes)


def optimizer_of(settings: Settings, steps_per_epoch: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """The learning rate schedule and the optimizer that the settings describe."""
    schedule = training.learning_rate_schedule(
        settings.schedule,
        settings.learning_rate,
        settings.epochs,
        steps_per_epoch,
        settings.restarts,
        settings.warmup_epochs,
    )
    if settings.optimizer == "adam":
        return schedule, training.adam(schedule, settings.weight_decay)
    return schedule, training.sgd(schedule, settings.momentum, settings.weight_decay, settings.nesterov)
