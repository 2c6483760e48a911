"""One run: from settings to a summary, with everything it leaves in its workdir."""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh
from jaxtyping import PyTree

import slotjax
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from experiments.methods import describe, selector_of
from experiments.running.components import (
    Source,
    draw,
    examples_of,
    inputs_of,
    load_source,
    network,
    optimizer_of,
    start_of,
)
from experiments.running.curves import draw_curves
from experiments.running.experiment import Experiment, Trainer
from experiments.running.failure import RunError, Stopped, named_lack_of_memory, system_error
from experiments.running.fingerprint import fingerprint
from experiments.running.interruption import Interruption
from experiments.running.logs import Logs
from experiments.running.losses import check_checkpoints_left, check_there
from experiments.running.numbers import numbers
from experiments.running.processes import holds_in_any_process, is_first
from experiments.running.progress import Progress
from experiments.running.resident import resident_trainer
from experiments.running.sources import check_sources
from experiments.running.streamed import streamed_trainer
from experiments.running.summary import summarize
from experiments.running.trained import restore_frozen, starting_weights
from experiments.running.workdir import find_run, open_run, remove_directory, write_json
from slotjax import data, training

_AGAIN = "name another, or give --overwrite to start again"


class Start(NamedTuple):
    """What a run goes on from."""

    state: training.TrainState
    frozen: PyTree
    history: training.History


@named_lack_of_memory()
def run(
    settings: Settings,
    execution: Execution,
    interruption: Interruption | None = None,
    mesh: Mesh | None = None,
    load: Callable[..., data.Dataset] | None = None,
) -> dict[str, Any]:
    """Trains one network, or goes on with the run in the workdir, or reads its summary if it is finished.

    Args:
        settings: what decides its numbers.
        execution: what does not.
        interruption: one that listens already. Default: one of its own.
        mesh: the devices. Default: all.
        load: what reads a dataset that fits into memory. Default: `slotjax.data.load`.

    Returns:
        The content of `summary.json`.

    Raises:
        RunError: for settings that do not fit the data or the workdir, before anything is compiled, if the loss
            becomes NaN or infinite, if the workdir cannot be written or the data not be read, and if memory does not
            suffice.
        Stopped: after SIGTERM or SIGINT, when the epoch (of a stream, the step) is done and saved.
    """
    try:
        check_sources(settings, execution)
        summary = find_run(settings, execution)
        if summary is not None:
            print(f"The run in {execution.workdir} is finished; nothing was trained.")
            return summary
        source = load_source(settings, execution.data_dir, load)
        experiment = build(settings, source, mesh)
        workdir, lock = _open(settings, execution, experiment)
    except (ImportError, ValueError, OSError) as error:
        raise RunError(str(error)) from error
    if execution.summary and is_first():
        print(slotjax.summary(experiment.selector, experiment.weights), flush=True)
    try:
        scheduled = partial(_is_scheduled, settings, execution)
        opened = training.Checkpoints(workdir / "checkpoints", execution.keep_epochs, is_scheduled=scheduled)
        listening = Interruption() if interruption is None else contextlib.nullcontext(interruption)
        with lock, listening as asked, opened as checkpoints:
            return train(experiment, settings, execution, workdir, checkpoints, asked)
    except OSError as error:
        check_there(workdir)  # for without it, the system's error says nothing of what to do
        raise system_error(error, workdir) from error


def _open(settings: Settings, execution: Execution, experiment: Experiment) -> tuple[Path, Any]:
    """The workdir, which process 0 opens for all."""
    opened: Any = Path(str(execution.workdir)), contextlib.nullcontext()
    if is_first():
        opened = open_run(settings, execution, experiment.inputs)
    training.wait_for_processes("workdir")
    return opened


def build(settings: Settings, source: Source, mesh: Mesh | None = None) -> Experiment:
    """The experiment that the settings describe, on all devices unless a mesh is given.

    Compiles nothing but what draws the weights that the model's own initializers give, if they are asked for.
    """
    mesh, examples = mesh or training.data_mesh(), examples_of(source)
    if settings.batch_size > examples or settings.batch_size % mesh.size:
        allowed = f"at most the {examples} training examples and a multiple of the number of devices, {mesh.size}"
        raise ValueError(f"--batch_size: it is {settings.batch_size}, but it must be {allowed}")
    inputs = inputs_of(source)
    built = network(settings, inputs)
    steps = _steps(settings, examples)
    if settings.epochs * steps >= 2**31:  # as steps are counted in int32
        raise ValueError(f"--epochs: it is {settings.epochs}, but it must be at most {(2**31 - 1) // steps}")
    schedule, optimizer = optimizer_of(settings, steps)
    if settings.init_from:
        weights, batch_stats = starting_weights(settings.init_from, settings, inputs)
        built = built._replace(batch_stats=batch_stats)
    else:
        weights = start_of(settings, built)
    return Experiment(
        source=source,
        inputs=inputs,
        network=built,
        weights=weights,
        selector=selector_of(settings),
        schedule=schedule,
        optimizer=optimizer,
        mesh=mesh,
        batch_size=settings.batch_size,
        label_smoothing=settings.label_smoothing,
        epochs=settings.epochs,
        steps_per_epoch=steps,
    )


def _steps(settings: Settings, examples: int) -> int:
    """Of an epoch."""
    most = examples // settings.batch_size
    if settings.epoch_steps is not None and settings.epoch_steps > most and settings.examples is None:
        raise ValueError(f"--epoch_steps: it is {settings.epoch_steps}, but it must be at most {most}")
    return min(settings.epoch_steps or most, most)


def train(
    experiment: Experiment,
    settings: Settings,
    execution: Execution,
    workdir: Path,
    checkpoints: training.Checkpoints,
    interruption: Interruption,
) -> dict[str, Any]:
    """Trains from the latest checkpoint, or from the start, to the last epoch."""
    title, epochs = f"{settings.model} on {settings.dataset}, {describe(settings)}", experiment.epochs
    with Progress(epochs, settings.dataset in data.TEXTS, f"{title}; results in {workdir}") as progress:
        progress.doing("drawing random values,")
        initial = _initial(experiment, jax.random.key(settings.seed), execution.shard_state)
        if execution.shard_state:
            experiment = experiment._replace(state_shardings=jax.tree.map(lambda array: array.sharding, initial.state))
        trainer = trainer_of(experiment, settings, execution, workdir, interruption)
        scheduled = partial(_is_scheduled, settings, execution)
        state, frozen, history = _start(initial, trainer, workdir, checkpoints, scheduled, progress)
        if holds_in_any_process(bool(interruption)):
            raise Stopped(f"Stopped before epoch {len(history)}; the same command goes on from there.")
        progress.begin(done=len(history) - 1)
        with Logs(workdir, history) if is_first() else contextlib.nullcontext() as logs:
            for number in range(len(history), epochs + 1):
                state, record = _timed_epoch(trainer, state, frozen, experiment.schedule)
                history.append(record)
                if logs:
                    logs.write(record)
                progress.show(record)
                stop = holds_in_any_process(bool(interruption))
                check_there(workdir)
                if stop or scheduled(number):
                    checkpoints.save(number, state, history)
                if stop and number < epochs:
                    raise Stopped(f"Stopped after epoch {number}; the same command goes on from there.")
    check_there(workdir)
    _tidy(checkpoints, workdir)
    variables = {"params": state.params, "frozen": frozen}
    proof = slotjax.proof(frozen)
    check_proof(history, proof, workdir)
    summary = summarize(history, experiment.selector, variables, proof, experiment.optimizer)
    if is_first():
        draw_curves(history, title, workdir / "curves.png")
        write_json(workdir / "summary.json", summary)
    return summary


def _tidy(checkpoints: training.Checkpoints, workdir: Path) -> None:
    """Leaves what a run leaves that nothing interrupted."""
    checkpoints.tidy()
    if is_first():
        remove_directory(workdir / "partial")  # of an epoch that is finished and saved


def _is_scheduled(settings: Settings, execution: Execution, epoch: int) -> bool:
    """Whether a run that nothing interrupts saves a checkpoint after this epoch."""
    return epoch in (*execution.keep_epochs, settings.epochs) or epoch % execution.checkpoint_every == 0


def trainer_of(
    experiment: Experiment, settings: Settings, execution: Execution, workdir: Path, interruption: Interruption
) -> Trainer:
    """What trains the experiment on its data."""
    if isinstance(experiment.source, data.Stream):
        return streamed_trainer(experiment, experiment.source, settings.seed, execution, workdir, interruption)
    return resident_trainer(experiment, experiment.source, workdir / "profile" if execution.profile else None)


def _start(
    start: Start,
    trainer: Trainer,
    workdir: Path,
    checkpoints: training.Checkpoints,
    is_scheduled: Callable[[int], bool],
    progress: Progress,
) -> Start:
    if not (workdir / "frozen").exists() and jax.tree.leaves(start.frozen):
        training.save_arrays(workdir / "frozen", start.frozen)
    try:
        restored = checkpoints.restore_latest(start.state)
    except ValueError as error:
        raise RunError(f"--workdir: {error}; {_AGAIN}") from error
    if restored is None:
        check_checkpoints_left(workdir, is_scheduled)
    state, history = restored or (start.state, [])
    start = Start(state, _frozen(start.frozen, history, workdir), history)
    if not history:
        progress.doing("compiling the evaluation,")
        return start._replace(history=[_untrained(start, trainer)])
    if int(state.epoch) != len(history) - 1:
        raise RunError(
            f"--workdir: the newest checkpoint in {workdir} is of epoch {state.epoch}, its history is not; {_AGAIN}"
        )
    if trainer.dataset_sha256 != history[0]["dataset_sha256"]:
        raise RunError(
            f"--dataset: it does not hold the data that the run in {workdir} started with; give that, or another "
            "--workdir, or --overwrite to start again"
        )
    check_proof(history, slotjax.proof(start.frozen), workdir)
    progress.say(f"Resuming after epoch {len(history) - 1}.")
    return start


def check_proof(history: training.History, proof: str | None, workdir: Path) -> None:
    """Raises unless the options are those that the run started with, if it says what they were."""
    if history[0].get("proof", proof) != proof:
        raise RunError(
            f"--workdir: the options that are drawn now are not those that the run in {workdir} started with, perhaps "
            f"because this is another version of slotjax; use the version that config.json names, or {_AGAIN}"
        )


def _frozen(redrawn: PyTree, history: training.History, workdir: Path) -> PyTree:
    try:
        return restore_frozen(workdir, redrawn, history[0]["frozen_sha256"] if history else None)
    except ValueError as error:
        raise RunError(f"{error}; {_AGAIN}") from error


def _initial(experiment: Experiment, key: jax.Array, shard: bool) -> Start:
    variables = draw(experiment.selector, key, experiment.weights)
    state = training.init_state(key, variables["params"], experiment.optimizer, experiment.network.batch_stats)
    place = training.shard if shard else training.replicate
    state, frozen = place((state, variables["frozen"]), experiment.mesh)
    return Start(state, frozen, history=[])


def _untrained(start: Start, trainer: Trainer) -> dict[str, Any]:
    metrics = trainer.evaluate(start.state, start.frozen)
    hashes = {"frozen_sha256": fingerprint(start.frozen), "dataset_sha256": trainer.dataset_sha256}
    return {"epoch": 0, **numbers(metrics), **hashes, "proof": slotjax.proof(start.frozen)}


def _timed_epoch(trainer: Trainer, state: training.TrainState, frozen: PyTree, schedule: optax.Schedule) -> Any:
    rate, done, start = schedule(int(state.step)), int(state.epoch), time.perf_counter()
    state, metrics, images = trainer.train_epoch(state, frozen)
    measured = numbers(metrics)  # which waits for them
    seconds = time.perf_counter() - start
    record = {"epoch": done + 1, "step": int(state.step), **measured, "learning_rate": numbers(rate)}
    return state, record | {"time": {"seconds": round(seconds, 3), "images_per_second": round(images / seconds, 1)}}
