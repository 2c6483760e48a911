"""What is drawn on an accelerator is bitwise what a CPU draws."""

from typing import get_args

import jax
import jax.numpy as jnp
import pytest

import slotjax
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import METHODS, selector_of
from slotjax.distributions import Kind
from slotjax.options import Seeded, initial_scores, uniform_numbers
from tests.device.accelerator import accelerator, assert_bitwise, on_both  # noqa: F401 (a fixture)

pytestmark = pytest.mark.device

DTYPES = ("float32", "bfloat16")
SHAPE = (300, 101)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_options(device, kind, dtype):
    def draw(seed):
        return Seeded(seed, 9, kind, 0.123, SHAPE, jnp.dtype(dtype)).values()

    for function in (draw, jax.jit(draw)):
        assert_bitwise(*on_both(device, function, jnp.array([1, 2], jnp.uint32)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_initial_scores(device, dtype):
    def draw(key):
        return initial_scores(key, 9, SHAPE, jnp.dtype(dtype), 0.1)

    assert_bitwise(*on_both(device, jax.jit(draw), jax.random.key(3)))


def test_the_numbers_that_sample(device):
    def draw(seed):
        return uniform_numbers(seed, SHAPE, jnp.dtype("float32"))

    assert_bitwise(*on_both(device, jax.jit(draw), jnp.array([1, 2], jnp.uint32)))


@pytest.mark.parametrize("distribution", ["own", "glorot_uniform", "kaiming_normal"])
@pytest.mark.parametrize("name", METHODS)
def test_everything_before_training_and_its_proof(device, name, distribution):
    selector = selector_of(resolve(Request(method=name, distribution=distribution)))
    params = {"dense": {"kernel": jax.random.normal(jax.random.key(1), SHAPE) / 7}}

    def draw(key, params):
        variables = selector.init(key, params)
        proofs.append(slotjax.proof(variables["frozen"]))
        return jax.tree.leaves(variables)

    proofs = []
    assert_bitwise(*on_both(device, draw, jax.random.key(2), params))
    assert proofs[0] == proofs[1]
