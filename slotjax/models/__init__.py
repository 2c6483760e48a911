"""The papers' networks as ordinary Flax modules, which know nothing of slot machines."""

from collections.abc import Callable

import flax.linen as nn

from slotjax.models.conv import Conv, conv2, conv4, conv6
from slotjax.models.lenet import LeNet

MODELS: dict[str, Callable[..., nn.Module]] = {"lenet": LeNet, "conv2": conv2, "conv4": conv4, "conv6": conv6}

__all__ = ["MODELS", "Conv", "LeNet", "conv2", "conv4", "conv6"]
