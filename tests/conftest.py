"""The strict setting that every test runs in: four CPU devices, strict promotion, checked shapes."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_NUM_CPU_DEVICES"] = "4"

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# All modules but the Linen layers, whose inherited fields are typed by protocols that cannot be checked.
checked = ("_options", "_selection", "_selectors", "_tree", "data", "models", "training")
install_import_hook([f"slotjax.{module}" for module in checked], "beartype.beartype")


@pytest.fixture(scope="session")
def compilations():
    """A list that grows by one entry at every compilation."""
    events = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return events


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def digits(tmp_path):
    """A small dataset that can be learned, as an npz file: each class is one noisy pattern."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 200, (10, 28, 28))
    arrays = {}
    for split, count in {"train": 640, "validation": 100, "test": 100}.items():
        labels = random.integers(0, 10, count)
        labels[:10] = range(10)
        noise = random.integers(0, 56, (count, 28, 28))
        arrays |= {f"x_{split}": (patterns[labels] + noise).astype(np.uint8), f"y_{split}": labels}
    path = tmp_path / "digits.npz"
    np.savez(path, **arrays)
    return path
