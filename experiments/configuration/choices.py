"""What a flag takes, where that is one of a few names: those of the library, and those of these programs."""

from collections.abc import Mapping
from typing import Literal, get_args

import slotjax
from slotjax import data, models, training

FOREIGN = ("linen_cnn", "nnx_cnn", "equinox_cnn", "haiku_cnn")  # see experiments.running.foreign
Padding = Literal["SAME", "VALID"]
Dtype = Literal["float32", "bfloat16"]
Where = Literal["kernels", "all"]
BiasesAndScales = Literal["learned", "fixed"]
Optimizer = Literal["sgd", "adam"]
Distribution = Literal[
    "own",
    "own_uniform",
    "own_bell",
    "own_stratified",
    "own_normal",
    "glorot_uniform",
    "glorot_deviation",
    "glorot_normal",
    "kaiming_normal",
    "kaiming_uniform",
    "signed_kaiming_constant",
    "xavier_normal",
    "signed_xavier_constant",
]

OWN_SCALES = ("own_uniform", "own_bell", "own_stratified", "own_normal")  # of a kind that is named

CHOICES: Mapping[str, tuple[str, ...]] = {
    "model": (*models.MODELS, *FOREIGN),
    "padding": get_args(Padding),
    "augmentation": data.AUGMENTATIONS,
    "compute_dtype": get_args(Dtype),
    "where": get_args(Where),
    "biases_and_scales": get_args(BiasesAndScales),
    "share": get_args(slotjax.selectors.Share),
    "initial": get_args(slotjax.selectors.Initial),
    "ranking": get_args(slotjax.selectors.Ranking),
    "evaluation": get_args(slotjax.selectors.Evaluation),
    "selection": get_args(slotjax.selectors.Selection),
    "scores": get_args(slotjax.selectors.Scores),
    "options": get_args(slotjax.options.Storage),
    "distribution": get_args(Distribution),
    "fan": get_args(slotjax.distributions.Fan),
    "optimizer": get_args(Optimizer),
    "schedule": training.SCHEDULES,
}
