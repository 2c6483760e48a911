"""What other libraries read has the logits of the ticket that it was made of."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import slotjax
from experiments import evaluate, export
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.formats import FORMATS, onnx_model, pytorch
from experiments.formats.onnx_model import onnx_logits, onnx_metadata
from experiments.formats.stablehlo import stablehlo_logits
from experiments.methods import selector_of
from experiments.running.components import MODEL_SETTINGS, Inputs, draw, network, start_of
from experiments.running.shipped import logits_of, open_ticket
from tests.experiments.formats import numpy_transformer
from tests.programs.in_process import call

SIZES = {"lenet": (6, 4, 3), "conv2": (6, 8, 3), "cifar_resnet18": (8, 8, 3)}
TEXT = {"dataset": "stdlib", "shape": (128,), "classes": 256, "width_multiplier": 0.5, "method": "learned"}
SLOW = {"cifar_resnet18"}
NETWORKS = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SIZES]


def save(path, model, dataset="cifar10", shape=None, classes=10, **given):
    """A ticket as experiments.export writes it, of a network that was not trained."""
    settings, inputs = (
        resolve(Request(model=model, dataset=dataset, **given)),
        Inputs(shape or SIZES[model], "uint8", classes),
    )
    built, selector = network(settings, inputs), selector_of(settings)
    variables = draw(selector, jax.random.key(0), start_of(settings, built))
    collections = {"batch_stats": randomized(built.batch_stats)} if built.batch_stats else None
    known = {name: getattr(settings, name) for name in (*MODEL_SETTINGS, "compute_dtype")}
    metadata = {"model": model, "model_settings": known, "dataset": dataset, **inputs._asdict()}
    slotjax.save_ticket(
        path,
        selector,
        randomized(variables) if given.get("affine") or classes == 256 else variables,
        collections,
        metadata,
    )
    return path


def randomized(tree):
    """Scales, biases, means and variances as after training."""
    random = np.random.default_rng(0)
    draws = {"scale": (0.5, 1.5), "var": (0.5, 1.5), "bias": (-0.2, 0.2), "mean": (-0.2, 0.2)}

    def one(path, leaf):
        limits = draws.get(getattr(path[-1], "key", None))
        return leaf if limits is None else jnp.asarray(random.uniform(*limits, leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(one, tree)


@pytest.fixture(scope="module")
def tickets(tmp_path_factory):
    """The path of a small ticket of each network, made when it is asked for."""
    directory, given = tmp_path_factory.mktemp("tickets"), {"conv2": {"width_multiplier": 0.05, "padding": "SAME"}}
    given |= {"cifar_resnet18": {"affine": True}, "char_transformer": TEXT}

    def path(model):
        path = directory / model
        return path if path.exists() else save(path, model, **given.get(model, {}))

    return path


def written(tickets, model, name, directory):
    """A ticket's network, and the file of a format that was made of it."""
    shipped, path = open_ticket(tickets(model)), directory / f"{model}.{name}"
    export.convert(shipped, name, path)
    return shipped, path


def images_for(shipped, count=3):
    shape = (count, *shipped.inputs.image_shape)
    return np.random.default_rng(1).integers(0, 256, shape).astype(shipped.inputs.dtype)


def assert_close(given, shipped, images):
    expected = np.asarray(jax.jit(logits_of(shipped))(images))
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(given, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_flax_and_numpy_get_the_weights(tickets, tmp_path):
    shipped, path = written(tickets, "conv2", "flax", tmp_path)
    arrays = load_file(path)
    assert set(arrays) == {f"params/{layer}/kernel" for layer in ("Conv_0", "Conv_1", "Dense_0", "Dense_1", "Dense_2")}
    np.testing.assert_array_equal(arrays["params/Conv_0/kernel"], shipped.ticket.weights["Conv_0"]["kernel"])
    with safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["slotjax"])["model"] == "conv2"
    _, path = written(tickets, "conv2", "npz", tmp_path)
    with np.load(path) as same:
        assert {name: same[name].tobytes() for name in same} == {
            name: array.tobytes() for name, array in arrays.items()
        }


@pytest.mark.parametrize("name", ["flax", "torch", "npz"])
def test_a_file_may_be_read_by_whom_the_umask_lets(name, tickets, tmp_path):
    (tmp_path / "other").touch()
    _, path = written(tickets, "lenet", name, tmp_path)
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("model", ["lenet", "conv2"])
def test_the_first_matrix_takes_what_pytorch_flattens(model, tickets, tmp_path):
    shipped, path = written(tickets, model, "torch", tmp_path)
    kernel, given = shipped.ticket.weights["Dense_0"]["kernel"], load_file(path)["Dense_0.weight"]
    rows, columns, channels = pytorch._flattened(shipped)
    assert (rows, columns) == ((6, 4) if model == "lenet" else (3, 4))
    features = np.random.default_rng(2).normal(size=(2, rows, columns, channels)).astype(np.float32)
    expected = features.reshape(2, -1) @ np.asarray(kernel)
    np.testing.assert_allclose(features.transpose(0, 3, 1, 2).reshape(2, -1) @ given.T, expected, atol=1e-5)


def test_a_transformer_of_pytorchs_matrices_has_the_same_logits(tickets, tmp_path):
    shipped, path = written(tickets, "char_transformer", "torch", tmp_path)
    text, state = images_for(shipped), load_file(path)
    assert state["layers.2.attention.out.weight"].shape == (48, 48)
    assert_close(numpy_transformer.logits(state, text), shipped, text)
    with safe_open(path, "numpy") as file:
        assert "normalization" not in json.loads(file.metadata()["slotjax"])


def test_names_that_are_not_flaxs_are_refused_for_pytorch():
    with pytest.raises(ValueError, match="--format: torch has Flax's names, such as kernel, but params/linear/w is"):
        pytorch._name("params/linear/w")


def test_a_transformer_is_refused_before_jax2onnx_fails(tickets, tmp_path):
    with pytest.raises(ValueError, match="--format: onnx is not for char_transformer, which jax2onnx cannot convert"):
        written(tickets, "char_transformer", "onnx", tmp_path)


@pytest.mark.parametrize("model", NETWORKS)
def test_pytorch_has_the_same_logits(model, tickets, tmp_path):
    pytest.importorskip("torch", reason="PyTorch's logits are compared where it is installed")
    from tests.experiments.formats import torch_networks

    shipped, path = written(tickets, model, "torch", tmp_path)
    images, state = images_for(shipped), load_file(path)
    with safe_open(path, "numpy") as file:
        told = json.loads(file.metadata()["slotjax"])["normalization"]
    mean, deviation = (np.array(told[name], np.float32) for name in ("mean", "deviation"))
    floats = (images.astype(np.float32) / told["divided by"] - mean) / deviation
    made = {
        "lenet": lambda: torch_networks.LeNet(np.prod(SIZES["lenet"])),
        "conv2": lambda: torch_networks.Conv2(*state["Dense_0.weight"].shape[::-1]),
        "cifar_resnet18": torch_networks.ResNet18,
    }
    if model == "conv2":
        width, (dense, flattened) = len(state["Conv_0.weight"]), state["Dense_0.weight"].shape
        made["conv2"] = lambda: torch_networks.Conv2(width, dense, flattened)
    given = torch_networks.logits(made[model](), state, np.ascontiguousarray(floats.transpose(0, 3, 1, 2)))
    assert_close(given, shipped, images)


@pytest.mark.parametrize("model", NETWORKS)
def test_onnxruntime_has_the_same_logits(model, tickets, tmp_path):
    for package in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(
            package, reason="ONNX models are made in an environment of their own, as --format=onnx says"
        )
    shipped, path = written(tickets, model, "onnx", tmp_path)
    images = images_for(shipped)
    assert_close(onnx_logits(path)(images), shipped, images)
    assert onnx_metadata(path) == json.loads(json.dumps(shipped.ticket.metadata))


@pytest.mark.parametrize("model", NETWORKS)
def test_stablehlo_has_the_same_logits_for_any_number_of_images(model, tickets, tmp_path):
    pytest.importorskip("flatbuffers", reason="jax.export writes with flatbuffers; install slotjax[interop]")
    shipped, path = written(tickets, model, "stablehlo", tmp_path)
    assert path.stat().st_size < 1.1 * tickets(model).stat().st_size + 30_000 + 5_000 * (model in SLOW)
    for count in (3,) if model in SLOW else (1, 3):
        images = images_for(shipped, count)
        assert_close(stablehlo_logits(path)(images), shipped, images)


@pytest.fixture(scope="module")
def digits_ticket(digits, tmp_path_factory):
    return save(tmp_path_factory.mktemp("digits") / "ticket", "lenet", f"npz:{digits}", (28, 28, 1))


def test_an_exported_file_is_evaluated(digits_ticket, digits, tmp_path):
    pytest.importorskip("flatbuffers", reason="jax.export writes with flatbuffers; install slotjax[interop]")
    code, output, errors = call("evaluate", f"--ticket={digits_ticket}")
    assert code == 0, errors
    out = tmp_path / "network"
    code, said, errors = call("export", f"--ticket={digits_ticket}", "--format=stablehlo", f"--out={out}")
    assert (code, said) == (0, f"{out}: {out.stat().st_size:,} bytes. {FORMATS['stablehlo'].lacks}\n"), errors
    code, again, errors = call("evaluate", f"--stablehlo={out}", f"--dataset=npz:{digits}")
    assert (code, again) == (0, output), errors


def test_loss_and_accuracy_of_a_function_are_those_of_its_logits(digits):
    result = evaluate.evaluate_logits(lambda images: np.eye(10)[np.full(len(images), 3)], f"npz:{digits}")
    source = slotjax.data.load(f"npz:{digits}")
    share = float((source.test.labels == 3).mean())
    assert result["test"]["accuracy"] == pytest.approx(share)
    assert result["test"]["loss"] == pytest.approx(np.log(9 + np.e) - share)


def test_loss_and_accuracy_of_a_text_are_means_over_its_bytes(monkeypatch):
    windows, labels = np.zeros((300, 4), np.uint8), np.tile(np.arange(4, dtype=np.int32), (300, 1))
    split = slotjax.data.Split(windows, labels)
    monkeypatch.setattr(evaluate, "load_source", lambda *_: slotjax.data.Dataset(split, split, split, 256))
    result = evaluate.evaluate_logits(lambda text: np.eye(256)[np.full(text.shape, 3)], "stdlib")["test"]
    assert result == pytest.approx({"loss": np.log(255 + np.e) - 0.25, "accuracy": 0.25})
    with pytest.raises(ValueError, match=r"--dataset: it has 256 classes, but logits of shape \(256, 4, 10\)"):
        evaluate.evaluate_logits(lambda text: np.zeros((*text.shape, 10)), "stdlib")
    with pytest.raises(ValueError, match=r"--data_dir: it needs --dataset=mnist or .*, but that is stdlib"):
        evaluate.evaluate_logits(lambda text: text, "stdlib", "data")


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("export", ["--ticket={ticket}", "--out={tmp}/o"], "--ticket: it takes another --format, and neither"),
        ("export", ["--ticket={ticket}", "--workdir=w", "--format=npz", "--out={tmp}/o"], "and neither --workdir nor"),
        ("export", ["--ticket={ticket}", "--format=npz"], "--out: it must be given"),
        (
            "export",
            ["--ticket={ticket}", "--format=npz", "--out={tmp}/none/o"],
            "--out: {tmp}/none/o cannot be written",
        ),
        ("evaluate", ["--stablehlo={ticket}"], "--dataset: it must be given, because {ticket} does not name one"),
        ("evaluate", ["--ticket={ticket}", "--data_dir={tmp}"], "--data_dir: it needs --dataset=mnist or "),
        ("evaluate", ["--ticket={ticket}", "--prompt=def "], "--prompt: it needs --sample"),
        ("evaluate", ["--ticket={ticket}", "--seed=0"], "--seed: it needs --sample"),
        ("evaluate", ["--ticket={ticket}", "--sample=9", "--dataset=stdlib"], "--dataset: it does nothing with"),
        ("evaluate", ["--ticket={ticket}", "--sample=9", "--data_dir={tmp}"], "--data_dir: it does nothing with"),
        ("evaluate", ["--onnx={ticket}", "--sample=9"], "--sample: only a network that --ticket names writes text"),
        ("evaluate", ["--stablehlo={ticket}", "--onnx={ticket}"], "--onnx: --stablehlo was given too"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(program, arguments, message, digits_ticket, tmp_path):
    names = {"ticket": digits_ticket, "tmp": tmp_path}
    code, output, errors = call(program, *(argument.format(**names) for argument in arguments))
    assert (code, output, len(errors.splitlines())) == (1, "", 1), errors
    assert message.format(**names) in errors
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_export_is_named(digits_ticket, digits):
    pytest.importorskip("flatbuffers", reason="jax.export reads with flatbuffers; install slotjax[interop]")
    code, _, errors = call("evaluate", f"--stablehlo={digits_ticket}", f"--dataset=npz:{digits}")
    assert (code, len(errors.splitlines())) == (1, 1), errors
    assert "is not what experiments.export wrote" in errors


def test_without_jax2onnx_a_sentence_says_how_to_make_an_environment(digits_ticket, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None)
    code, output, errors = call("export", f"--ticket={digits_ticket}", "--format=onnx", f"--out={tmp_path / 'o'}")
    assert (code, output, len(errors.splitlines())) == (1, "", 1)
    assert "onnx/bin/pip install jax2onnx" in errors
