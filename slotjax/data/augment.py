"""Random changes of training images, on the device: what the papers do to CIFAR-10."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num, PRNGKeyArray

AUGMENTATIONS = ("none", "flip", "flip_and_crop", "flip_crop_and_cutout")
_PADDING = 4


def augment(images: Num[Array, "batch ..."], key: PRNGKeyArray, augmentation: str) -> Num[Array, "batch ..."]:
    """Images of the same shape and dtype, each changed at random.

    Args:
        images: a batch.
        key: of this batch; the same key gives the same images.
        augmentation: `"none"`; `"flip"`, left and right exchanged with probability 1/2; `"flip_and_crop"`, also cut to
            the same size at a random place after padding each side with 4 zeros, as in He et al. (2016);
            `"flip_crop_and_cutout"`, then also a square of half the height about a random pixel, as far as it is within
            the image, set to the mean of the batch's pixels, channel by channel, as in DeVries & Taylor (2017).

    Raises:
        ValueError: for an unknown augmentation.

    >>> images = jnp.arange(6, dtype=jnp.uint8).reshape(1, 1, 6, 1)
    >>> flipped = slotjax.data.augment(images, jax.random.key(3), "flip")
    >>> print(flipped.ravel())
    [5 4 3 2 1 0]
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(f"augmentation: {augmentation!r} was given, but it must be one of {', '.join(AUGMENTATIONS)}")
    if augmentation == "none":
        return images
    flip_key, crop_key = jax.random.split(key)
    flipped = _flip(images, flip_key)
    changed = flipped if augmentation == "flip" else _crop(flipped, crop_key)
    return _cutout(changed, jax.random.fold_in(key, 2)) if augmentation == "flip_crop_and_cutout" else changed


def _flip(images: Array, key: PRNGKeyArray) -> Array:
    flips = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(flips, images[:, :, ::-1], images)


def _crop(images: Array, key: PRNGKeyArray) -> Array:
    padded = jnp.pad(images, ((0, 0), (_PADDING, _PADDING), (_PADDING, _PADDING), (0, 0)))
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * _PADDING + 1)
    return jax.vmap(lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), images.shape[1:]))(padded, corners)


def _cutout(images: Array, key: PRNGKeyArray) -> Array:
    batch, height, width, _ = images.shape
    row_key, column_key = jax.random.split(key)
    rows, columns = _cut(row_key, batch, height, height), _cut(column_key, batch, width, height)
    mean = jnp.mean(images.astype(jnp.float32), (0, 1, 2), keepdims=True).astype(images.dtype)
    return jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], mean, images)


def _cut(key: PRNGKeyArray, batch: int, size: int, height: int) -> Array:
    """Which places of an axis are less than a quarter of the height from a random one."""
    first = jax.random.randint(key, (batch, 1), 0, size) - height // 4
    places = jnp.arange(size)[None]
    return (places >= first) & (places < first + height // 2)
