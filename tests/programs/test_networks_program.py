"""Networks with convolutions, dropout and batch norm through a whole run: trained, resumed, exported and evaluated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import evaluate, export
from experiments.configuration.choices import CHOICES
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags import rules
from experiments.flags.resolve import resolve
from experiments.running import run
from slotjax import models

NETWORKS = {
    "conv2": {"width_multiplier": 0.05, "dropout": 0.5, "augmentation": "flip_and_crop"},
    "tiny_resnet": {"affine": True},
}


@pytest.fixture
def patterns(tmp_path):
    """An npz file of 160 small images of two classes: dark and bright."""
    random = np.random.default_rng(0)
    labels = np.arange(160) % 2
    images = (random.integers(0, 90, (160, 8, 8, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "patterns.npz", x_train=images, y_train=labels)
    return f"npz:{tmp_path / 'patterns.npz'}"


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        pytest.param("conv2", False, marks=pytest.mark.slow),
        pytest.param("conv2", True, marks=pytest.mark.slow),
        pytest.param("tiny_resnet", False, marks=pytest.mark.slow),
    ],
)
def test_a_run_and_its_ticket_have_the_same_accuracy(model, profile, patterns, tmp_path, monkeypatch):
    tiny = {"tiny_resnet": lambda **settings: models.ResNet(blocks=(1,), small_images=True, **settings)}
    monkeypatch.setattr(models, "MODELS", {**models.MODELS, **tiny})
    monkeypatch.setitem(CHOICES, "model", (*CHOICES["model"], *tiny))
    monkeypatch.setitem(rules._RULES, "model", (lambda name: name in models.MODELS, "one of the networks"))
    settings = resolve(
        Request(model=model, dataset=patterns, k=2, epochs=2, batch_size=16, learning_rate=0.1, **NETWORKS[model])
    )
    execution = Execution(workdir=str(tmp_path / "run"), profile=profile)
    summary = run.run(settings, execution)
    export.export(tmp_path / "run", tmp_path / "ticket")
    accuracy = evaluate.evaluate(tmp_path / "ticket")["test"]["accuracy"]
    assert accuracy == pytest.approx(summary["test_accuracy_at_best_validation"])
    assert len(summary["proof"]) == 64
    traces = list((tmp_path / "run").glob("profile/**/*.xplane.pb"))
    assert len(traces) == execution.profile


def test_a_network_that_has_no_pixels_left_is_refused(tmp_path):
    images = np.zeros((40, 3, 3, 1), np.uint8)
    np.savez(tmp_path / "small.npz", x_train=images, y_train=np.arange(40) % 2)
    settings = resolve(Request(model="conv6", dataset=f"npz:{tmp_path / 'small.npz'}", batch_size=8))
    with pytest.raises(run.RunError, match=r"--model: conv6 needs larger images than \(3, 3, 1\)"):
        run.run(settings, Execution(workdir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_the_same_key_augments_and_drops_alike():
    from experiments.running.components import Inputs, network

    built = network(
        resolve(Request(model="conv2", padding="SAME", width_multiplier=0.05, dropout=0.5, augmentation="flip")),
        Inputs((8, 8, 3), "uint8", 2),
    )
    random = np.random.default_rng(0)
    weights = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype("float32"), built.shapes)
    images = jnp.asarray(random.integers(0, 256, (4, 8, 8, 3)), "uint8")
    apply = jax.jit(lambda key: built.apply(weights, {}, images, key)[0])
    first, again, other = (apply(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
