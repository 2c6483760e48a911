"""The Linen layers: drop-in for Flax's own, and the same network as the selector makes of the whole model."""

import inspect
from typing import get_args

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax.options import draw_seed, uniform_numbers
from slotjax.selectors.each import fold_name
from tests import paper, reference

DENSE = [
    {"features": 5},
    {"features": 5, "use_bias": False},
    {"features": 5, "dtype": jnp.bfloat16},
    {"features": 5, "dtype": jnp.bfloat16, "param_dtype": jnp.bfloat16, "bias_init": nn.initializers.normal()},
    {"features": 5, "precision": "highest"},
]
CONV = [
    {"features": 4, "kernel_size": (3, 3)},
    {"features": 4, "kernel_size": (3, 3), "padding": "VALID", "use_bias": False},
    {"features": 4, "kernel_size": (3, 3), "strides": 2, "padding": ((1, 2), (0, 1))},
    {"features": 4, "kernel_size": (3, 3), "feature_group_count": 2},
    {"features": 4, "kernel_size": (3, 3), "kernel_dilation": 2, "padding": "CIRCULAR"},
    {"features": 4, "kernel_size": (2,), "bias_init": nn.initializers.normal()},
    {"features": 4, "kernel_size": (3, 3), "dtype": jnp.bfloat16},
]
LAYERS = [(slotjax.Dense, nn.Dense, settings) for settings in DENSE] + [
    (slotjax.Conv, nn.Conv, settings) for settings in CONV
]
X = jnp.asarray(np.random.default_rng(1).normal(size=(2, 8, 8, 2)), jnp.float32)


@pytest.mark.quick("Conv-Conv-settings5")
@pytest.mark.parametrize(("ours", "flax", "settings"), LAYERS)
def test_a_layer_is_flax_layer_with_the_selected_kernel(ours, flax, settings):
    selector, key = paper.slot_machine(3), jax.random.key(0)
    layer, plain = ours(**settings, selector=selector), flax(**settings)
    variables = layer.init(key, X)
    expected = selector.init(key, plain.init(key, X)["params"])
    chex.assert_trees_all_equal(variables["params"], expected["params"])
    chex.assert_trees_all_equal(jax.tree.leaves(variables["frozen"]), jax.tree.leaves(expected["frozen"]))
    output = plain.apply({"params": selector.select(expected)}, X)
    assert layer.apply(variables, X).dtype == output.dtype
    np.testing.assert_array_equal(layer.apply(variables, X), output)


@pytest.mark.parametrize(("ours", "flax"), [(slotjax.Dense, nn.Dense), (slotjax.Conv, nn.Conv)])
def test_the_signature_is_flax_signature_and_a_selector(ours, flax):
    parameters = dict(inspect.signature(ours).parameters)
    assert parameters.pop("selector")
    assert parameters == dict(inspect.signature(flax).parameters)


class Network(nn.Module):
    """One network, of Flax's layers or of ours."""

    dense: type[nn.Module]
    conv: type[nn.Module]

    @nn.compact
    def __call__(self, images):
        features = nn.relu(self.conv(3, (3, 3), bias_init=nn.initializers.normal())(images))
        return self.dense(5, name="head")(nn.remat(self.dense)(6)(features.reshape(images.shape[0], -1)))


OURS, FLAX = Network(slotjax.Dense, slotjax.Conv), Network(nn.Dense, nn.Conv)


@pytest.mark.slow
@pytest.mark.parametrize("selection", [pytest.param("greedy", marks=pytest.mark.slow), "probabilistic"])
def test_layers_and_pytree_give_the_same_network(selection):
    selector, key, draw = paper.slot_machine(selection=selection), jax.random.key(0), jax.random.key(2)
    ours = Network(_with(slotjax.Dense, selector), _with(slotjax.Conv, selector))
    variables = ours.init(key, X)
    expected = selector.init(key, FLAX.init(key, X)["params"])
    chex.assert_trees_all_equal(variables["params"], expected["params"])
    for rng in (None, draw):
        logits = ours.apply(variables, X, rngs=None if rng is None else {"select": rng})
        weights = selector.select(expected, rng)
        np.testing.assert_allclose(logits, FLAX.apply({"params": weights}, X), rtol=1e-6)


def _with(layer, selector):
    """The layer class with another default selector, under the same name, so that Flax names modules the same."""
    return type(layer.__name__, (layer,), {"__annotations__": {"selector": slotjax.Selector}, "selector": selector})


@pytest.mark.slow
def test_jit_grad_and_vmap():
    variables = OURS.init(jax.random.key(0), X)

    def loss(params, images):
        return jnp.sum(OURS.apply(variables | {"params": params}, images) ** 2)

    eager = jax.grad(loss)(variables["params"], X)
    chex.assert_trees_all_close(jax.jit(jax.grad(loss))(variables["params"], X), eager, rtol=1e-4, atol=1e-5)
    stacked = jax.vmap(jax.grad(loss), (None, 0))(variables["params"], X[:, None])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf.sum(0), stacked), eager, rtol=1e-4, atol=1e-4)


def test_a_scan_over_layers_has_options_of_its_own_in_every_layer():
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, features, _):
            return slotjax.Dense(4, selector=paper.slot_machine())(features), None

    stack = nn.scan(Layer, {"params": 0, "frozen": 0}, split_rngs={"params": True, "select": True}, length=3)()
    features = jnp.ones((2, 4))
    variables = stack.init(jax.random.key(0), features, None)
    options = np.asarray(variables["frozen"]["Dense_0"]["kernel"]["options"])
    assert options.shape == (3, 8, 4, 4)
    assert len(np.unique(options)) == options.size
    selected = slotjax.selection.straight_through(
        *(jnp.swapaxes(leaf, 0, 1) for leaf in (variables["params"]["Dense_0"]["kernel"], jnp.asarray(options))),
        jnp.argmax(variables["params"]["Dense_0"]["kernel"], 1).astype(jnp.int32),
    )
    expected = features
    for kernel in selected:
        expected = expected @ kernel
    np.testing.assert_allclose(stack.apply(variables, features, None)[0], expected, rtol=1e-5)


@pytest.mark.slow
def test_a_kernel_that_where_leaves_out_is_an_ordinary_one():
    selector = paper.slot_machine(where=lambda name, leaf: name == "Conv_0/kernel")
    network = Network(_with(slotjax.Dense, selector), _with(slotjax.Conv, selector))
    variables = network.init(jax.random.key(0), X)
    expected = selector.init(jax.random.key(0), FLAX.init(jax.random.key(0), X)["params"])
    chex.assert_trees_all_equal(variables["params"], expected["params"])
    assert variables["params"]["head"]["kernel"].shape == (6, 5)
    selected = {name for name, frozen in variables["frozen"].items() if jax.tree.leaves(frozen)}
    assert selected == {"Conv_0"}


def test_a_kernel_init_gives_the_scale_or_is_refused():
    x, wide = jnp.ones((1, 200)), nn.initializers.normal(3.0)
    variables = slotjax.Dense(50, kernel_init=wide).init(jax.random.key(0), x)
    assert float(variables["frozen"]["kernel"]["sigma"]) == pytest.approx(3, rel=0.05)
    with pytest.raises(ValueError, match="kernel_init: the selector's distribution would be drawn in its place; give"):
        slotjax.Dense(5, kernel_init=wide, selector=paper.slot_machine()).init(jax.random.key(0), x)


def test_a_kernel_init_without_a_scale_is_refused():
    layer = slotjax.Dense(5, kernel_init=nn.initializers.ones)
    with pytest.raises(ValueError, match=r"the values of \['kernel'\] do not vary about zero, so no weight"):
        layer.init(jax.random.key(0), X)


@pytest.mark.slow
def test_apply_without_the_options_is_refused():
    variables = slotjax.Dense(5).init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="frozen: the collection with the random values of selected weights is"):
        slotjax.Dense(5).apply({"params": variables["params"]}, X, mutable=True)


@pytest.mark.slow
def test_apply_leaks_no_tracer():
    variables = slotjax.Dense(5).init(jax.random.key(0), X)
    with jax.checking_leaks():
        jax.jit(slotjax.Dense(5).apply)(variables, X)


K = [1, 2, 3, 8, 64]


@pytest.mark.quick("dense-greedy-3")
@pytest.mark.parametrize("k", K)
@pytest.mark.parametrize("selection", get_args(slotjax.selectors.Selection))
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_layers_equal_the_papers_equations_in_float64(k, selection, kind, x64):
    """Weights bit for bit; outputs and gradients of scores to 1e-12."""
    random = np.random.default_rng(k)
    settings = {"use_bias": False, "param_dtype": jnp.float64, "selector": paper.slot_machine(k, selection)}
    if kind == "dense":
        layer, images = slotjax.Dense(7, **settings), random.normal(size=(5, 6))
    else:
        layer, images = slotjax.Conv(4, (3, 3), padding="VALID", **settings), random.normal(size=(3, 6, 6, 2))
    variables = layer.init(jax.random.key(0), jnp.asarray(images))
    scores, options = (np.asarray(jax.tree.leaves(variables[name])[0]) for name in ("params", "frozen"))
    scores = scores + random.normal(size=scores.shape)
    key = jax.random.key(5)
    seed = draw_seed(fold_name(key, "kernel"))
    uniform = np.asarray(uniform_numbers(seed, scores.shape[1:], jnp.dtype(jnp.float64)))
    index = reference.greedy(scores) if selection == "greedy" else reference.probabilistic(scores, uniform)
    kernel = reference.selected(options, index)
    variables = variables | {"params": {"kernel": jnp.asarray(scores)}}
    select = layer.selector.select(variables, key)["kernel"]
    np.testing.assert_array_equal(select, kernel)

    expected = images @ kernel if kind == "dense" else reference.convolution(images, kernel)
    cotangent = random.normal(size=expected.shape)

    def loss(scores):
        output = layer.apply(variables | {"params": {"kernel": scores}}, jnp.asarray(images), rngs={"select": key})
        return jnp.sum(output * cotangent), output

    gradient, output = jax.jit(jax.grad(loss, has_aux=True))(jnp.asarray(scores))
    np.testing.assert_allclose(output, expected, rtol=1e-12, atol=1e-13)
    if kind == "dense":
        weight_gradient = images.T @ cotangent
    else:
        weight_gradient = reference.convolution_gradient(images, cotangent, kernel.shape)
    expected_gradient = reference.score_gradients(options, weight_gradient)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
def test_a_layer_draws_learned_weights_from_their_distribution():
    x, selector = jnp.ones((1, 50)), slotjax.learned(slotjax.distributions.Distribution("normal", lambda shape: 0.01))
    made = slotjax.Dense(30, use_bias=False, selector=selector).init(jax.random.key(0), x)
    whole = selector.init(jax.random.key(0), {"kernel": jnp.zeros((50, 30))})
    np.testing.assert_array_equal(made["params"]["kernel"], whole["params"]["kernel"])
    layers = (slotjax.Dense(30, use_bias=False, selector=slotjax.learned()), nn.Dense(30, use_bias=False))
    kernels = [layer.init(jax.random.key(0), x)["params"]["kernel"] for layer in layers]
    np.testing.assert_array_equal(*kernels)


@pytest.mark.slow
def test_a_fixed_kernel_keeps_its_own_initializer():
    layer = slotjax.Dense(3, use_bias=False, selector=slotjax.fixed(), kernel_init=nn.initializers.ones)
    variables = layer.init(jax.random.key(0), jnp.ones((1, 4)))
    assert variables["params"]["kernel"] == {}
    np.testing.assert_array_equal(layer.apply(variables, jnp.ones((1, 4))), [[4.0, 4.0, 4.0]])


def test_init_and_apply_draw_alike_from_a_stream_of_the_module():
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(x) + jax.random.normal(self.make_rng("noise"), (3,))[None]

    model, key, x = slotjax.linen.Selected(Noisy(), slotjax.slot_machine(4)), jax.random.key(0), jnp.ones((1, 4))
    output, variables = model.init_with_output({"params": key, "noise": key}, x)
    np.testing.assert_array_equal(output, model.apply(variables, x, rngs={"noise": key}))
