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

from experiments.configuration.recipes import resolve
from experiments.configuration.settings import RunOptions, Settings, describe
from experiments.running.components import (
    Source,
    draw,
    examples_of,
    inputs_of,
    load_source,
    network,
    optimizer_of,
    selector_of,
)
from experiments.running.curves import draw_curves
from experiments.running.failure import RunError, Stopped, of_system
from experiments.running.fingerprint import fingerprint
from experiments.running.interruption import Interruption
from experiments.running.logs import Logs
from experiments.running.passes import Experiment, Passes
from experiments.running.processes import any_of_all, is_first
from experiments.running.progress import Progress
from experiments.running.resident import resident
from experiments.running.streamed import streamed
from experiments.running.summary import History, summarize
from experiments.running.trained import restore_frozen, starting_weights
from experiments.running.workdir import find_run, open_run, write_json
from slotjax import data, training
from slotjax.training.checkpoints import save_arrays
from slotjax.training.devices import wait_for_processes


class Start(NamedTuple):
    """What a run goes on from."""

    state: training.TrainState
    frozen: PyTree
    history: History


def run(
    settings: Settings, options: RunOptions, interruption: Interruption | None = None, mesh: Mesh | None = None
) -> dict[str, Any]:
    """Trains one network, or goes on with the run in the workdir, or reads what it came to if it is finished.

    Args:
        settings: what decides its numbers.
        options: what does not.
        interruption: one that listens already; one of its own unless given.
        mesh: the devices, all unless given.

    Returns:
        The content of `summary.json`.

    Raises:
        RunError: for settings that do not fit the data or the workdir, before anything is compiled, if the loss
            becomes NaN or infinite, and if the workdir cannot be written or the data not be read.
        Stopped: after SIGTERM or SIGINT, when the epoch (of a stream, the step) is done and saved.
    """
    try:
        summary = find_run(settings, options)
        if summary is not None:
            print(f"The run in {options.workdir} is finished; nothing was trained.")
            return summary
        source = load_source(settings, options.data_dir)
        experiment = build(settings, source, mesh)
        workdir, lock = _open(settings, options, experiment)
    except (ImportError, ValueError, OSError) as error:
        raise RunError(str(error)) from error
    try:
        opened = training.Checkpoints(workdir / "checkpoints", options.keep_epochs)
        listening = Interruption() if interruption is None else contextlib.nullcontext(interruption)
        with lock, listening as asked, opened as checkpoints:
            return train(experiment, settings, options, workdir, checkpoints, asked)
    except OSError as error:
        raise of_system(error, workdir) from error


def _open(settings: Settings, options: RunOptions, experiment: Experiment) -> tuple[Path, Any]:
    """The workdir, which process 0 opens for all."""
    opened: Any = Path(str(options.workdir)), contextlib.nullcontext()
    if is_first():
        opened = open_run(settings, options, experiment.inputs)
    wait_for_processes("workdir")
    return opened


def build(settings: Settings, source: Source, mesh: Mesh | None = None) -> Experiment:
    """The experiment that the settings describe, on all devices unless a mesh is given. Compiles nothing."""
    complete: Any = resolve(settings)
    mesh, examples = mesh or training.data_mesh(), examples_of(source)
    if complete.batch_size > examples or complete.batch_size % mesh.size:
        allowed = f"at most the {examples} training examples and a multiple of the number of devices, {mesh.size}"
        raise ValueError(f"--batch_size: it is {complete.batch_size}, but it must be {allowed}")
    inputs = inputs_of(source)
    built = network(settings, inputs)
    weights = built.shapes
    if settings.init_from:
        weights, batch_stats = starting_weights(settings.init_from, settings, inputs)
        built = built._replace(batch_stats=batch_stats)
    steps = examples // complete.batch_size
    return Experiment(
        source,
        inputs,
        built,
        weights,
        selector_of(settings),
        *optimizer_of(settings, steps),
        mesh,
        complete.batch_size,
        complete.label_smoothing,
        complete.epochs,
        steps,
    )


def train(
    experiment: Experiment,
    settings: Settings,
    options: RunOptions,
    workdir: Path,
    checkpoints: training.Checkpoints,
    interruption: Interruption,
) -> dict[str, Any]:
    """Trains from the latest checkpoint, or from the start, to the last epoch."""
    initial = _initial(experiment, jax.random.key(settings.seed), options.shard_state)
    if options.shard_state:
        experiment = experiment._replace(state_shardings=jax.tree.map(lambda array: array.sharding, initial.state))
    passes = passes_of(experiment, settings, options, workdir, interruption)
    state, frozen, history = _start(initial, passes, workdir, checkpoints)
    epochs = experiment.epochs
    if any_of_all(bool(interruption)):
        raise Stopped(f"Stopped before epoch {len(history)}; the same command goes on from there.")
    logs_of_first = Logs(workdir, history) if is_first() else contextlib.nullcontext()
    with logs_of_first as logs, Progress(epochs, done=len(history) - 1) as progress:
        for number in range(len(history), epochs + 1):
            state, record = _timed_epoch(passes, state, frozen, experiment.schedule)
            history.append(record)
            if logs:
                logs.write(record)
            progress.show(record)
            stop = any_of_all(bool(interruption))
            if stop or number in (*options.keep_epochs, epochs) or number % options.checkpoint_every == 0:
                checkpoints.save(number, state, history)
            if stop and number < epochs:
                raise Stopped(f"Stopped after epoch {number}; the same command goes on from there.")
    variables = {"params": state.params, "frozen": frozen}
    summary = summarize(history, experiment.selector, variables, fingerprint(frozen))
    if is_first():
        draw_curves(history, f"{settings.model} on {settings.dataset}, {describe(settings)}", workdir / "curves.png")
        write_json(workdir / "summary.json", summary)
    return summary


def passes_of(
    experiment: Experiment, settings: Settings, options: RunOptions, workdir: Path, interruption: Interruption
) -> Passes:
    """How the run goes through its data."""
    if isinstance(experiment.source, data.Stream):
        return streamed(experiment, experiment.source, settings.seed, options, workdir, interruption)
    return resident(experiment, experiment.source, workdir / "profile" if options.profile else None)


def _start(start: Start, passes: Passes, workdir: Path, checkpoints: training.Checkpoints) -> Start:
    if not (workdir / "frozen").exists() and jax.tree.leaves(start.frozen):
        save_arrays(workdir / "frozen", start.frozen)
    try:
        restored = checkpoints.restore_latest(start.state)
    except ValueError as error:
        raise RunError(f"--workdir: {error}; name another, or give --overwrite to start again") from error
    state, history = restored or (start.state, [])
    start = Start(state, _frozen(start.frozen, history, workdir), history)
    if not history:
        return start._replace(history=[_untrained(start, passes)])
    if int(state.epoch) != len(history) - 1:
        raise RunError(f"--workdir: the newest checkpoint in {workdir} is of epoch {state.epoch}, its history is not")
    if passes.sha256 != history[0]["dataset_sha256"]:
        raise RunError(f"--dataset: it does not hold the data that the run in {workdir} started with")
    print(f"Resuming after epoch {len(history) - 1}.")
    return start


def _frozen(redrawn: PyTree, history: History, workdir: Path) -> PyTree:
    try:
        return restore_frozen(workdir, redrawn, history[0]["frozen_sha256"] if history else None)
    except ValueError as error:
        raise RunError(str(error)) from error


def _initial(experiment: Experiment, key: jax.Array, shard: bool) -> Start:
    variables = draw(experiment.selector, key, experiment.weights)
    state = training.init_state(key, variables["params"], experiment.optimizer, experiment.network.batch_stats)
    place = training.shard if shard else training.replicate
    state, frozen = place((state, variables["frozen"]), experiment.mesh)
    return Start(state, frozen, history=[])


def _untrained(start: Start, passes: Passes) -> dict[str, Any]:
    metrics = passes.evaluate(start.state, start.frozen)
    hashes = {"frozen_sha256": fingerprint(start.frozen), "dataset_sha256": passes.sha256}
    return {"epoch": 0, **_as_numbers(metrics), **hashes}


def _timed_epoch(passes: Passes, state: training.TrainState, frozen: PyTree, schedule: optax.Schedule) -> Any:
    rate, done, start = schedule(int(state.step)), int(state.epoch), time.perf_counter()
    state, metrics, images = passes.epoch(state, frozen)
    numbers = _as_numbers(metrics)  # which waits for them
    seconds = time.perf_counter() - start
    record = {"epoch": done + 1, "step": int(state.step), **numbers, "learning_rate": _as_numbers(rate)}
    return state, record | {"time": {"seconds": round(seconds, 3), "images_per_second": round(images / seconds, 1)}}


def _as_numbers(metrics: PyTree) -> Any:
    # Through the shortest text that reads back the same: 0.948 is 0.948 and not 0.9480000138282776.
    return jax.tree.map(lambda value: value if isinstance(value, int) else float(str(np.asarray(value))), metrics)
