"""A small dataset called mnist, prepared by TFDS without TensorFlow."""

import io

import numpy as np
import pytest
from PIL import Image


def prepare(directory, images, labels, tested):
    """Prepares images `(n, 28, 28, 1)`, the last `tested` of them as the test split."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():  # the name may be taken by another small dataset
        builder = _builder(tfds, images, labels, tested)
    builder(data_dir=directory, file_format="array_record").download_and_prepare()


def _builder(tfds, images, labels, tested):
    class Mnist(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("3.0.1")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, _):
            trained = len(images) - tested
            return {
                "train": self._generate_examples(range(trained)),
                "test": self._generate_examples(range(trained, len(images))),
            }

        def _generate_examples(self, indices):
            for index in indices:
                yield index, {"image": png(images[index]), "label": int(labels[index])}

    return Mnist


def png(image):
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="session")
def prepared_digits(digits, once):
    """The 800 images of `digits`, 200 of them to test."""
    arrays = np.load(digits)
    return once(
        "mnist", lambda directory: prepare(directory, arrays["x_train"][..., None], arrays["y_train"], tested=200)
    )
