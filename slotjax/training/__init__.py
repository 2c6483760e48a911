"""Training: one compiled call per epoch, over a mesh of devices."""

from slotjax.training.checkpoints import Checkpoints
from slotjax.training.devices import data_mesh, replicate
from slotjax.training.epoch import compile_epoch, compile_evaluation
from slotjax.training.evaluation import evaluate
from slotjax.training.optimizers import sgd
from slotjax.training.schedules import SCHEDULES, learning_rate_schedule
from slotjax.training.state import TrainState, init_state

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
    "replicate",
    "sgd",
]
