"""Training: one compiled call per epoch, over a mesh of devices."""

from slotjax.training.apply import linen_apply
from slotjax.training.checkpoints import Checkpoints
from slotjax.training.devices import data_mesh, replicate
from slotjax.training.epoch import compile_epoch
from slotjax.training.evaluation import compile_evaluation, evaluate
from slotjax.training.loss import loss_and_correct
from slotjax.training.optimizers import sgd
from slotjax.training.schedules import SCHEDULES, learning_rate_schedule
from slotjax.training.state import TrainState, init_state
from slotjax.training.step import train_step

__all__ = [
    "SCHEDULES",
    "Checkpoints",
    "TrainState",
    "compile_epoch",
    "compile_evaluation",
    "data_mesh",
    "evaluate",
    "init_state",
    "learning_rate_schedule",
    "linen_apply",
    "loss_and_correct",
    "replicate",
    "sgd",
    "train_step",
]
