"""The CNN of four libraries: the same network, which knows its weights by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.configuration.choices import FOREIGN
from experiments.flags.resolve import Request, resolve
from experiments.methods import selector_of
from experiments.running.components import Inputs, network, start_of
from experiments.running.foreign import foreign
from slotjax.selectors import named_leaves

IMAGE = (9, 9, 1)
CHANNELS_FIRST = {"equinox_cnn"}


@pytest.fixture(scope="module", params=FOREIGN)
def built(request):
    functions = foreign(request.param, IMAGE, 3)
    return request.param, functions, jax.jit(functions.init)(jax.random.key(0))


@pytest.mark.quick("nnx_cnn")
def test_all_libraries_have_as_many_parameters(built):
    _, _, weights = built
    kernels = sorted(leaf.size for leaf in jax.tree.leaves(weights))
    assert kernels == sorted([25 * 8, 8, 9 * 8 * 16, 16, 16 * 3, 3])


def test_it_computes_two_convolutions_and_a_dense_layer(built):
    model, functions, weights = built
    images = jax.random.normal(jax.random.key(1), (2, *IMAGE))
    logits = functions.apply(weights, images)
    leaves = sorted(named_leaves(weights).values(), key=lambda leaf: -leaf.size)
    second, first, last = (np.asarray(leaf, np.float64) for leaf in leaves[:3])
    if model in CHANNELS_FIRST:
        first, second, last = first.transpose(2, 3, 1, 0), second.transpose(2, 3, 1, 0), last.T
    features = np.asarray(images, np.float64)
    for kernel in (first, second):  # biases start at 0, or are Equinox's, which are set to 0 below
        features = np.maximum(_convolution(features, kernel), 0)
    zeroed = jax.tree.map(lambda leaf: leaf if leaf.size in (200, 1152, 48) else jnp.zeros_like(leaf), weights)
    np.testing.assert_allclose(functions.apply(zeroed, images), features.reshape(2, -1) @ last, atol=1e-5)
    assert logits.shape == (2, 3)


def _convolution(features, kernel):
    side = len(kernel)
    places = range(0, features.shape[1] - side + 1, 2)
    rows = [
        [np.einsum("bijc,ijco->bo", features[:, i : i + side, j : j + side], kernel) for j in places] for i in places
    ]
    return np.stack([np.stack(row, 1) for row in rows], 1)


@pytest.mark.quick("linen_cnn", "equinox_cnn")
@pytest.mark.parametrize("model", FOREIGN)
def test_all_kernels_are_selected_at_their_own_scale_and_no_bias(model):
    settings = resolve(Request(model=model, k=4, initial="nearest"))
    built, selector = network(settings, Inputs(IMAGE, "uint8", 3)), selector_of(settings)
    weights = start_of(settings, built)
    variables = jax.eval_shape(selector.init, jax.random.key(0), weights)
    selected = named_leaves(jax.eval_shape(selector.selection, variables))
    assert sorted(leaf.size for leaf in selected.values()) == [48, 200, 1152]


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"--model: nnx_cnn needs larger images than \(8, 9, 1\)"):
        foreign("nnx_cnn", (8, 9, 1), 3)
