"""Epochs over a stream of batches, a compiled call for each, which can be resumed between any two steps."""

import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from experiments.configuration.execution import Execution
from experiments.running.experiment import Experiment, Metrics, Trainer
from experiments.running.failure import RunError, Stopped, check_finite
from experiments.running.interruption import Interruption
from experiments.running.losses import check_there
from experiments.running.processes import holds_in_any_process
from slotjax import analysis, data, training

IN_FLIGHT = 2  # steps that the host may be ahead of the devices, so that few batches wait in their memory
ASKED = 20  # steps after which several processes ask each other whether one was told to stop
PROFILED = (5, 15)  # the batches between which a trace is taken, after compilation
_PREPARED_SPLITS = {"train": "train", "validation": "train", "test": "validation"}


class _Compiled(NamedTuple):
    step: training.StreamStep
    add: training.BatchEvaluation
    select: Callable[[PyTree], PyTree]
    selection: Callable[[PyTree], PyTree]


class _Streamed(NamedTuple):
    """What every epoch needs."""

    experiment: Experiment
    stream: data.Stream
    seed: int
    execution: Execution
    workdir: Path
    interruption: Interruption
    compiled: _Compiled


class _Position(NamedTuple):
    """How far an epoch is: the state, the sums so far, and what was selected when it began."""

    state: training.TrainState
    sums: training.Sums
    before: PyTree


def streamed_trainer(
    experiment: Experiment,
    stream: data.Stream,
    seed: int,
    execution: Execution,
    workdir: Path,
    interruption: Interruption,
) -> Trainer:
    """Trains on a stream; an epoch leaves checkpoints in `partial` under the workdir, and goes on from them."""
    learner, mesh = experiment.learner, experiment.mesh
    compiled = _Compiled(
        training.compile_stream_step(learner, mesh, experiment.state_shardings),
        training.compile_batch_evaluation(learner.apply, mesh),
        jax.jit(learner.selector.select),
        jax.jit(learner.selector.selection),
    )
    every = _Streamed(
        experiment=experiment,
        stream=stream,
        seed=seed,
        execution=execution,
        workdir=workdir,
        interruption=interruption,
        compiled=compiled,
    )
    return Trainer(partial(_train_epoch, every), partial(_evaluate, every), dataset_sha256=stream.sha256)


def evaluate_stream(
    add: training.BatchEvaluation,
    weights: PyTree,
    batch_stats: PyTree,
    stream: data.Stream,
    mesh: Mesh,
    batch_size: int,
    workers: int | None,
) -> Metrics:
    """Loss and accuracy on validation and test, and how many of their records were `skipped`."""
    metrics: Metrics = {}
    skipped = {}
    for split, examples in (("validation", stream.validation_examples), ("test", stream.test_examples)):
        sums = training.replicate(training.zero_sums(), mesh)
        read = getattr(stream, split)(batch_size, **_reading(workers))
        with contextlib.closing(_placed(read, split, mesh)) as batches:
            for batch, valid in batches:
                # One at a time: the next batch is on the devices when this one is done.
                sums = jax.block_until_ready(add(sums, weights, batch_stats, batch, valid))
        metrics[split], skipped[split] = sums.means(), examples - int(sums.examples)
    return metrics | {"skipped": skipped}


def _train_epoch(
    every: _Streamed, state: training.TrainState, frozen: PyTree
) -> tuple[training.TrainState, Metrics, int]:
    experiment, compiled = every.experiment, every.compiled
    sums = training.replicate(training.zero_sums(), experiment.mesh)
    start = _Position(state, sums, compiled.selection({"params": state.params, "frozen": frozen}))
    with _partial(every) as checkpoints:
        position = _resume(checkpoints, start, experiment.steps_per_epoch)
        first = int(position.state.step)
        state, sums = _train(every, position, frozen, checkpoints)
    metrics = {"train": sums.means(), **_evaluate(every, state, frozen)}
    steps, batch_size = experiment.steps_per_epoch, experiment.batch_size
    metrics["skipped"] = {"train": steps * batch_size - int(sums.examples), **metrics["skipped"]}
    if jax.tree.leaves(position.before):
        after = compiled.selection({"params": state.params, "frozen": frozen})
        metrics["changed"] = analysis.share_changed(position.before, after)
    return state._replace(epoch=state.epoch + 1), metrics, (int(state.step) - first) * batch_size


def _partial(every: _Streamed) -> training.Checkpoints:
    period = every.execution.checkpoint_steps
    return training.Checkpoints(every.workdir / "partial", best=0, is_scheduled=lambda step: step % period == 0)


def _resume(checkpoints: training.Checkpoints, start: _Position, steps_per_epoch: int) -> _Position:
    saved, first = checkpoints.epochs(), int(start.state.step)
    if not saved:
        return start
    if not first < saved[-1] < first + steps_per_epoch:
        checkpoints.clear()
        return start
    try:
        position, _ = checkpoints.restore_latest(start) or (start, [])
    except ValueError as error:
        print(f"{error}; going on from the start of the epoch.", file=sys.stderr, flush=True)
        checkpoints.clear()
        return start
    if int(position.state.step) <= first:
        return start
    print(f"Resuming after step {position.state.step}.", flush=True)
    return position


def _train(
    every: _Streamed, position: _Position, frozen: PyTree, checkpoints: training.Checkpoints
) -> tuple[training.TrainState, training.Sums]:
    (state, sums, before), experiment = position, every.experiment
    first, last = int(state.step), (int(state.epoch) + 1) * experiment.steps_per_epoch
    losses: deque[jax.Array] = deque()

    def wait(steps: int, at_most: int) -> None:
        while len(losses) > at_most:
            oldest = np.asarray(losses.popleft())[None]
            check_finite(oldest, steps - len(losses) - 1, experiment.steps_per_epoch, experiment.schedule)

    read = every.stream.train(every.seed, first, last, experiment.batch_size, **_reading(every.execution.workers))
    profile = every.workdir / "profile" if every.execution.profile and first == 0 else None
    with contextlib.closing(_placed(read, "train", experiment.mesh)) as batches:
        for steps, (batch, valid) in enumerate(_traced(batches, profile), first + 1):
            state, sums, loss = every.compiled.step(state, sums, frozen, batch, valid)
            losses.append(loss)
            wait(steps, IN_FLIGHT)
            stop = (jax.process_count() == 1 or steps % ASKED == 0) and holds_in_any_process(bool(every.interruption))
            if (stop or steps % every.execution.checkpoint_steps == 0) and steps < last:
                wait(steps, 0)
                check_there(every.workdir)
                checkpoints.save(steps, _Position(state, sums, before), [])
                if stop:
                    raise Stopped(f"Stopped after step {steps}; the same command goes on from there.")
    wait(last, 0)
    return state, sums


def _evaluate(every: _Streamed, state: training.TrainState, frozen: PyTree) -> Metrics:
    experiment, compiled = every.experiment, every.compiled
    weights = compiled.select({"params": state.params, "frozen": frozen})
    return evaluate_stream(
        compiled.add,
        weights,
        state.batch_stats,
        every.stream,
        experiment.mesh,
        experiment.batch_size,
        every.execution.workers,
    )


def _reading(workers: int | None) -> dict[str, int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "workers": cores if workers is None else workers,
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }


def _placed(read: Iterator[data.Batch], split: str, mesh: Mesh) -> Any:
    def place(batch: data.Batch) -> tuple[data.Split, Any]:
        _report(batch, split)
        return training.place_batch((data.Split(batch.images, batch.labels), batch.valid), mesh)

    return data.prefetch(_readable(read), place)


def _readable(read: Iterator[data.Batch]) -> Iterator[data.Batch]:
    try:
        yield from read
    except OSError as error:
        raise RunError(f"--dataset: it cannot be read ({error})") from error


def _report(batch: data.Batch, split: str) -> None:
    unreadable, prepared = batch.records[~batch.valid & (batch.records >= 0)], _PREPARED_SPLITS[split]
    if len(unreadable) and not batch.valid.any():
        raise RunError(f"--dataset: none of the records {unreadable.tolist()} of its split {prepared} can be read")
    for record in unreadable:
        print(f"Record {record} of the split {prepared} cannot be read and is skipped.", file=sys.stderr, flush=True)


def _traced(batches: Iterator[Any], directory: Path | None) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        for number, batch in enumerate(batches, 1):
            if directory and number == PROFILED[0]:
                stack.enter_context(jax.profiler.trace(str(directory)))
            yield batch
            if number == PROFILED[1]:
                stack.close()
