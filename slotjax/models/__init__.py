"""The papers' networks as ordinary Flax modules, which know nothing of slot machines."""

from slotjax.models.lenet import LeNet

MODELS = {"lenet": LeNet}

__all__ = ["MODELS", "LeNet"]
