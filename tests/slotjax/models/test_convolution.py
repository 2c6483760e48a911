"""The convolution for CPUs is that of lax, in value and gradients, wherever it runs."""

import sys
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from slotjax import models
from slotjax.models import convolution
from slotjax.training import data_mesh

NHWC = ("NHWC", "HWIO", "NHWC")
LAYERS = [
    ((4, 9, 8, 3), (3, 3, 3, 5), (1, 1), "SAME"),
    ((4, 9, 8, 3), (3, 3, 3, 5), (2, 2), "SAME_LOWER"),
    ((4, 9, 8, 3), (2, 3, 3, 5), (2, 1), "VALID"),
    ((4, 12, 12, 3), (5, 5, 3, 5), (2, 2), [(2, 2), (2, 2)]),
    ((4, 9, 8, 3), (1, 1, 3, 5), (1, 1), "SAME"),
    ((4, 9, 8, 3), (1, 1, 3, 5), (2, 2), "SAME"),
    ((4, 5, 6, 3), (3, 3, 3, 5), (1, 1), [(-2, 4), (5, -3)]),
]


def draw(*shapes, dtype=jnp.float32):
    # By NumPy, for every shape that JAX draws is compiled.
    return [jnp.asarray(np.random.default_rng(i).normal(size=shape), dtype) for i, shape in enumerate(shapes)]


def both(strides, padding, **options):
    options = {"window_strides": strides, "padding": padding, "dimension_numbers": NHWC, **options}
    return partial(convolution, **options), partial(lax.conv_general_dilated, **options)


def value_and_gradients(function, images, kernel):
    output, pullback = jax.vjp(function, images, kernel)
    return output, *pullback(
        jnp.cos(jnp.arange(output.size, dtype=jnp.float32)).reshape(output.shape).astype(output.dtype)
    )


def assert_same(ours, theirs, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.dtype == other.dtype
        actual, desired = np.asarray(one, np.float64), np.asarray(other, np.float64)
        np.testing.assert_allclose(
            actual, desired, rtol=tolerance, atol=tolerance * (1 + np.abs(desired).max(initial=0))
        )


@pytest.mark.quick("images0-kernel0-strides0-SAME", "images5-kernel5-strides5-SAME")
@pytest.mark.parametrize(("images", "kernel", "strides", "padding"), LAYERS)
def test_layers_equal_lax(images, kernel, strides, padding):
    arrays = draw(images, kernel)
    ours, theirs = (jax.jit(partial(value_and_gradients, f))(*arrays) for f in both(strides, padding))
    assert_same(ours, theirs)


@pytest.mark.quick("strides1")
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_a_few_images_at_a_time_give_the_same(strides, monkeypatch):
    monkeypatch.setattr(sys.modules["slotjax.models.convolution"], "CHUNK_ELEMENTS", 1500)  # of 640 to 3,456 each
    test_layers_equal_lax((4, 9, 8, 3), (3, 3, 3, 5), strides, "SAME")


sizes = st.integers(1, 7)
windows = st.integers(1, 4)
pairs = st.tuples(st.integers(-2, 5), st.integers(-2, 5))
paddings = st.one_of(st.sampled_from(["SAME", "VALID"]), st.tuples(pairs, pairs))


LAYER = (
    st.tuples(st.integers(1, 5), st.integers(3, 7), st.integers(3, 7), st.integers(1, 3)),
    st.tuples(windows, windows, st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    paddings,
    st.booleans(),
)


def check_layer(images, window, strides, padding, half):
    if not isinstance(padding, str):
        padding = [(max(low, -1), high) for low, high in padding]
    dtype = jnp.bfloat16 if half else jnp.float32
    arrays = draw(images, (*window[:2], images[3], window[2]), dtype=dtype)
    ours, theirs = (jax.jit(partial(value_and_gradients, f))(*arrays) for f in both(strides, padding))
    assert_same(ours, theirs, 2e-2 if half else 1e-5)


@pytest.mark.slow
@settings(max_examples=15)
@given(*LAYER)
def test_any_layer_equals_lax(images, window, strides, padding, half):
    check_layer(images, window, strides, padding, half)


@pytest.mark.parametrize(
    ("images", "kernel", "options"),
    [
        ((2, 6, 6, 4), (3, 3, 2, 4), {"feature_group_count": 2}),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"batch_group_count": 2}),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"lhs_dilation": (2, 1), "padding": ((1, 1), (1, 1))}),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"rhs_dilation": (1, 2)}),
        ((2, 4, 6, 6), (4, 4, 3, 3), {"dimension_numbers": None}),
        ((2, 6, 6, 4), (3, 3, 4, 4), {"preferred_element_type": jnp.float32}),
        ((2, 6, 4), (3, 4, 4), {"dimension_numbers": ("NWC", "WIO", "NWC"), "window_strides": (1,)}),
        ((2, 2, 6, 4), (3, 3, 4, 4), {"padding": "VALID"}),
        ((0, 6, 6, 4), (3, 3, 4, 4), {}),
    ],
)
def test_all_else_is_left_to_lax(images, kernel, options):
    arrays = draw(images, kernel)
    ours, theirs = both(**{"strides": options.pop("window_strides", (1, 1)), "padding": "SAME", **options})
    programs = [str(jax.make_jaxpr(partial(value_and_gradients, function))(*arrays)) for function in (ours, theirs)]
    assert programs[0] == programs[1]
    assert "conv_general_dilated" in programs[0]
    assert covered(ours, *arrays) is False


def covered(function, *arrays):
    """Whether the function is differentiated by its own rule, which what is left to lax never is."""
    return "custom_vjp" in str(jax.make_jaxpr(function)(*arrays))


@pytest.mark.usefixtures("x64")
def test_float64_is_left_to_lax():
    arrays = draw((2, 6, 6, 3), (3, 3, 3, 4), dtype=jnp.float64)
    ours, theirs = both((1, 1), "SAME")
    np.testing.assert_array_equal(ours(*arrays), theirs(*arrays))
    assert not covered(ours, *arrays)


def test_errors_are_those_of_lax():
    ours, _ = both((1, 1), "SAME")
    with pytest.raises(ValueError, match="conv_general_dilated"):
        ours(*draw((2, 6, 6, 3), (3, 3, 4, 4)))


def test_in_a_scan_over_steps():
    images, kernel = draw((3, 4, 6, 6, 3), (3, 3, 3, 3))

    def train(function, images, kernel):
        def step(kernel, images):
            value, gradient = jax.value_and_grad(lambda kernel: (function(images, kernel) ** 2).mean())(kernel)
            return kernel - 0.1 * gradient, value

        return lax.scan(step, kernel, images)

    ours, theirs = (jax.jit(partial(train, function))(images, kernel) for function in both((1, 1), "SAME"))
    assert_same(ours, theirs)


@pytest.mark.quick("axes1")
@pytest.mark.parametrize("axes", [(None, 0), (0, None), (0, 0)])
def test_mapped_over(axes):
    shapes = [(4, 6, 7, 3), (3, 3, 3, 5)]
    arrays = draw(*((2, *shape) if axis == 0 else shape for axis, shape in zip(axes, shapes, strict=True)))
    ours, theirs = (
        jax.jit(jax.vmap(partial(value_and_gradients, function), axes))(*arrays) for function in both((2, 2), "SAME")
    )
    assert_same(ours, theirs)


@pytest.mark.slow
def test_a_batch_on_several_devices():
    arrays = draw((8, 6, 7, 3), (3, 3, 3, 5))
    ours, _ = both((1, 1), "SAME")
    compute = jax.jit(partial(value_and_gradients, ours))
    mesh = data_mesh()
    assert mesh.size > 1
    split = [
        jax.device_put(a, NamedSharding(mesh, PartitionSpec(*p))) for a, p in zip(arrays, [("data",), ()], strict=True)
    ]
    assert_same(compute(*split), compute(*arrays))


def test_only_cpus_take_matrix_products():
    arrays = draw((4, 6, 6, 3), (3, 3, 3, 5))
    ours, theirs = both((1, 1), "SAME")

    def lowered(function, platform):
        compute = jax.jit(partial(value_and_gradients, function))
        return compute.trace(*arrays).lower(lowering_platforms=(platform,)).as_text()

    assert "stablehlo.convolution" not in lowered(ours, "cpu")
    assert lowered(ours, "tpu").count("stablehlo.convolution") == lowered(theirs, "tpu").count("stablehlo.convolution")
    assert "stablehlo.while" not in lowered(ours, "tpu")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [None, jnp.bfloat16])
def test_in_a_flax_layer(dtype):
    (images,) = draw((4, 8, 8, 3))
    settings = {"features": 5, "kernel_size": (3, 3), "strides": 2, "dtype": dtype}
    layers = nn.Conv(**settings, conv_general_dilated=convolution), nn.Conv(**settings)
    variables, expected = (jax.jit(layer.init)(jax.random.key(0), images) for layer in layers)
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    assert_same(*(jax.jit(layer.apply)(variables, images) for layer in layers), 2e-2)


def test_the_networks_use_it():
    model = models.conv2()
    program = jax.make_jaxpr(model.init)(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    assert "custom_vjp" in str(program)


@pytest.mark.slow
def test_the_kernels_gradient_in_half_precision_is_rounded_once(monkeypatch):
    monkeypatch.setattr(sys.modules["slotjax.models.convolution"], "CHUNK_ELEMENTS", 1)  # each image by itself
    images, kernel, cotangent = draw((32, 8, 8, 4), (3, 3, 4, 8), (32, 6, 6, 8), dtype=jnp.bfloat16)

    @partial(jax.jit, static_argnums=0)
    def gradient(dtype):
        def convolved(kernel):
            numbers = ("NHWC", "HWIO", "NHWC")
            return convolution(images.astype(dtype), kernel, (1, 1), "VALID", dimension_numbers=numbers)

        return jax.vjp(convolved, kernel.astype(dtype))[1](cotangent.astype(dtype))[0]

    once = gradient(jnp.float32).astype(jnp.bfloat16)
    assert np.mean(np.asarray(gradient(jnp.bfloat16) == once)) > 0.98
