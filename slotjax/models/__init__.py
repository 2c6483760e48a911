"""The papers' networks as ordinary Flax modules, which know nothing of slot machines."""

from slotjax.models.lenet import LeNet

__all__ = ["LeNet"]
