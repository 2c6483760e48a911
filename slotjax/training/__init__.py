"""Training over a mesh of devices: one compiled call per epoch, or per step of a stream of batches."""

from slotjax.training.apply import Apply, linen_apply
from slotjax.training.arrays import restore_arrays, save_arrays
from slotjax.training.checkpoints import Checkpoints, History
from slotjax.training.checksums import checksums
from slotjax.training.devices import (
    all_processes,
    data_mesh,
    fetch,
    place_batch,
    replicate,
    shard,
    shardings,
    wait_for_processes,
)
from slotjax.training.epoch import compile_epoch
from slotjax.training.evaluation import compile_evaluation, evaluate
from slotjax.training.learner import Learner
from slotjax.training.loss import correct_predictions, cross_entropy
from slotjax.training.optimizers import adam, sgd
from slotjax.training.schedules import SCHEDULES, learning_rate_schedule
from slotjax.training.state import TrainState, init_state
from slotjax.training.step import train_step
from slotjax.training.stream import BatchEvaluation, StreamStep, compile_batch_evaluation, compile_stream_step
from slotjax.training.sums import Sums, zero_sums
from slotjax.training.trials import compile_trials, stack_trials

__all__ = [
    "SCHEDULES",
    "Apply",
    "BatchEvaluation",
    "Checkpoints",
    "History",
    "Learner",
    "StreamStep",
    "Sums",
    "TrainState",
    "adam",
    "all_processes",
    "checksums",
    "compile_batch_evaluation",
    "compile_epoch",
    "compile_evaluation",
    "compile_stream_step",
    "compile_trials",
    "correct_predictions",
    "cross_entropy",
    "data_mesh",
    "evaluate",
    "fetch",
    "init_state",
    "learning_rate_schedule",
    "linen_apply",
    "place_batch",
    "replicate",
    "restore_arrays",
    "save_arrays",
    "sgd",
    "shard",
    "shardings",
    "stack_trials",
    "train_step",
    "wait_for_processes",
    "zero_sums",
]
