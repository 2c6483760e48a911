"""The networks have the papers' sizes."""

import jax
import jax.numpy as jnp
import pytest

from slotjax import models


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("lenet", (28, 28, 1), 266_200),
        ("conv2", (32, 32, 3), 4_300_992),
        ("conv4", (32, 32, 3), 2_425_024),
        ("conv6", (32, 32, 3), 2_261_184),
    ],
)
def test_parameter_counts(name, shape, parameters):
    model = models.MODELS[name](classes=10)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *shape)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == parameters


@pytest.mark.parametrize(("name", "features"), [("conv2", 12_544), ("conv4", 3_200)])
def test_valid_padding_flattens_as_in_the_papers_code(name, features):
    model = models.MODELS[name](padding="VALID")
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    assert shapes["Dense_0"]["kernel"].shape == (features, 256)
