"""ResNets for small images (CIFAR) and for large ones (ImageNet)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from slotjax.models.batch_norm import batch_norm
from slotjax.models.convolution import convolution
from slotjax.models.pooling import max_pool_3x3

Layer = Callable[..., nn.Module]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions: `relu(shortcut(x) + f(x))`."""

    width: int
    stride: int
    convolution: Layer
    norm: Layer

    @nn.compact
    def __call__(self, features: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        """The features after the block."""
        residual = self.convolution(self.width, (3, 3), self.stride)(features)
        residual = nn.relu(self.norm()(residual))
        residual = self.norm()(self.convolution(self.width, (3, 3))(residual))
        return nn.relu(_shortcut(self, features, self.width) + residual)


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, the last four times as wide: `relu(shortcut(x) + f(x))`.

    The stride is that of the 3x3 convolution, as in torchvision. `inner` is how many times as wide as usual the first
    two are: 2 in Wide ResNet-50.
    """

    width: int
    stride: int
    convolution: Layer
    norm: Layer
    inner: int = 1

    @nn.compact
    def __call__(self, features: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        """The features after the block."""
        inner, outer = self.inner * self.width, 4 * self.width
        residual = nn.relu(self.norm()(self.convolution(inner, (1, 1))(features)))
        residual = nn.relu(self.norm()(self.convolution(inner, (3, 3), self.stride)(residual)))
        residual = self.norm()(self.convolution(outer, (1, 1))(residual))
        return nn.relu(_shortcut(self, features, outer) + residual)


class ResNet(nn.Module):
    """Four stages of residual blocks, 64 to 512 wide, then one fully connected layer; no biases.

    Attributes:
        classes: number of outputs.
        blocks: number of blocks in each stage.
        block: `BasicBlock` or `Bottleneck`.
        small_images: whether it begins with one 3x3 convolution, for images of 32x32, or with a 7x7 convolution and
            pooling, each of stride 2, for images of 224x224.
        affine: whether batch norm has a scale and a bias.
        dtype: what is computed in; statistics of batches are in float32. Default: that of weights and images.

    Implements He et al. (2016) with the paddings and strides of torchvision.

    >>> model = slotjax.models.resnet50()
    >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 224, 224, 3)))
    >>> shapes["params"]["Conv_0"]["kernel"].shape, len(jax.tree.leaves(shapes["params"]))
    ((7, 7, 3, 64), 54)
    """

    classes: int = 10
    blocks: Sequence[int] = (2, 2, 2, 2)
    block: Callable[..., Any] = BasicBlock
    small_images: bool = False
    affine: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of a batch of images."""
        norm = batch_norm(train, self.affine, self.dtype)
        convolution = partial(_convolution, dtype=self.dtype)
        if self.small_images:
            features = nn.relu(norm()(convolution(64, (3, 3))(images)))
        else:
            features = nn.relu(norm()(convolution(64, (7, 7), 2)(images)))
            features = max_pool_3x3(features)
        for stage, count in enumerate(self.blocks):
            for number in range(count):
                stride = 2 if stage and not number else 1
                features = self.block(64 * 2**stage, stride, convolution, norm)(features)
        return nn.Dense(self.classes, use_bias=False, dtype=self.dtype)(features.mean((1, 2)))


def _convolution(width: int, window: tuple[int, int], stride: int = 1, dtype: Any = None) -> nn.Conv:
    padding = [(size // 2, size // 2) for size in window]  # symmetric, unlike "SAME" with a stride
    return nn.Conv(width, window, stride, padding, use_bias=False, dtype=dtype, conv_general_dilated=convolution)


def _shortcut(block: Any, features: Array, width: int) -> Array:
    """The features themselves, or where the block changes their shape a 1x1 convolution of them."""
    if block.stride == 1 and features.shape[-1] == width:
        return features
    return block.norm()(block.convolution(width, (1, 1), block.stride)(features))


def resnet18(**settings: Any) -> ResNet:
    """ResNet-18.

    >>> slotjax.models.resnet18(small_images=True).blocks
    (2, 2, 2, 2)
    """
    return ResNet(blocks=(2, 2, 2, 2), **settings)


def resnet34(**settings: Any) -> ResNet:
    """ResNet-34.

    >>> slotjax.models.resnet34().blocks
    (3, 4, 6, 3)
    """
    return ResNet(blocks=(3, 4, 6, 3), **settings)


def resnet50(**settings: Any) -> ResNet:
    """ResNet-50.

    >>> slotjax.models.resnet50().blocks
    (3, 4, 6, 3)
    """
    return ResNet(blocks=(3, 4, 6, 3), block=Bottleneck, **settings)


def resnet101(**settings: Any) -> ResNet:
    """ResNet-101.

    >>> slotjax.models.resnet101().blocks
    (3, 4, 23, 3)
    """
    return ResNet(blocks=(3, 4, 23, 3), block=Bottleneck, **settings)


def wide_resnet50(**settings: Any) -> ResNet:
    """Wide ResNet-50 (Zagoruyko & Komodakis, 2016): ResNet-50 with 3x3 convolutions twice as wide.

    >>> slotjax.models.wide_resnet50().block.keywords
    {'inner': 2}
    """
    return ResNet(blocks=(3, 4, 6, 3), block=partial(Bottleneck, inner=2), **settings)
