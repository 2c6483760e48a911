"""Epochs over a dataset that is on the devices whole, each one compiled call."""

import contextlib
import itertools
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree

from experiments.running.experiment import Experiment, Metrics, Trainer
from experiments.running.failure import check_finite
from experiments.running.fingerprint import fingerprint
from slotjax import data, training


def resident_trainer(experiment: Experiment, dataset: data.Dataset, profile: Path | None = None) -> Trainer:
    """Trains on a dataset that fits into the devices' memory; one epoch leaves a trace in `profile`, if given."""
    dataset = training.replicate(dataset, experiment.mesh)
    learner, mesh = experiment.learner, experiment.mesh
    compiled_epoch = training.compile_epoch(
        learner, mesh, experiment.batch_size, experiment.state_shardings, experiment.steps_per_epoch
    )
    calls = itertools.count()
    evaluation = training.compile_evaluation(learner, mesh)

    def train_epoch(state: training.TrainState, frozen: PyTree) -> tuple[training.TrainState, Metrics, int]:
        first = int(state.step)
        # Not the first if there is another, because the call is compiled in it.
        second = next(calls) == 1 or int(state.epoch) == experiment.epochs - 1
        with jax.profiler.trace(str(profile)) if profile and second else contextlib.nullcontext():
            state, metrics = compiled_epoch(state, frozen, dataset)
            losses = np.asarray(metrics.pop("losses"))
        check_finite(losses, first, experiment.steps_per_epoch, experiment.schedule)
        return state, metrics, len(losses) * experiment.batch_size

    def evaluate(state: training.TrainState, frozen: PyTree) -> Metrics:
        return evaluation({"params": state.params, "frozen": frozen}, state.batch_stats, dataset)

    return Trainer(train_epoch, evaluate, dataset_sha256=fingerprint(dataset))
