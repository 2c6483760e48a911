"""The training program on an accelerator: one epoch, and a run that is killed."""

import math

import pytest

from tests.device.accelerator import accelerator  # noqa: F401 (a fixture)
from tests.patterns import write_patterns
from tests.programs.training_process import EPOCHS, assert_resumes, finish, kill_after, metrics, start

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed, which the training program needs")
pytestmark = pytest.mark.device


@pytest.fixture
def environment(monkeypatch):
    """Of the programs: the memory of the accelerator is shared, and its operations are deterministic."""
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")


@pytest.fixture
def digits(tmp_path):
    write_patterns(tmp_path / "digits.npz")
    return tmp_path / "digits.npz"


@pytest.mark.parametrize("model", ["lenet", "conv2"])
def test_one_epoch(device, environment, digits, tmp_path, model, monkeypatch):
    own = ["--epochs=1", f"--model={model}"]
    code, output, errors = finish(digits, tmp_path / "run", *own)
    assert code == 0, errors
    assert ", before and after" in output
    untrained, trained = metrics(tmp_path / "run")
    assert math.isfinite(trained["train"]["loss"])
    assert trained["validation"]["loss"] < untrained["validation"]["loss"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert finish(digits, tmp_path / "cpu", *own)[0] == 0
    expected = metrics(tmp_path / "cpu")
    for name in ("proof", "frozen_sha256", "dataset_sha256"):
        assert untrained[name] == expected[0][name]
    assert untrained["validation"]["loss"] == pytest.approx(expected[0]["validation"]["loss"], rel=0.02)


def test_a_run_that_was_killed_ends_bitwise_as_the_unbroken_one(device, environment, digits, tmp_path):
    code, _, errors = finish(digits, tmp_path / "unbroken", EPOCHS)
    assert code == 0, errors
    assert kill_after(start(digits, tmp_path / "run", EPOCHS), tmp_path / "run", 3, 0.05)
    assert_resumes(digits, tmp_path / "run", [tmp_path / "unbroken"])
