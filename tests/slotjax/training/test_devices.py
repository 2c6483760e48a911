"""Training over many devices: the same numbers as on one, and what crosses between them."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import models, training
from slotjax.data import Dataset, Split
from tests import paper

EXAMPLES, BATCH, CLASSES = 400, 8, 3


class Small(nn.Module):
    """One convolution, with pooling, and with batch norm if asked for.

    It has few connections on purpose: in float32, rounding flips a tie now and then, after which two runs go different
    ways. A ResNet of 75,648 connections does so after about 20 steps on 4 or 8 devices.
    """

    normalized: bool = False

    @nn.compact
    def __call__(self, images, train=False):
        features = nn.Conv(4, (3, 3), use_bias=False, conv_general_dilated=models.convolution)(images)
        if self.normalized:
            features = models.batch_norm.batch_norm(train, affine=False, dtype=images.dtype)()(features)
        features = models.pooling.max_pool_2x2(nn.relu(features))
        return nn.Dense(CLASSES, use_bias=False)(features.reshape(len(images), -1))


NETWORKS = {
    "dense": models.LeNet(widths=(16,), classes=CLASSES),
    "convolutional": Small(),
    "batch norm": Small(normalized=True),
}


@functools.cache
def alone(network, selector, dtype, epochs=1):
    """Losses and selections of one device, for a dtype of which `jax_enable_x64` decides."""
    assert jnp.zeros(()).dtype == dtype
    return trained(network, SELECTORS[selector], 1, epochs)[:2]


def trained(network, selector, devices, epochs=1, shard=False):
    """States and losses after some epochs of 50 steps on so many devices."""
    model, random = NETWORKS[network], np.random.default_rng(0)
    dtype = jnp.zeros(()).dtype
    labels = np.arange(EXAMPLES, dtype=np.int32) % CLASSES
    images = (random.normal(size=(EXAMPLES, 8, 8, 3)) + labels[:, None, None, None]).astype(dtype)
    split = Split(jnp.asarray(images), jnp.asarray(labels))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images[:1].astype(np.float32))
    stats = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, dtype), shapes.get("batch_stats", {}))
    weights = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), shapes["params"])
    variables = jax.jit(lambda key: selector.init(key, weights))(jax.random.key(1))
    optimizer = training.sgd(0.1, 0.9, 1e-4)
    state = training.init_state(jax.random.key(2), variables["params"], optimizer, stats)
    mesh = training.data_mesh(jax.devices()[:devices])
    how = training.shardings(state, mesh) if shard else None
    learner = training.Learner(apply=training.linen_apply(model), selector=selector, optimizer=optimizer)
    epoch = training.compile_epoch(learner, mesh, BATCH, state_shardings=how)
    held_out = Split(split.images[:8], split.labels[:8])
    data = training.replicate(Dataset(split, held_out, held_out, CLASSES), mesh)
    state, frozen = (training.shard if shard else training.replicate)((state, variables["frozen"]), mesh)
    losses = []
    # Flax's batch norm mixes float32 into float64.
    with jax.numpy_dtype_promotion("standard" if network == "batch norm" else "strict"):
        for _ in range(epochs):
            state, metrics = epoch(state, frozen, data)
            losses.append(np.asarray(metrics["losses"]))
    selection = jax.jit(selector.selection)({"params": state.params, "frozen": frozen})
    return np.reshape(losses, -1), jax.tree.map(np.asarray, selection), (epoch, state, frozen, data)


SELECTORS = {
    "greedy, factored": paper.slot_machine(4, scores="factored", options="seeded"),
    "probabilistic, factored": paper.slot_machine(4, "probabilistic", scores="factored", options="seeded"),
    "greedy, explicit": paper.slot_machine(4, scores="explicit", options="stored"),
    "probabilistic, explicit": paper.slot_machine(4, "probabilistic", scores="explicit", options="stored"),
}
# Every network and every selector, and every number of devices that is there: JAX_NUM_CPU_DEVICES=8 for all.
COMBINATIONS = [
    (network, selector, devices)
    for network, selector, devices in (
        ("batch norm", "probabilistic, explicit", 4),
        ("batch norm", "greedy, factored", 2),
        ("convolutional", "probabilistic, factored", 4),
        ("dense", "greedy, explicit", 4),
        ("dense", "greedy, factored", 8),
        ("convolutional", "probabilistic, explicit", 8),
    )
    if devices <= jax.device_count()
]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector", "devices"), COMBINATIONS)
def test_the_loss_of_50_steps_is_that_of_one_device(network, selector, devices):
    found = trained(network, SELECTORS[selector], devices)[0]
    assert len(found) == 50
    np.testing.assert_allclose(found, alone(network, selector, np.float32)[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "selector", "devices"), COMBINATIONS)
def test_the_selections_of_200_steps_are_those_of_one_device(network, selector, devices, x64):
    found = trained(network, SELECTORS[selector], devices, epochs=4)[1]
    jax.tree.map(np.testing.assert_array_equal, found, alone(network, selector, np.float64, 4)[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "selector",
    [
        "greedy, explicit",
        pytest.param("greedy, factored", marks=pytest.mark.slow),
        pytest.param("probabilistic, explicit", marks=pytest.mark.slow),
    ],
)
def test_a_state_that_is_split_over_devices_gives_the_same_selections(selector, x64):
    expected, _ = trained("dense", SELECTORS[selector], 1)[1:]
    found, (_, state, frozen, _) = trained("dense", SELECTORS[selector], 4, shard=True)[1:]
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    for leaf in jax.tree.leaves((state.params, state.opt_state, frozen)):
        if any(size % 4 == 0 and size for size in leaf.shape):
            assert leaf.addressable_shards[0].data.size == leaf.size // 4


@pytest.mark.slow
def test_one_gradient_of_the_weights_shape_crosses_devices_whatever_k_is():
    """Sums over devices in the compiled epoch: as many numbers for K = 8 as for learned weights."""
    crossing = {}
    for name, selector in {
        "learned": slotjax.learned(slotjax.distributions.glorot_uniform()),
        "factored": paper.slot_machine(8, scores="factored", options="seeded"),
        "explicit": paper.slot_machine(8, scores="explicit", options="stored"),
    }.items():
        epoch, state, frozen, data = trained("dense", selector, 4, epochs=0)[2]
        text = epoch.lower(state, frozen, data).compile().as_text()
        shapes = [line.split("= ")[1].split(" all-reduce")[0] for line in text.splitlines() if " all-reduce(" in line]
        sizes = [re.findall(r"f32\[([\d,]*)\]", shape) for shape in shapes]
        crossing[name] = sum(int(np.prod([int(n) for n in one.split(",") if n])) for ones in sizes for one in ones)
        assert not re.search(r" all-(gather|to-all)\(f32", text)
    weights = 8 * 8 * 3 * 16 + 16 * CLASSES
    assert weights <= crossing["learned"] < weights + 100
    assert crossing["factored"] == crossing["explicit"] == crossing["learned"]
