"""The papers' recipes as data: for each setting, its values, of which the first whose condition holds counts.

Slot machines, learned weights and finetuning: section 4.1 of Aladago & Torresani (2021), epochs of learned weights
in their Table 1. Edge-popup and supermasks: sections 4.1 and 4.4 of Ramanujan et al. (2020), which gives the latter the
absurd rate of 200 as Zhou et al. do. Adam, of learned weights: section 4.1 there. ImageNet: the configuration that they
released. Biprop and multicoated supermasks: what their authors released. Nearest initial scores, which are not in the
papers, train like weights. The 3,500 training digits of the sample, which no paper has, need 60 epochs.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments.configuration.choices import FOREIGN
from experiments.configuration.settings import Request


class When(NamedTuple):
    """A condition on what is asked for, as a function and in the words of the flags' help."""

    words: str
    holds: Callable[[Request], bool]


Rows = tuple[tuple[Any, When], ...]
Recipe = Mapping[str, Rows]


def value_of(rows: Rows, request: Request) -> Any:
    """The value of the first row whose condition holds.

    >>> [value_of(SLOT_MACHINE["learning_rate"], Request(k=k)) for k in (8, 9)]
    [0.2, 0.1]
    """
    return next(value for value, when in rows if when.holds(request))


ALWAYS = When("", lambda request: True)
IMAGENET = When("on ImageNet", lambda request: request.dataset == "imagenet2012")
# The rates of slot machines and supermasks are of their scores, not of the data.
IMAGENET_RATES = When(
    "on ImageNet with any optimizer", lambda request: IMAGENET.holds(request) and not request.init_from
)
SAMPLE = When("on mnist_sample", lambda request: request.dataset == "mnist_sample")
CIFAR = When("on CIFAR", lambda request: request.dataset in ("cifar10", "cifar100"))
ADAM = When("with Adam", lambda request: request.optimizer == "adam")
TRANSFORMER = When("for char_transformer", lambda request: request.model == "char_transformer")
OTHERS = When("for CNNs of other libraries", lambda request: request.model in FOREIGN)
ADAM_TRANSFORMER = When(
    "with Adam for char_transformer", lambda request: ADAM.holds(request) and TRANSFORMER.holds(request)
)
ADAM_CONV2 = When("with Adam for CONV-2", lambda request: ADAM.holds(request) and request.model == "conv2")
PROBABILISTIC = When("with probabilistic selection", lambda request: request.selection == "probabilistic")
NEAREST = When("with nearest or given initial scores", lambda request: request.initial in ("nearest", "given"))
FEW_OPTIONS = When("for K up to 8", lambda request: request.k <= 8)
FINETUNING = When("in finetuning", lambda request: bool(request.init_from))
CONV4_CONV6 = When("for CONV-4 and CONV-6", lambda request: request.model in ("conv4", "conv6"))
VGG19 = When("for VGG-19", lambda request: request.model == "vgg19")
VGG19_RESNETS = When("for VGG-19 and ResNets", lambda request: VGG19.holds(request) or "resnet" in request.model)

_ADAM_RATES: Rows = ((3e-3, ADAM_TRANSFORMER), (2e-4, ADAM_CONV2), (3e-4, ADAM))
_EVERY_METHOD: Recipe = {
    "batch_size": ((256, IMAGENET), (16, TRANSFORMER), (60, ADAM), (128, ALWAYS)),
    "epoch_steps": ((200, TRANSFORMER), (None, ALWAYS)),
    "momentum": ((0.875, IMAGENET), (0.9, ALWAYS)),
    "warmup_epochs": ((5, IMAGENET), (0.5, TRANSFORMER), (0, ALWAYS)),
    "label_smoothing": ((0.1, IMAGENET), (0.0, ALWAYS)),
}
_LIKE_SLOT_MACHINES: Recipe = {
    **_EVERY_METHOD,
    "distribution": (
        ("own", TRANSFORMER),
        ("glorot_uniform", ALWAYS),
    ),
    "padding": (("VALID", ALWAYS),),
    "dropout": ((0.5, ALWAYS),),
    "augmentation": (("flip", CIFAR), ("none", ALWAYS)),
    "schedule": (("cosine", IMAGENET), ("cosine", TRANSFORMER), ("constant", ADAM), ("warm_restarts", ALWAYS)),
}
_LIKE_EDGE_POPUP: Recipe = {
    **_EVERY_METHOD,
    "distribution": (
        ("own", TRANSFORMER),
        ("signed_kaiming_constant", ALWAYS),
    ),
    "padding": (("SAME", ALWAYS),),
    "dropout": ((0.0, ALWAYS),),
    "augmentation": (("flip_and_crop", CIFAR), ("none", ALWAYS)),
    "schedule": (("cosine", IMAGENET), ("cosine", TRANSFORMER), ("constant", ADAM), ("cosine", ALWAYS)),
    "epochs": ((10, TRANSFORMER), (60, SAMPLE), (100, ALWAYS)),
}

SLOT_MACHINE: Recipe = {
    **_LIKE_SLOT_MACHINES,
    "learning_rate": (*_ADAM_RATES, (25.0, PROBABILISTIC), (0.05, NEAREST), (0.2, FEW_OPTIONS), (0.1, ALWAYS)),
    "weight_decay": ((0.0, ADAM), (0.0, PROBABILISTIC), (0.0, NEAREST), (1e-4, ALWAYS)),
    "epochs": ((100, IMAGENET), (10, TRANSFORMER), (220, VGG19), (60, SAMPLE), (200, ALWAYS)),
}
EDGE_POPUP: Recipe = {
    **_LIKE_EDGE_POPUP,
    "learning_rate": ((0.256, IMAGENET_RATES), *_ADAM_RATES, (0.1, ALWAYS)),
    "weight_decay": ((2**-15, IMAGENET_RATES), (0.0, ADAM), (1e-4, ALWAYS)),
}
BIPROP: Recipe = {
    **EDGE_POPUP,
    "distribution": (("kaiming_normal", ALWAYS),),
    "batch_size": ((256, IMAGENET), (16, TRANSFORMER), (60, ADAM), (256, VGG19_RESNETS), (128, ALWAYS)),
    "weight_decay": ((2**-15, IMAGENET_RATES), (0.0, ADAM), (5e-4, VGG19_RESNETS), (1e-4, ALWAYS)),
}
MULTICOAT: Recipe = EDGE_POPUP
SUPERMASK: Recipe = {
    **_LIKE_EDGE_POPUP,
    "learning_rate": (*_ADAM_RATES, (200.0, ALWAYS)),
    "weight_decay": ((0.0, ADAM), (0.0, ALWAYS)),
}
LEARNED: Recipe = {
    **_LIKE_SLOT_MACHINES,
    "learning_rate": ((0.256, IMAGENET_RATES), *_ADAM_RATES, (0.1, VGG19_RESNETS), (0.01, ALWAYS)),
    "weight_decay": ((2**-15, IMAGENET_RATES), (0.0, ADAM), (1e-4, ALWAYS)),
    "epochs": (
        *((100, IMAGENET), (10, TRANSFORMER), (100, FINETUNING), (330, CONV4_CONV6), (320, VGG19), (60, SAMPLE)),
        (200, ALWAYS),
    ),
}
RANDOM: Recipe = {
    **_LIKE_SLOT_MACHINES,
    "learning_rate": (*_ADAM_RATES, (0.0, ALWAYS)),
    "weight_decay": ((0.0, ADAM), (0.0, ALWAYS)),
    "schedule": (("cosine", IMAGENET), ("cosine", TRANSFORMER), ("constant", ADAM), ("constant", ALWAYS)),
    "epochs": ((1, ALWAYS),),
}
