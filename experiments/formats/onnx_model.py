"""A network as an ONNX model, converted by jax2onnx and checked with onnxruntime."""

import contextlib
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.running.shipped import Shipped, logits_of
from slotjax import models
from slotjax.data import require

TOLERANCE = 1e-3  # of the largest logit; float32 products of other order differ by less
HOW = (
    "--format: onnx needs jax2onnx and onnxruntime, which work with older packages than slotjax installs, so make an "
    "environment of its own: python3 -m venv onnx && onnx/bin/pip install -e '.[experiments]' && onnx/bin/pip install "
    "jax2onnx onnxruntime && onnx/bin/python -m experiments.export --ticket=TICKET --format=onnx --out=OUT"
)


def write_onnx(shipped: Shipped, path: Path) -> None:
    """From any number of images, as the dataset has them, to logits; metadata as JSON, under `slotjax`.

    Raises:
        ImportError: if it cannot be converted here; the sentence says where it can.
        ValueError: for a network of texts, and if onnxruntime cannot run it, or gives other logits.
    """
    if (model := shipped.settings.model) in models.TEXT_MODELS:
        others = "flax, npz, torch and stablehlo are"
        raise ValueError(f"--format: onnx is not for {model}, which jax2onnx cannot convert, but {others}")
    if not all(map(find_spec, ("jax2onnx", "onnxruntime"))):
        raise ImportError(HOW)
    import jax2onnx

    logits = logits_of(shipped)
    shape = jax.ShapeDtypeStruct(("images", *shipped.inputs.image_shape), shipped.inputs.dtype)
    with _transposes_kept():
        model = jax2onnx.to_onnx(logits, inputs=[shape], input_names=["images"], output_names=["logits"])
    told = model.metadata_props.add()
    told.key, told.value = "slotjax", json.dumps(shipped.ticket.metadata)
    path.write_bytes(model.SerializeToString())
    _check_same(path, logits, shipped)


@contextlib.contextmanager
def _transposes_kept() -> Iterator[None]:
    """Without the passes of jax2onnx that remove transposes: those of 0.17 break residual networks.

    onnxruntime removes them by itself when it loads the model.
    """
    from jax2onnx.converter import ir_optimizations

    passes = ir_optimizations._OPTIMIZER_PASSES
    ir_optimizations._OPTIMIZER_PASSES = tuple(one for one in passes if "transpose" not in one.name)
    try:
        yield
    finally:
        ir_optimizations._OPTIMIZER_PASSES = passes


def _check_same(path: Path, logits: Callable[[Any], Any], shipped: Shipped) -> None:
    shape, dtype = (5, *shipped.inputs.image_shape), shipped.inputs.dtype
    images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    expected, given = np.asarray(jax.jit(logits)(images)), onnx_logits(path)(images)
    worst = float(np.abs(given - expected).max() / np.abs(expected).max())
    if not worst < TOLERANCE:
        raise ValueError(f"--format: the ONNX model has logits that differ by {worst:.1e} of the largest one")


def onnx_logits(path: Path) -> Callable[[Any], Any]:
    """The network of a file as a function from images to logits.

    Raises:
        ImportError: if onnxruntime is not installed.
        ValueError: if onnxruntime cannot run it.
    """
    session = _session(path)
    (images,) = session.get_inputs()
    types = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}

    def logits(given: Any) -> Any:
        if (list(given.shape[1:]), str(given.dtype)) != (images.shape[1:], types.get(images.type)):
            takes = f"{images.type}{images.shape}"
            raise ValueError(f"--dataset: it has images of {given.dtype}{given.shape[1:]}, but {path} takes {takes}")
        return session.run(None, {images.name: np.asarray(given)})[0]

    return logits


def onnx_metadata(path: Path) -> dict[str, Any]:
    """What the ticket said that a file was made of, `{}` for other files; raises what `onnx_logits` raises."""
    return json.loads(_session(path).get_modelmeta().custom_metadata_map.get("slotjax", "{}"))


def _session(path: Path) -> Any:
    require("interop", "an ONNX model", "onnxruntime")
    import onnxruntime

    content = path.read_bytes()
    try:
        return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes that onnxruntime does not publish
        raise ValueError(f"onnxruntime cannot run the ONNX model {path}: {error}") from error
