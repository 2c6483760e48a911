"""Every tutorial runs, prints its result, and learns something in a few steps."""

import importlib
import pkgutil

import jax
import pytest

from experiments import tutorials

# What each is above after this many steps, or below, where it is a loss.
LEARNED = {
    "equinox_cnn": (40, 0.3),
    "linen_cnn": (40, 0.3),
    "nnx_mlp": (40, 0.3),
    "own_method": (40, 0.3),
    "packed": (40, 0.3),
    "transformer": (30, -4.0),
}


def test_every_tutorial_is_tried():
    assert {module.name for module in pkgutil.iter_modules(tutorials.__path__)} == set(LEARNED)


@pytest.mark.quick("own_method", "nnx_mlp")
@pytest.mark.parametrize("name", LEARNED)
def test_a_tutorial(name, capsys):
    steps, least = LEARNED[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result = importlib.import_module(f"experiments.tutorials.{name}").main(steps=steps)
    for value in result if isinstance(result, list) else [result]:
        assert (value if least > 0 else -value) > least
    assert capsys.readouterr().out.count("\n") >= 1
