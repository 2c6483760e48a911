"""The accelerator that the device suite runs on. Test modules import the fixture, so that they need no conftest."""

import jax
import numpy as np
import pytest


@pytest.fixture(scope="session", name="device")
def accelerator():
    """The first device of JAX's default backend."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        pytest.skip("needs an accelerator, but JAX found only CPUs")
    return first


def on(place, function, *arguments):
    """What the function gives when it runs on that device, as NumPy arrays."""
    with jax.default_device(place):
        return jax.tree.map(np.asarray, function(*jax.device_put(arguments, place)))


def on_both(device, function, *arguments):
    """The same of the accelerator and of the CPU."""
    return on(device, function, *arguments), on(jax.devices("cpu")[0], function, *arguments)


def assert_bitwise(one, other):
    """Raises unless two trees of arrays have the same bytes."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        np.testing.assert_array_equal(left.reshape(-1).view(np.uint8), right.reshape(-1).view(np.uint8))
