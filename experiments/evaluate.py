"""The accuracy of a ticket, or of what experiments.export made of one, on a dataset; or text that one writes.

    python -m experiments.evaluate --ticket=lenet.ticket [--dataset=mnist --data_dir=DIR]
    python -m experiments.evaluate --stablehlo=lenet.stablehlo --dataset=mnist_sample
    python -m experiments.evaluate --onnx=lenet.onnx
    python -m experiments.evaluate --ticket=transformer.ticket --sample=200

A second on two CPU cores for LeNet and MNIST, without starting.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments.configuration.settings import Request
from experiments.flags.concerns import check_given
from experiments.flags.resolve import resolve
from experiments.formats.onnx_model import onnx_logits, onnx_metadata
from experiments.formats.stablehlo import stablehlo_logits
from experiments.program import one_sentence, prepare, start
from experiments.running.components import load_source
from experiments.running.failure import RunError
from experiments.running.numbers import number
from experiments.running.sampling import sample, shown
from experiments.running.shipped import open_ticket, source_for
from experiments.running.streamed import evaluate_stream
from slotjax import data, models, training

SPLITS = ("validation", "test")
LONGEST = 1_000_000  # characters of a sample
STREAM_BATCH = 64  # images per device
BATCH = 256  # images for a function of NumPy arrays
_OF_SAMPLES, _OF_DATA = ("prompt", "seed"), ("dataset", "data_dir")  # flags

Logits = Callable[[Any], Any]


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_string("ticket", None, "A file that experiments.export wrote.", flag_values=values)
    flags.DEFINE_string("stablehlo", None, "One that it wrote with --format=stablehlo.", flag_values=values)
    flags.DEFINE_string("onnx", None, "One that it wrote with --format=onnx.", flag_values=values)
    flags.DEFINE_string(
        "dataset",
        None,
        "As in experiments.train. Default: the one that the network was trained on, which --stablehlo does not say.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where datasets are prepared. Default: TFDS_DATA_DIR or ~/tensorflow_datasets.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "sample",
        None,
        f"Print so many characters that the network writes, each a byte, at most {LONGEST}, and evaluate nothing.",
        flag_values=values,
    )
    flags.DEFINE_string("prompt", "\n", "What comes before the sample, and is not printed.", flag_values=values)
    flags.DEFINE_integer("seed", 0, "Seed of the sample.", flag_values=values)


def evaluate(path: Path, name: str | None = None, data_dir: str | None = None) -> dict[str, dict[str, float]]:
    """Loss and accuracy of the ticket's network on the validation and the test split.

    Raises:
        ValueError: if the ticket cannot be read or does not fit the dataset.
        OSError: if a file is not there.
        ImportError: if a package that reads the dataset is not installed.
        RunError: if the dataset cannot be read.
    """
    shipped = open_ticket(path)
    source = source_for(shipped.settings, shipped.inputs, name, data_dir)
    built, arrays = shipped.network, (shipped.ticket.weights, shipped.batch_stats)
    mesh = training.data_mesh()
    weights, batch_stats = training.replicate(arrays, mesh)
    if isinstance(source, data.Stream):
        add = training.compile_batch_evaluation(built.apply, mesh)
        metrics = evaluate_stream(add, weights, batch_stats, source, mesh, STREAM_BATCH * mesh.size, None)
    else:
        measure = jax.jit(lambda weights, stats, split: training.evaluate(built.apply, weights, stats, split, mesh))
        splits = {split: training.replicate(getattr(source, split), mesh) for split in SPLITS}
        metrics = {split: measure(weights, batch_stats, splits[split]) for split in SPLITS}
    return {split: {key: number(value) for key, value in metrics[split].items()} for split in SPLITS}


def write(path: Path, count: int, prompt: str, seed: int) -> str:
    """So many characters after a prompt, as the ticket's network writes them.

    Raises:
        ValueError: if the ticket cannot be read, or its network is of no text, or for an empty prompt.
        OSError: if the file is not there.
    """
    if not 1 <= count <= LONGEST:
        raise ValueError(f"--sample: {count} was given, but it must be from 1 to {LONGEST}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed: {seed} was given, but it must be from 0 to {2**32 - 1}")
    if not prompt:
        raise ValueError("--prompt: '' was given, but it must have at least one character")
    shipped = open_ticket(path)
    if shipped.settings.model not in models.TEXT_MODELS:
        raise ValueError(f"--sample: {path} has a network of images, {shipped.settings.model}, which writes no text")
    context, key = shipped.inputs.image_shape[0], jax.random.key(seed)
    return shown(sample(shipped.network.apply, shipped.ticket.weights, context, prompt.encode(), count, key))


def evaluate_logits(logits: Logits, name: str, data_dir: str | None = None) -> dict[str, dict[str, float]]:
    """Loss and accuracy of a function from images to logits on the validation and the test split.

    Raises:
        ValueError: if the function does not fit the dataset, or that is a stream.
        OSError: if a file is not there.
        ImportError: if a package that reads the dataset is not installed.
    """
    settings = resolve(Request(dataset=name))
    check_given(() if data_dir is None else ("data_dir",), settings)
    source = load_source(settings, data_dir)
    if isinstance(source, data.Stream):
        raise ValueError(f"--dataset: {name} is a stream, which only a --ticket is evaluated on")
    return {split: _measured(logits, getattr(source, split), source.classes) for split in SPLITS}


def _measured(logits: Logits, split: data.Split, classes: int) -> dict[str, float]:
    """Means over all labels, of which a text has one for each byte."""
    loss = correct = 0.0
    for first in range(0, len(split.labels), BATCH):
        labels = split.labels[first : first + BATCH]
        given = np.asarray(logits(split.images[first : first + BATCH]), np.float64)
        if given.shape[:-1] != labels.shape or classes > given.shape[-1]:
            raise ValueError(f"--dataset: it has {classes} classes, but logits of shape {given.shape}")
        shifted = given - given.max(-1, keepdims=True)
        of_labels = np.take_along_axis(shifted, labels[..., None], -1)[..., 0]
        loss += float((np.log(np.exp(shifted).sum(-1)) - of_labels).sum())
        correct += float((given.argmax(-1) == labels).sum())
    return {"loss": loss / split.labels.size, "accuracy": correct / split.labels.size}


def _check(values: flags.FlagValues) -> str:
    """The flag that names the file, if each that is given does something."""
    given = [name for name in ("ticket", "stablehlo", "onnx") if values[name].value]
    if len(given) != 1:
        raise ValueError("--ticket: it must be given" if not given else f"--{given[1]}: --{given[0]} was given too")
    writes = values.sample is not None
    if writes and not values.ticket:
        raise ValueError("--sample: only a network that --ticket names writes text")
    for name in _OF_DATA if writes else _OF_SAMPLES:
        if values[name].present:
            raise ValueError(f"--{name}: it {'does nothing with' if writes else 'needs'} --sample")
    return given[0]


def _of_flags(values: flags.FlagValues, kind: str) -> dict[str, dict[str, float]]:
    path = Path(str(values[kind].value))
    if values.ticket:
        return evaluate(path, values.dataset, values.data_dir)
    name: Any = values.dataset or (onnx_metadata(path).get("dataset") if values.onnx else None)
    if not name:
        raise ValueError(f"--dataset: it must be given, because {path} does not name one")
    return evaluate_logits((onnx_logits if values.onnx else stablehlo_logits)(path), name, values.data_dir)


def main(arguments: list[str]) -> None:
    """Evaluates the file of the flags."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ImportError, ValueError, OSError, RunError):
        kind = _check(values)
        if values.sample is not None:
            print(write(Path(values.ticket), values.sample, values.prompt, values.seed))
            return
        for split, result in _of_flags(values, kind).items():
            print(f"{split:10} accuracy {100 * result['accuracy']:.2f} %, loss {result['loss']:.4f}")


if __name__ == "__main__":
    define_flags()
    start(main)
