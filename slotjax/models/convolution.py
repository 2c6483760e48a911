"""Convolutions that are fast on CPUs, where XLA's own are slow, and slower still inside loops."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

# Of patches and outputs: what was fastest for 3x3 layers of 64 to 256 channels on two cores.
CHUNK_ELEMENTS = 5 * 2**18

Pair = tuple[int, int]
Pads = tuple[Pair, ...]
Images = Float[Array, "batch _ _ _"]
Kernel = Float[Array, "rows columns channels features"]


def convolution(
    lhs: Shaped[Array, "..."],
    rhs: Shaped[Array, "..."],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Shaped[Array, "..."]:
    """`lax.conv_general_dilated`, as matrix products on CPUs; for `flax.linen.Conv(conv_general_dilated=convolution)`.

    On CPUs, `y[n, i, j, o] = sum over a, b, c of x[n, s i + a, s j + b, c] k[a, b, c, o]`, with x padded and s the
    stride, is the product of the patches of x with the kernel (im2col), a few images at a time. It and its gradients
    equal those of `lax.conv_general_dilated` to rounding. Forward-mode differentiation is not supported there.

    All else is handed to `lax.conv_general_dilated`: other platforms, numbers of spatial dimensions other than two,
    layouts other than NHWC with HWIO, data types other than float32 and bfloat16, groups, dilation, negative
    padding, an empty array or one of symbolic shape, a `preferred_element_type` and an `out_sharding`.

    Args:
        lhs: images; float32, or bfloat16 which is computed in float32 and rounded.
        rhs: kernel, of the data type of the images.
        window_strides: the stride of each spatial dimension.
        padding: `"SAME"`, `"SAME_LOWER"`, `"VALID"`, or what to add before and after each spatial dimension.
        lhs_dilation: as in `lax.conv_general_dilated`.
        rhs_dilation: as in `lax.conv_general_dilated`.
        dimension_numbers: as in `lax.conv_general_dilated`, whose default is NCHW.
        feature_group_count: as in `lax.conv_general_dilated`.
        batch_group_count: as in `lax.conv_general_dilated`.
        precision: as in `lax.conv_general_dilated`.
        preferred_element_type: as in `lax.conv_general_dilated`.
        out_sharding: as in `lax.conv_general_dilated`.

    Returns:
        The convolved images, of their data type.

    >>> images, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
    >>> numbers = ("NHWC", "HWIO", "NHWC")
    >>> slotjax.models.convolution(images, kernel, (1, 1), "VALID", dimension_numbers=numbers)[0, 0, 0]
    Array([27., 27., 27., 27.], dtype=float32)
    """
    dilations_and_groups = (lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, batch_group_count)
    general = partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )
    # Before anything is read from the shapes: what lax refuses is refused with its message.
    size = jax.eval_shape(general, lhs, rhs).size
    is_known = isinstance(size, int)  # and not a symbol, as where jax.export leaves the number of images open
    plain = is_known and size and preferred_element_type is None and out_sharding is None
    if not plain or not _covered(lhs, rhs, *dilations_and_groups):
        return general(lhs, rhs)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    pads = tuple((int(low), int(high)) for low, high in padding)
    if min(map(min, pads)) < 0:
        return general(lhs, rhs)
    return _convolution(lhs, rhs, tuple(window_strides), pads, precision)


def _covered(
    lhs: Array, rhs: Array, lhs_dilation: Any, rhs_dilation: Any, numbers: Any, features: int, batches: int
) -> bool:
    if lhs.ndim != 4 or lhs.dtype not in (jnp.float32, jnp.bfloat16):
        return False
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, numbers)
    dilated = any(factor != 1 for factor in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    nhwc = lax.conv_dimension_numbers(lhs.shape, rhs.shape, ("NHWC", "HWIO", "NHWC"))
    return numbers == nhwc and not dilated and features == batches == 1


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _convolution(images: Images, kernel: Kernel, strides: Pair, pads: Pads, precision: Any) -> Images:
    def fast(images: Images, kernel: Kernel) -> Images:
        return _correlate(images, kernel, strides, pads)

    slow = _general(strides, pads, precision)
    return lax.platform_dependent(images, kernel, cpu=fast, default=slow)


def _forward(images: Images, kernel: Kernel, *settings: Any) -> tuple[Images, tuple[Images, Kernel]]:
    return _convolution(images, kernel, *settings), (images, kernel)


def _backward(
    strides: Pair, pads: Pads, precision: Any, inputs: tuple[Images, Kernel], gradient: Images
) -> tuple[Images, Kernel]:
    def fast(images: Images, kernel: Kernel, gradient: Images) -> tuple[Images, Kernel]:
        return (
            _images_gradient(images, kernel, gradient, strides, pads),
            _kernel_gradient(images, kernel, gradient, strides, pads),
        )

    def slow(images: Images, kernel: Kernel, gradient: Images) -> tuple[Images, Kernel]:
        return jax.vjp(_general(strides, pads, precision), images, kernel)[1](gradient)

    return lax.platform_dependent(*inputs, gradient, cpu=fast, default=slow)


_convolution.defvjp(_forward, _backward)


def _general(strides: Pair, pads: Pads, precision: Any) -> Callable[[Images, Kernel], Images]:
    numbers = ("NHWC", "HWIO", "NHWC")
    return partial(
        lax.conv_general_dilated, window_strides=strides, padding=pads, dimension_numbers=numbers, precision=precision
    )


def _correlate(images: Images, kernel: Kernel, strides: Pair, pads: Pads) -> Images:
    matrix = kernel.reshape(-1, kernel.shape[3])

    def chunk(images: Images) -> Images:
        patches = _patches(_pad(images, pads), kernel.shape[:2], strides)
        return _product(patches, matrix, 1).astype(images.dtype)

    outputs = jax.eval_shape(chunk, images)
    split = _chunks(images, _images_per_chunk(outputs.size // len(images), kernel.shape))
    return lax.map(chunk, split).reshape(outputs.shape)


def _images_gradient(images: Images, kernel: Kernel, gradient: Images, strides: Pair, pads: Pads) -> Images:
    if strides != (1, 1):
        return _transposed(images, kernel, gradient, strides, pads)
    flipped = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    sizes = zip(kernel.shape, pads, images.shape[1:], gradient.shape[1:], strict=False)
    back = tuple((window - 1 - low, size + low - positions) for window, (low, _), size, positions in sizes)
    return _correlate(gradient, flipped, (1, 1), back)


def _transposed(images: Images, kernel: Kernel, gradient: Images, strides: Pair, pads: Pads) -> Images:
    """The images' gradient where there is a stride, and a flipped kernel would mostly meet zeros."""
    matrix = kernel.reshape(-1, kernel.shape[3])
    split = _chunks(gradient, _images_per_chunk(gradient.size // len(gradient), kernel.shape))
    like = jax.ShapeDtypeStruct((split.shape[1], *images.shape[1:]), jnp.float32)
    scatter = jax.linear_transpose(lambda images: _patches(_pad(images, pads), kernel.shape[:2], strides), like)

    def chunk(gradient: Images) -> Images:
        return scatter(_product(gradient, matrix, ((3,), (1,))))[0].astype(images.dtype)

    return lax.map(chunk, split).reshape(images.shape)


def _kernel_gradient(images: Images, kernel: Kernel, gradient: Images, strides: Pair, pads: Pads) -> Kernel:
    def add(total: Array, chunk: tuple[Images, Images]) -> tuple[Array, None]:
        images, gradient = chunk
        patches = _patches(_pad(images, pads), kernel.shape[:2], strides)
        axes = (0, 1, 2)
        return total + _product(patches, gradient, (axes, axes)), None

    size = _images_per_chunk(gradient.size // len(gradient), kernel.shape)
    zero = jnp.zeros((kernel.size // kernel.shape[3], kernel.shape[3]))
    total, _ = lax.scan(add, zero, (_chunks(images, size), _chunks(gradient, size)))
    return total.reshape(kernel.shape).astype(kernel.dtype)


def _product(lhs: Array, rhs: Array, axes: Any) -> Array:
    """The product in float32, also of bfloat16, for which processors with matrix units are several times as fast."""
    return jnp.tensordot(lhs, rhs, axes, preferred_element_type=jnp.float32)


def _images_per_chunk(outputs: int, kernel: Sequence[int]) -> int:
    rows, columns, channels, features = kernel
    return max(1, CHUNK_ELEMENTS // (outputs // features * (rows * columns * channels + features)))


def _chunks(images: Images, most: int) -> Float[Array, "chunks _ _ _ _"]:
    size = max(size for size in range(1, len(images) + 1) if len(images) % size == 0 and size <= most)
    return images.reshape(-1, size, *images.shape[1:])


def _pad(images: Images, pads: Pads) -> Images:
    spatial = [(low, high, 0) for low, high in pads]
    return lax.pad(images, jnp.zeros((), images.dtype), ((0, 0, 0), *spatial, (0, 0, 0)))


def _patches(images: Images, window: Sequence[int], strides: Pair) -> Images:
    """Of each position of the window, the pixels under it, along the channels in the order of the kernel's rows."""
    spans = [size - part + 1 for size, part in zip(images.shape[1:3], window, strict=True)]
    slices = [
        images[:, row : row + spans[0] : strides[0], column : column + spans[1] : strides[1]]
        for row in range(window[0])
        for column in range(window[1])
    ]
    return lax.concatenate(slices, 3)
