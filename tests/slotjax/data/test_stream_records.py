"""ImageNet's records: crops, colours, and what happens to damaged files and records."""

import io
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from slotjax import data
from slotjax.data import crops
from slotjax.data.records import Records
from tests.small_imagenet import DAMAGED, SIZE

pytestmark = pytest.mark.filterwarnings("default")


def box_of(width, height, seed):
    """Where a random crop was taken: an image whose colours are its own coordinates tells."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    image = Image.fromarray(np.stack([across, down, 0 * down], -1).astype(np.uint8))
    crop = crops.random_crop(image, 224, np.random.default_rng(seed)).astype(int)
    flipped = crop[0, 0, 0] > crop[0, -1, 0]
    row, column = np.sort(crop[100, :, 0]), crop[:, 100, 1]
    return row[-1] - row[0] + 1, column[-1] - column[0] + 1, row[0], column[0], flipped


def test_random_crops_are_of_the_stated_sizes_everywhere_and_half_are_flipped():
    boxes = np.array([box_of(200, 160, seed) for seed in range(300)])
    area, aspect = boxes[:, 0] * boxes[:, 1] / (200 * 160), boxes[:, 0] / boxes[:, 1]
    assert 0.075 < area.min() < 0.12
    assert 0.9 < area.max() <= 1
    assert 0.73 < aspect.min() < 0.78
    assert 1.28 < aspect.max() < 1.37
    assert boxes[:, 2].min() == boxes[:, 3].min() == 0
    assert (boxes[:, 0] + boxes[:, 2]).max() == 200
    assert (boxes[:, 1] + boxes[:, 3]).max() == 160
    assert 0.42 < boxes[:, 4].mean() < 0.58


def test_an_image_too_long_for_any_crop_is_cropped_in_the_middle():
    for seed in range(5):
        width, height, left, top, _ = box_of(256, 8, seed)
        assert (height, top) == (8, 0)
        assert abs(width - 8 * 4 / 3) < 2
        assert abs(left + width / 2 - 128) < 2


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB", "RGBA", "LA", "P"])
def test_every_image_becomes_rgb(mode):
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (204, 204, 204)).convert(mode).save(file, "jpeg" if mode in ("L", "CMYK") else "png")
    image = crops.decode(file.getvalue())
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, int) - 204).max() < 4


def test_greyscale_and_cmyk_records_are_read(stream):
    readable = np.concatenate([batch.records[batch.valid] for batch in stream.train(0, 0, 2, 99)])
    assert {5, 6} <= set(readable)


def test_a_damaged_record_is_marked_and_replaced(stream):
    batches = list(stream.train(0, 0, 2, 99))
    assert {int(record) for batch in batches for record in batch.records[~batch.valid]} == DAMAGED
    for batch in batches:
        first = int(np.argmax(batch.valid))
        for place in np.flatnonzero(~batch.valid):
            assert batch.labels[place] == batch.labels[first]
            np.testing.assert_array_equal(batch.images[place], batch.images[first])


def rewrite(file, changes):
    from array_record.python import array_record_module

    reader = array_record_module.ArrayRecordReader(str(file))
    content = reader.read(list(range(reader.num_records())))
    reader.close()
    writer = array_record_module.ArrayRecordWriter(str(file), "group_size:1")
    for index, record in enumerate(content):
        writer.write(changes.get(index, record))
    writer.close()


def test_a_record_that_is_no_example_is_marked(own):
    file = sorted((own / "imagenet2012" / "5.1.0").glob("imagenet2012-validation*"))[0]
    rewrite(file, {0: b"\xff\xff", 2: b""})
    (batch,) = data.load_imagenet(str(own), SIZE).test(20)
    np.testing.assert_array_equal(np.flatnonzero(~batch.valid), [0, 2])
    np.testing.assert_array_equal(batch.records, np.arange(20))
    np.testing.assert_array_equal(batch.labels[[0, 2]], 1)


def test_bytes_that_rot_inside_a_file_are_marked_in_their_records_only(own):
    file = sorted((own / "imagenet2012" / "5.1.0").glob("imagenet2012-validation*"))[0]
    content = bytearray(file.read_bytes())
    content[2000] ^= 255
    file.write_bytes(content)
    (batch,) = data.load_imagenet(str(own), SIZE).test(20)
    assert (~batch.valid).sum() == 1
    np.testing.assert_array_equal(batch.records, np.arange(20))


def test_a_damaged_file_is_named_before_training(own, damage):
    for file in sorted((own / "imagenet2012" / "5.1.0").glob("*array_record*")):
        whole = file.read_bytes()
        damage(file)
        with pytest.raises(ValueError, match=f"^data_dir: {file} is damaged .*; prepare the dataset again$"):
            data.load_imagenet(str(own))
        file.unlink()
        with pytest.raises(FileNotFoundError, match=rf"^data_dir: {file} is damaged \(it is missing\)"):
            data.load_imagenet(str(own))
        file.write_bytes(whole)


def test_opened_records_travel_to_other_processes(prepared):
    opened = Records(prepared / "imagenet2012" / "5.1.0", "validation")
    expected = opened.read([4, 1])
    assert pickle.loads(pickle.dumps(opened)).read([4, 1]) == expected


@pytest.mark.parametrize(("label", "is_read"), [(-1, False), (0, True), (9, True), (10, False)])
def test_a_record_with_a_label_of_no_class_is_not_read(label, is_read, tmp_path):
    class Features(dict):
        def deserialize_example_np(self, raw, decoders):
            return {"image": raw, "label": label}

    records = Records(tmp_path, "train")
    records._features, records._without = Features(label=SimpleNamespace(num_classes=10)), {}
    assert (records._parse(b"jpeg") is not None) == is_read
