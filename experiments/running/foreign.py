"""One small CNN in four libraries, each as its users write it: networks that know nothing of this project.

A pytree of any kind becomes weights by name here, so that checkpoints and tickets of all of them are alike.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from flax import nnx
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Float, PyTree

from slotjax import data
from slotjax.selectors import named_leaves

_FIRST, _SECOND = 8, 16  # channels, of 5x5 and 3x3 convolutions, both with a stride of 2


class Functions(NamedTuple):
    """A network as pure functions: from a key to its parameters, and from those and images to logits."""

    init: Callable[[Array], PyTree]
    apply: Callable[[PyTree, Float[Array, "batch height width channels"]], Float[Array, "batch classes"]]


def foreign(model: str, image: tuple[int, int, int], classes: int) -> Functions:
    """The CNN of a library, with its parameters in nested dictionaries by their names.

    Args:
        model: `"linen_cnn"`, `"nnx_cnn"`, `"equinox_cnn"` or `"haiku_cnn"`.
        image: height, width and channels of the images.
        classes: how many there are.

    Raises:
        ValueError: for images that are too small.
        ImportError: if the library is not installed.

    >>> network = foreign("nnx_cnn", (9, 9, 1), 10)
    >>> sorted(jax.eval_shape(network.init, jax.random.key(0)))
    ['first', 'last', 'second']
    """
    if min(image[:2]) < 9:
        raise ValueError(f"--model: {model} needs larger images than {image}")
    own = _LIBRARIES[model](image, classes)
    shapes = jax.eval_shape(own.init, jax.random.key(0))
    structure: Any = jax.tree.structure(shapes)
    names = [*named_leaves(shapes)]

    def init(key: Array) -> PyTree:
        return unflatten_dict({tuple(name.split("/")): leaf for name, leaf in named_leaves(own.init(key)).items()})

    def apply(weights: PyTree, images: Float[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        leaves = named_leaves(weights)
        return own.apply(structure.unflatten([leaves[name] for name in names]), images)

    return Functions(init, apply)


def _linen(image: tuple[int, int, int], classes: int) -> Functions:
    layers: list[Any] = [nn.Conv(_FIRST, (5, 5), 2, "VALID"), nn.relu, nn.Conv(_SECOND, (3, 3), 2, "VALID"), nn.relu]
    model: Any = nn.Sequential([*layers, lambda features: features.reshape(len(features), -1), nn.Dense(classes)])
    images = jax.numpy.zeros((1, *image))
    return Functions(
        lambda key: model.init(key, images)["params"],
        lambda weights, images: model.apply({"params": weights}, images),
    )


def _nnx(image: tuple[int, int, int], classes: int) -> Functions:
    class Cnn(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.first = nnx.Conv(image[-1], _FIRST, (5, 5), 2, padding="VALID", rngs=rngs)
            self.second = nnx.Conv(_FIRST, _SECOND, (3, 3), 2, padding="VALID", rngs=rngs)
            self.last = nnx.Linear(_features(image), classes, rngs=rngs)

        def __call__(self, images: Array) -> Array:
            features = nnx.relu(self.second(nnx.relu(self.first(images))))
            return self.last(features.reshape(len(features), -1))

    structure = nnx.graphdef(nnx.eval_shape(lambda: Cnn(nnx.Rngs(0))))
    return Functions(
        lambda key: nnx.state(Cnn(nnx.Rngs(key)), nnx.Param),
        lambda state, images: nnx.merge(structure, state)(images),
    )


def _equinox(image: tuple[int, int, int], classes: int) -> Functions:
    data.require("test", "model: equinox_cnn", "equinox")
    import equinox as eqx

    def make(key: Array) -> Any:
        first, second, last = jax.random.split(key, 3)
        layers: list[Any] = [
            eqx.nn.Conv2d(image[-1], _FIRST, 5, 2, key=first),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Conv2d(_FIRST, _SECOND, 3, 2, key=second),
            eqx.nn.Lambda(lambda features: jax.nn.relu(features).ravel()),
            eqx.nn.Linear(_features(image), classes, key=last),
        ]
        return eqx.nn.Sequential(layers)

    shapes = eqx.filter_eval_shape(make, jax.random.key(0))
    rest = eqx.filter(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct), inverse=True)
    return Functions(
        lambda key: eqx.filter(make(key), eqx.is_array),
        lambda arrays, images: jax.vmap(eqx.combine(arrays, rest))(images.transpose(0, 3, 1, 2)),
    )


def _haiku(image: tuple[int, int, int], classes: int) -> Functions:
    data.require("test", "model: haiku_cnn", "dm-haiku")
    import haiku as hk

    def forward(images: Array) -> Array:
        features = jax.nn.relu(hk.Conv2D(_FIRST, 5, 2, padding="VALID")(images))
        features = jax.nn.relu(hk.Conv2D(_SECOND, 3, 2, padding="VALID")(features))
        return hk.Linear(classes)(hk.Flatten()(features))

    model: Any = hk.without_apply_rng(hk.transform(forward))
    images = jax.numpy.zeros((1, *image))
    return Functions(lambda key: model.init(key, images), model.apply)


def _features(image: tuple[int, int, int]) -> int:
    """Of the second convolution, all together."""
    height, width = (((side - 5) // 2 + 1 - 3) // 2 + 1 for side in image[:2])
    return _SECOND * height * width


_LIBRARIES: dict[str, Callable[[tuple[int, int, int], int], Functions]] = {
    "linen_cnn": _linen,
    "nnx_cnn": _nnx,
    "equinox_cnn": _equinox,
    "haiku_cnn": _haiku,
}
