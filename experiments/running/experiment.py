"""What a run is made of, and how it trains and evaluates, whether its data are arrays or a stream."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import optax
from jax.sharding import Mesh
from jaxtyping import PyTree

import slotjax
from experiments.running.components import Inputs, Network, Source
from slotjax import training

Metrics = dict[str, Any]


class Experiment(NamedTuple):
    """The parts of a run that its settings decide."""

    source: Source
    inputs: Inputs
    network: Network
    weights: PyTree
    selector: slotjax.Selector
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    mesh: Mesh
    batch_size: int
    label_smoothing: float
    epochs: int
    steps_per_epoch: int
    state_shardings: PyTree | None = None  # replicated

    @property
    def learner(self) -> training.Learner:
        """What learns: with smoothed labels, if asked for, but evaluated with those of the data."""
        return training.Learner(
            apply=self.network.apply,
            selector=self.selector,
            optimizer=self.optimizer,
            loss=partial(training.cross_entropy, label_smoothing=self.label_smoothing),
            evaluation_loss=training.cross_entropy,
        )


class Trainer(NamedTuple):
    """An experiment with its data in place.

    Attributes:
        train_epoch: `train_epoch(state, frozen) -> (state, metrics, images)`: trains for one epoch, and evaluates. It
            donates `state`, and raises RunError if the loss becomes NaN or infinite. `images` were seen in training.
        evaluate: `evaluate(state, frozen) -> metrics` of validation and test.
        dataset_sha256: of the data.
    """

    train_epoch: Callable[[training.TrainState, PyTree], tuple[training.TrainState, Metrics, int]]
    evaluate: Callable[[training.TrainState, PyTree], Metrics]
    dataset_sha256: str
