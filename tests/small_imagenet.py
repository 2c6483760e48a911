"""A small dataset in the form of ImageNet, some of whose records are damaged."""

import io

import numpy as np
import pytest
from PIL import Image

TRAIN, TEST = 200, 20
DAMAGED = {3, 10, 11}  # records of the training split

SIZE = 16  # of the images that tests crop from it


def picture(index):
    """A photograph's stand-in: no two are alike, and no two crops of one."""
    noise = np.random.default_rng(index).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((40 + index % 5, 32 + index % 7))


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    return file.getvalue()


def encoded(index):
    content = jpeg(picture(index).convert({5: "L", 6: "CMYK"}.get(index, "RGB")))
    return {3: b"no picture", 10: content[: len(content) // 2], 11: b""}.get(index, content)


@pytest.fixture(scope="session")
def prepared(once):
    """A small imagenet2012, prepared by TFDS without TensorFlow in two files for each split; its labels count up."""
    return once("imagenet", prepare)


def prepare(directory):
    import tensorflow_datasets as tfds

    class Imagenet2012(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("5.1.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(num_classes=TRAIN),
                "file_name": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def _split_generators(self, _):
            return {"train": self._generate_examples(TRAIN), "validation": self._generate_examples(TEST)}

        def _generate_examples(self, count):
            for index in range(count):
                image = encoded(index if count == TRAIN else index + 1000)
                yield index, {"image": image, "label": index, "file_name": str(index)}

    config = tfds.download.DownloadConfig(num_shards=2)
    Imagenet2012(data_dir=directory, file_format="array_record").download_and_prepare(download_config=config)
