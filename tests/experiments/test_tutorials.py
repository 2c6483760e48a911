"""Every tutorial runs, prints its result, and learns something in a few steps."""

import importlib
import pkgutil
import re
from pathlib import Path

import jax
import pytest
from PIL import Image

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


@pytest.mark.quick("own_method")
@pytest.mark.parametrize("name", LEARNED)
def test_a_tutorial(name, capsys):
    steps, least = LEARNED[name]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result = importlib.import_module(f"experiments.tutorials.{name}").main(steps=steps)
    for value in result if isinstance(result, list) else [result]:
        assert (value if least > 0 else -value) > least
    assert masked(capsys.readouterr().out) == masked(shown(name))


def shown(name):
    """What the page says that a tutorial prints."""
    page = (Path(tutorials.__file__).parent / "README.md").read_text()
    return re.search(rf"tutorials\.{name}[^`]*```\n\n```text\n(.*?)```", page, re.DOTALL)[1]


def masked(text):
    """Without its measurements, which depend on the steps and a little on the processor."""
    return re.sub(r"\d[\d,.]*(?=%| bytes| nats)", "#", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linen_cnn", "packed"])
def test_a_tutorial_draws_what_the_page_shows(name, tmp_path, capsys):
    path = tmp_path / "picture.png"
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        importlib.import_module(f"experiments.tutorials.{name}").main(steps=2, picture=str(path))
    shown_there = Path(tutorials.__file__).parent / f"{name}.png"
    with Image.open(path) as drawn, Image.open(shown_there) as picture:
        assert drawn.size == picture.size
