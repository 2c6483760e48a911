"""The accuracy of a ticket on a dataset, without the run that it came from.

    python -m experiments.evaluate --ticket=lenet.ticket [--dataset=mnist --data_dir=DIR]

A second on two CPU cores for LeNet and MNIST, without starting.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from absl import flags

import slotjax
from experiments.configuration.settings import Request, Settings
from experiments.flags.resolve import resolve
from experiments.program import one_sentence, prepare, start
from experiments.running.components import inputs_from, inputs_of, load_source, network
from experiments.running.failure import RunError
from experiments.running.numbers import number
from experiments.running.streamed import evaluate_stream
from slotjax import data, models, training

SPLITS = ("validation", "test")
STREAM_BATCH = 64  # images per device


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_string("ticket", None, "A file that experiments.export wrote.", flag_values=values)
    flags.DEFINE_string(
        "dataset",
        None,
        "As in experiments.train. Default: the one that the network was trained on.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where datasets are prepared. Default: TFDS_DATA_DIR or ~/tensorflow_datasets.",
        flag_values=values,
    )


def evaluate(path: Path, name: str | None = None, data_dir: str | None = None) -> dict[str, dict[str, float]]:
    """Loss and accuracy of the ticket's network on the validation and the test split.

    Raises:
        ValueError: if the ticket cannot be read or does not fit the dataset.
        OSError: if a file is not there.
        ImportError: if a package that reads the dataset is not installed.
        RunError: if the dataset cannot be read.
    """
    ticket = slotjax.load_ticket(path)
    known = ticket.metadata
    if known.get("model") not in models.MODELS or "classes" not in known:
        raise ValueError(
            f"--ticket: {path} does not say of which network it is, so experiments.export did not write it"
        )
    inputs, settings = inputs_from(known), _settings(known)
    source = load_source(replace(settings, dataset=name or settings.dataset), data_dir)
    if inputs_of(source) != inputs:
        raise ValueError(f"--dataset: it has {inputs_of(source)}, but the ticket was trained for {inputs}")
    built = network(settings, inputs)
    arrays = ticket.weights, ticket.collections.get("batch_stats", {})
    _check_fits(arrays, (built.shapes, built.batch_stats), path)
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


def _settings(known: dict[str, Any]) -> Settings:
    """Those that a ticket's network and its images need."""
    given = {"padding": "SAME"} | known.get("model_settings", {})  # the padding of the first tickets, which have none
    image_size = known["image_shape"][0]
    return resolve(Request(model=known["model"], dataset=known["dataset"], image_size=image_size, **given))


def _check_fits(weights: Any, shapes: Any, path: Path) -> None:
    given, expected = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (weights, shapes))
    if given != expected:
        raise ValueError(f"--ticket: {path} has weights of shapes {given}, but its network needs {expected}")


def main(arguments: list[str]) -> None:
    """Evaluates the ticket of the flags."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ImportError, ValueError, OSError, RunError):
        if not values.ticket:
            raise ValueError("--ticket: it must be given")
        for split, result in evaluate(Path(values.ticket), values.dataset, values.data_dir).items():
            print(f"{split:10} accuracy {100 * result['accuracy']:.2f} %, loss {result['loss']:.4f}")


if __name__ == "__main__":
    define_flags()
    start(main)
