"""Augmentation and normalization of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax import data

IMAGES = np.random.default_rng(0).integers(1, 256, (64, 8, 6, 3)).astype(np.uint8)


def augmented(name, key=0, images=IMAGES):
    return np.asarray(jax.jit(data.augment, static_argnums=2)(jnp.asarray(images), jax.random.key(key), name))


def test_none_changes_nothing():
    np.testing.assert_array_equal(augmented("none"), IMAGES)


def test_flip_exchanges_left_and_right_of_about_half_of_the_images():
    result = augmented("flip")
    same, flipped = (result == IMAGES).all((1, 2, 3)), (result == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same | flipped).all()
    assert 16 < flipped.sum() < 48
    assert result.dtype == np.uint8


def test_a_crop_is_a_window_of_the_image_padded_with_four_zeros_and_every_place_occurs():
    images = np.repeat(IMAGES[:1], 4096, 0)
    padded = [np.pad(image, ((4, 4), (4, 4), (0, 0))) for image in (IMAGES[0], IMAGES[0][:, ::-1])]
    places = {
        image[row : row + 8, column : column + 6].tobytes(): (turned, row, column)
        for turned, image in enumerate(padded)
        for row in range(9)
        for column in range(9)
    }
    found = [places[image.tobytes()] for image in augmented("flip_and_crop", images=images)]
    assert len(set(found)) == 2 * 81
    assert max(found.count(place) for place in set(found)) < 70  # 25 each on average


def test_cutout_sets_a_square_that_may_reach_over_the_edge_to_the_mean():
    images = np.full((512, 8, 6, 2), [10, 250], np.uint8)
    cropped, result = augmented("flip_and_crop", images=images), augmented("flip_crop_and_cutout", images=images)
    cut = (result != cropped).any(-1)
    np.testing.assert_array_equal(np.unique(result[cut], axis=0), [cropped.mean((0, 1, 2)).astype(np.uint8)])
    heights, widths = cut.any(2).sum(1), cut.any(1).sum(1)
    np.testing.assert_array_equal(cut.sum((1, 2)), heights * widths)
    assert {*heights} == {*widths} == {2, 3, 4}


def test_the_key_decides():
    np.testing.assert_array_equal(augmented("flip_and_crop", 1), augmented("flip_and_crop", 1))
    assert np.any(augmented("flip_and_crop", 1) != augmented("flip_and_crop", 2))


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match="augmentation: 'mixup' was given, but it must be one of none, flip, flip_and"):
        data.augment(jnp.asarray(IMAGES), jax.random.key(0), "mixup")


@pytest.mark.parametrize("name", data.NORMALIZATIONS)
def test_normalized_bytes(name):
    mean, deviation = data.NORMALIZATIONS[name]
    expected = (IMAGES / 255 - np.array(mean)) / np.array(deviation)
    np.testing.assert_allclose(data.as_float(jnp.asarray(IMAGES), data.NORMALIZATIONS[name]), expected, atol=1e-5)


def test_as_float_keeps_floats_and_scales_bytes():
    floats = jnp.array([-1.0, 3.0])
    np.testing.assert_array_equal(data.as_float(floats), floats)
    np.testing.assert_allclose(data.as_float(jnp.array([0, 255], jnp.uint8)), [0, 1])
