"""The papers' networks, and a transformer, as ordinary Flax modules, which know nothing of slot machines."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn

from slotjax.models.char_transformer import CharTransformer
from slotjax.models.conv import Conv, conv2, conv4, conv6, conv8
from slotjax.models.convolution import convolution
from slotjax.models.lenet import LeNet
from slotjax.models.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, wide_resnet50
from slotjax.models.vgg import VGG19

_RESNETS = (resnet18, resnet34, resnet50, resnet101, wide_resnet50)

MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet": LeNet,
    "conv2": conv2,
    "conv4": conv4,
    "conv6": conv6,
    "conv8": conv8,
    "vgg19": VGG19,
    **{resnet.__name__: resnet for resnet in _RESNETS},
    "char_transformer": CharTransformer,
    **{f"cifar_{resnet.__name__}": partial(resnet, small_images=True) for resnet in _RESNETS},
}

TEXT_MODELS = ("char_transformer",)  # whose inputs are the bytes of texts, and no images

__all__ = [
    "MODELS",
    "TEXT_MODELS",
    "VGG19",
    "CharTransformer",
    "Conv",
    "LeNet",
    "ResNet",
    "conv2",
    "conv4",
    "conv6",
    "conv8",
    "convolution",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "wide_resnet50",
]
