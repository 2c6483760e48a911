"""One run: from settings to a summary, with everything it leaves in its workdir."""

import contextlib
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import PyTree

import slotjax
from experiments.components import Inputs, Network, inputs_of, network, optimizer_of, selector_of
from experiments.curves import draw_curves
from experiments.fingerprint import fingerprint
from experiments.logs import Logs
from experiments.progress import Progress
from experiments.recipes import resolve
from experiments.settings import RunOptions, Settings, describe
from experiments.summary import History, summarize
from experiments.trained import restore_frozen, starting_weights
from experiments.workdir import find_run, open_run, write_json
from slotjax import data, training
from slotjax.training.checkpoints import save_arrays


class RunError(Exception):
    """What is wrong with a run, in one sentence for the user."""


class Experiment(NamedTuple):
    """The parts of a run that its settings decide."""

    dataset: data.Dataset
    inputs: Inputs
    network: Network
    weights: PyTree
    selector: slotjax.Selector
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    mesh: Mesh


class Start(NamedTuple):
    """What a run goes on from."""

    state: training.TrainState
    frozen: PyTree
    history: History


def run(settings: Settings, options: RunOptions) -> dict[str, Any]:
    """Trains one network, or goes on with the run in the workdir, or reads what it came to if it is finished.

    Returns:
        The content of `summary.json`.

    Raises:
        RunError: for settings that do not fit the data or the workdir, before anything is compiled, and if the loss
            becomes NaN or infinite.
    """
    try:
        summary = find_run(settings, options)
        if summary is not None:
            print(f"The run in {options.workdir} is finished; nothing was trained.")
            return summary
        experiment = build(settings, data.load(settings.dataset, options.data_dir))
        workdir, lock = open_run(settings, options, experiment.inputs)
    except (ValueError, OSError) as error:
        raise RunError(str(error)) from error
    with lock, training.Checkpoints(workdir / "checkpoints", options.keep_epochs) as checkpoints:
        return train(experiment, settings, options, workdir, checkpoints)


def build(settings: Settings, dataset: data.Dataset) -> Experiment:
    """The experiment that the settings describe. Compiles nothing."""
    mesh = training.data_mesh()
    examples, devices = len(dataset.train.labels), mesh.size
    if settings.batch_size > examples or settings.batch_size % devices:
        allowed = f"at most the {examples} training examples and a multiple of the number of devices, {devices}"
        raise ValueError(f"--batch_size: it is {settings.batch_size}, but it must be {allowed}")
    inputs = inputs_of(dataset)
    built = network(settings, inputs)
    weights = built.shapes
    if settings.init_from:
        weights, batch_stats = starting_weights(settings.init_from, settings, inputs)
        built = built._replace(batch_stats=batch_stats)
    schedule, optimizer = optimizer_of(settings, examples // settings.batch_size)
    return Experiment(dataset, inputs, built, weights, selector_of(settings), schedule, optimizer, mesh)


def train(
    experiment: Experiment, settings: Settings, options: RunOptions, workdir: Path, checkpoints: training.Checkpoints
) -> dict[str, Any]:
    """Trains from the latest checkpoint, or from the start, to the last epoch."""
    dataset = training.replicate(experiment.dataset, experiment.mesh)
    state, frozen, history = _start(experiment, settings.seed, workdir, checkpoints, dataset)
    epoch = training.compile_epoch(
        experiment.network.apply,
        experiment.selector,
        experiment.optimizer,
        settings.batch_size,
        experiment.mesh,
        settings.label_smoothing,
    )
    epochs = int(resolve(settings).epochs or 0)
    with Logs(workdir, history) as logs, Progress(epochs, done=len(history) - 1) as progress:
        profiled = min(len(history) + 1, epochs)  # not the first, in which the call is compiled
        for number in range(len(history), epochs + 1):
            with profile(workdir) if options.profile and number == profiled else contextlib.nullcontext():
                state, record = _timed_epoch(epoch, state, frozen, dataset, experiment.schedule)
            history.append(record)
            logs.write(record)
            progress.show(record)
            if number in (*options.keep_epochs, epochs) or number % options.checkpoint_every == 0:
                checkpoints.save(number, state, history)
    variables = {"params": state.params, "frozen": frozen}
    summary = summarize(history, experiment.selector, variables, fingerprint(frozen))
    draw_curves(history, f"{settings.model} on {settings.dataset}, {describe(settings)}", workdir / "curves.png")
    write_json(workdir / "summary.json", summary)
    return summary


def _start(
    experiment: Experiment, seed: int, workdir: Path, checkpoints: training.Checkpoints, dataset: data.Dataset
) -> Start:
    start = _initial(experiment, jax.random.key(seed))
    if (workdir / "frozen").exists():
        start = start._replace(frozen=restore_frozen(workdir, start.frozen))
    elif jax.tree.leaves(start.frozen):
        save_arrays(workdir / "frozen", start.frozen)
    restored = checkpoints.restore_latest(start.state)
    if restored is None:
        return start._replace(history=[_untrained(experiment, start, dataset)])
    state, history = restored
    if int(state.epoch) != len(history) - 1:
        raise RunError(f"--workdir: the newest checkpoint in {workdir} is of epoch {state.epoch}, its history is not")
    if fingerprint(start.frozen) != history[0]["frozen_sha256"]:
        raise RunError(f"--workdir: {workdir / 'frozen'} does not hold the options that the run started with")
    if fingerprint(dataset) != history[0]["dataset_sha256"]:
        raise RunError(f"--dataset: it does not hold the data that the run in {workdir} started with")
    print(f"Resuming after epoch {len(history) - 1}.")
    return Start(state, start.frozen, history)


def _initial(experiment: Experiment, key: jax.Array) -> Start:
    variables = experiment.selector.init(key, experiment.weights)
    state = training.init_state(key, variables["params"], experiment.optimizer, experiment.network.batch_stats)
    state, frozen = training.replicate((state, variables["frozen"]), experiment.mesh)
    return Start(state, frozen, history=[])


def _untrained(experiment: Experiment, start: Start, dataset: data.Dataset) -> dict[str, Any]:
    evaluation = training.compile_evaluation(experiment.network.apply, experiment.selector, experiment.mesh)
    metrics = evaluation({"params": start.state.params, "frozen": start.frozen}, start.state.batch_stats, dataset)
    hashes = {"frozen_sha256": fingerprint(start.frozen), "dataset_sha256": fingerprint(dataset)}
    return {"epoch": 0, **_as_numbers(metrics), **hashes}


def _timed_epoch(epoch: Any, state: training.TrainState, frozen: PyTree, dataset: data.Dataset, schedule: Any) -> Any:
    first, done, start = int(state.step), int(state.epoch), time.perf_counter()
    state, metrics = epoch(state, frozen, dataset)
    losses = np.asarray(metrics.pop("losses"))
    seconds = time.perf_counter() - start
    _check_finite(losses, first, done + 1, schedule)
    record = {"epoch": done + 1, "step": first + len(losses), **_as_numbers(metrics)}
    record["learning_rate"] = _as_numbers(schedule(first))
    images = len(dataset.train.labels) / seconds
    return state, record | {"time": {"seconds": round(seconds, 3), "images_per_second": round(images, 1)}}


def profile(workdir: Path) -> contextlib.AbstractContextManager[None]:
    """Leaves a trace of JAX's profiler in `profile` under the workdir, for TensorBoard or Perfetto."""
    return jax.profiler.trace(str(workdir / "profile"))


def _check_finite(losses: np.ndarray, first: int, epoch: int, schedule: optax.Schedule) -> None:
    broken = np.flatnonzero(~np.isfinite(losses))
    if broken.size:
        step = first + int(broken[0])
        rate = float(schedule(step))
        raise RunError(
            f"the loss is {losses[broken[0]]} at step {step + 1} (epoch {epoch}, learning rate {rate:g}); "
            "a smaller --learning_rate may help, in another --workdir or with --overwrite"
        )


def _as_numbers(metrics: PyTree) -> Any:
    # Through the shortest text that reads back the same: 0.948 is 0.948 and not 0.9480000138282776.
    return jax.tree.map(lambda value: float(str(np.asarray(value))), metrics)
