"""The networks have the papers' and torchvision's sizes, and compute what they say."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax import models

SMALL, LARGE = (32, 32, 3), (224, 224, 3)


def shapes(model, image):
    return jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *image), jnp.float32))


def parameters(model, image):
    return size(shapes(model, image)["params"])


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.quick("lenet-shape0-266200", "conv2-shape1-4300992", "cifar_resnet18-shape6-11164352")
@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("lenet", (28, 28, 1), 266_200),
        ("conv2", SMALL, 4_300_992),
        ("conv4", SMALL, 2_425_024),
        ("conv6", SMALL, 2_261_184),
        ("conv8", SMALL, 5_275_840),
        ("vgg19", SMALL, 20_024_000),
        ("cifar_resnet18", SMALL, 11_164_352),
    ],
)
def test_parameter_counts(name, shape, count):
    assert parameters(models.MODELS[name](classes=10), shape) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "torchvision", "batch_norm"),
    [
        ("resnet18", 11_689_512, 9_600),
        ("resnet34", 21_797_672, 17_024),
        ("resnet50", 25_557_032, 53_120),
        ("resnet101", 44_549_160, 105_344),
        ("wide_resnet50", 68_883_240, 68_224),
    ],
)
def test_parameter_counts_are_those_of_torchvision_without_biases(name, torchvision, batch_norm):
    params = shapes(models.MODELS[name](classes=1000, affine=True), LARGE)["params"]
    assert size(params) == torchvision - 1000
    assert size(norms(params)) == batch_norm
    assert "cifar_" + name in models.MODELS


def norms(tree):
    """The parameters of all batch norms, however deep."""
    return [norms(part) if "Norm" not in name else part for name, part in tree.items() if isinstance(part, dict)]


@pytest.mark.slow
def test_without_an_affine_batch_norm_only_its_parameters_are_missing():
    with_affine, without = (parameters(models.resnet18(classes=1000, affine=affine), LARGE) for affine in (True, False))
    assert with_affine - without == 9_600


def test_the_layers_of_vgg19_are_named_in_the_order_in_which_they_come():
    kernels = shapes(models.VGG19(), SMALL)["params"]
    widths = [kernels[f"Conv_{layer}"]["kernel"].shape[-1] for layer in range(16)]
    assert widths == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8


@pytest.mark.parametrize(("name", "features"), [("conv2", 12_544), ("conv4", 3_200), ("conv6", 1_024), ("conv8", 512)])
def test_valid_padding_flattens_as_in_the_papers_code(name, features):
    model = models.MODELS[name](padding="VALID")
    assert shapes(model, SMALL)["params"]["Dense_0"]["kernel"].shape == (features, 256)


def test_the_width_multiplier_scales_every_layer_but_the_last():
    kernels = shapes(models.conv4(width_multiplier=0.5), SMALL)["params"]
    assert [kernels[f"Conv_{layer}"]["kernel"].shape[-1] for layer in range(4)] == [32, 32, 64, 64]
    assert [kernels[f"Dense_{layer}"]["kernel"].shape[-1] for layer in range(3)] == [128, 128, 10]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv2", "vgg19"])
def test_dropout_is_for_training_only(name):
    model, images = models.MODELS[name](dropout=0.5), jnp.ones((2, *SMALL))
    variables = model.init(jax.random.key(0), images)

    def trained(seed):
        return model.apply(
            variables, images, train=True, rngs={"dropout": jax.random.key(seed)}, mutable=["batch_stats"]
        )[0]

    assert np.any(trained(1) != trained(2))
    np.testing.assert_array_equal(trained(1), trained(1))
    np.testing.assert_array_equal(model.apply(variables, images), model.apply(variables, images))


def test_a_resnet_normalizes_by_the_batch_in_training_and_by_the_running_statistics_at_evaluation():
    model = models.ResNet(blocks=(), small_images=True)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(8, 16, 16, 3)), jnp.float32)
    variables = jax.jit(model.init)(jax.random.key(0), images)
    train = jax.jit(lambda variables: model.apply(variables, images, train=True, mutable=["batch_stats"]))
    trained, updated = train(variables)
    evaluated = jax.jit(model.apply)(variables | updated, images)
    kernel = np.asarray(variables["params"]["Conv_0"]["kernel"], np.float64)
    padded = np.pad(np.asarray(images, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    features = np.einsum("bhwcij,ijco->bhwo", windows, kernel)
    mean, variance = features.mean((0, 1, 2)), features.var((0, 1, 2))
    running = updated["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(running["mean"], 0.1 * mean, atol=1e-5)
    np.testing.assert_allclose(running["var"], 0.9 + 0.1 * variance, rtol=1e-4)
    for logits, by in ((trained, (mean, variance)), (evaluated, (0.1 * mean, 0.9 + 0.1 * variance))):
        normalized = (features - by[0]) / np.sqrt(by[1] + 1e-5)
        expected = np.maximum(normalized, 0).mean((1, 2)) @ variables["params"]["Dense_0"]["kernel"]
        np.testing.assert_allclose(logits, expected, atol=1e-4)


SHALLOW = {
    "resnet": partial(models.ResNet, blocks=(1, 1), small_images=True),
    "bottleneck": partial(models.ResNet, blocks=(1, 1), block=models.resnet.Bottleneck),
}


@pytest.mark.quick("conv2", "resnet")
@pytest.mark.parametrize("name", ["conv2", "vgg19", *SHALLOW])
@jax.numpy_dtype_promotion("standard")  # nn.BatchNorm relies on it
def test_bfloat16_is_computed_with_float32_weights_and_statistics(name):
    model = {**models.MODELS, **SHALLOW}[name](dtype=jnp.bfloat16)
    variables = shapes(model, SMALL)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    images = jax.ShapeDtypeStruct((2, *SMALL), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).dtype == jnp.bfloat16
    # As an accelerator computes it: on CPUs, convolutions are computed in float32 and rounded.
    lines = jax.jit(model.apply).trace(variables, images).lower(lowering_platforms=("tpu",)).as_text().splitlines()
    products = [line for line in lines if "stablehlo.convolution" in line or "stablehlo.dot_general" in line]
    assert products
    assert not [line for line in products if "f32" in line]


def test_convolutions_of_stride_2_pad_as_in_pytorch():
    layer = models.resnet._convolution(1, (3, 3), 2)
    sums = layer.apply({"params": {"kernel": jnp.ones((3, 3, 1, 1))}}, jnp.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(sums[0, :, :, 0], [[4, 6], [6, 9]])
