"""ImageNet's stream: what is in a batch, that it resumes anywhere, and what happens to damaged files and records."""

import io
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slotjax import data
from slotjax.data import crops
from slotjax.data.dataset import held_out_indices
from slotjax.data.order import Shuffled
from tests.patience import PATIENCE
from tests.small_imagenet import DAMAGED, SIZE, TEST, TRAIN, encoded, picture

pytestmark = pytest.mark.filterwarnings("default")


def assert_same(batches, expected):
    batches, expected = list(batches), list(expected)
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for leaf, other_leaf in zip(batch, other, strict=True):
            assert leaf.dtype == other_leaf.dtype
            np.testing.assert_array_equal(leaf, other_leaf)


def records(batches):
    return np.concatenate([batch.records for batch in batches])


def test_the_splits_are_disjoint_and_whole(stream):
    assert stream[3:8] == (198, 2, 20, TRAIN, (SIZE, SIZE, 3))
    rest, held_out = held_out_indices(TRAIN, 2)
    np.testing.assert_array_equal(np.sort(records(stream.train(0, 0, 2, 99))), rest)
    np.testing.assert_array_equal(records(stream.validation(1)), held_out)
    np.testing.assert_array_equal(records(stream.test(5)), np.arange(20))
    for batch in stream.validation(1):
        own = crops.centre_crop(crops.decode(encoded(int(batch.records[0]))), SIZE)
        np.testing.assert_array_equal(batch.images[0], own)


def test_a_batch_holds_what_it_says(stream):
    (batch,) = stream.train(0, 4, 5, 32)
    assert batch.images.shape == (32, SIZE, SIZE, 3)
    assert [leaf.dtype for leaf in batch] == [np.uint8, np.int32, np.bool_, np.int64]
    np.testing.assert_array_equal(batch.labels[batch.valid], batch.records[batch.valid])
    for image, record in zip(batch.images[batch.valid], batch.records[batch.valid], strict=True):
        colours = np.asarray(picture(int(record)), float).mean((0, 1))
        assert np.abs(image.mean((0, 1)) - colours).max() < 90


def test_an_epoch_sees_no_example_twice_and_leaves_others_out_each_time(stream):
    epochs = [records(stream.train(0, 6 * epoch, 6 * epoch + 6, 32)) for epoch in range(3)]
    assert all(len(set(epoch)) == 192 for epoch in epochs)
    left_out = {frozenset(set(range(TRAIN)) - set(epoch)) for epoch in epochs}
    assert len(left_out) == 3
    assert any(epochs[0] != epochs[1])
    assert any(records(stream.train(1, 0, 6, 32)) != epochs[0])
    assert any(np.diff(epochs[0]) < 0)


@pytest.mark.quick("4")
@pytest.mark.parametrize("first_step", [0, 4, 6, 9, 13])
def test_a_stream_resumes_anywhere_bit_for_bit(stream, first_step):
    unbroken = list(stream.train(7, 0, 14, 32))
    assert_same(stream.train(7, first_step, 14, 32), unbroken[first_step:])


def test_the_crops_differ_between_epochs_seeds_and_examples(stream):
    first, second = (
        {int(record): image for batch in batches for record, image in zip(batch.records, batch.images, strict=True)}
        for batches in (stream.train(0, 0, 6, 32), stream.train(0, 6, 12, 32))
    )
    common = [record for record in set(first) & set(second) if record not in DAMAGED]
    assert len(common) > 180
    assert all((first[record] != second[record]).any() for record in common)


@pytest.mark.slow
def test_workers_change_nothing_and_end_when_the_stream_is_closed(stream):
    batches = stream.train(7, 9, 30, 32, workers=2)
    assert_same([next(batches) for _ in range(5)], stream.train(7, 9, 14, 32))
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [2, 4])
def test_hosts_share_each_batch(stream, processes):
    def whole(load):
        parts = [list(load(process_index=index, process_count=processes)) for index in range(processes)]
        return [data.Batch(*map(np.concatenate, zip(*batch, strict=True))) for batch in zip(*parts, strict=True)]

    def readable(batches):
        return [[leaf[batch.valid] for leaf in batch] for batch in batches]

    def train(**hosts):
        return stream.train(3, 5, 8, 32, **hosts)

    def test(**hosts):
        return stream.test(16, **hosts)

    for load in (train, test):
        alone, together = list(load()), whole(load)
        assert_same(readable(together), readable(alone))
        assert_same([(batch.valid, batch.records) for batch in together], [(b.valid, b.records) for b in alone])


def test_a_host_without_examples_of_its_own_receives_zeros(stream):
    batches = list(stream.test(18, process_index=1, process_count=2))
    assert [batch.valid.sum() for batch in batches] == [9, 0]
    np.testing.assert_array_equal(batches[1].records, -1)
    assert batches[1].images.max() == batches[1].labels.max() == 0


def test_the_last_evaluation_batch_is_filled_up_with_its_first_example(stream):
    *_, last = stream.test(8)
    np.testing.assert_array_equal(last.valid, np.arange(8) < 4)
    np.testing.assert_array_equal(last.records, [16, 17, 18, 19, -1, -1, -1, -1])
    np.testing.assert_array_equal(last.labels, [16, 17, 18, 19, 16, 16, 16, 16])
    np.testing.assert_array_equal(last.images[4:], last.images[[0] * 4])
    (whole,) = stream.test(32)
    np.testing.assert_array_equal(whole.valid, np.arange(32) < 20)


def test_evaluation_takes_the_middle_of_the_whole_image(stream):
    (batch,) = stream.test(20)
    for image, index in zip(batch.images, range(1000, 1000 + TEST), strict=True):
        original = Image.open(io.BytesIO(encoded(index)))
        width, height = original.size
        shorter = min(width, height)
        resized = np.asarray(original.resize((round(width * 18 / shorter), round(height * 18 / shorter)), 2))
        top, left = (resized.shape[0] - SIZE) // 2, (resized.shape[1] - SIZE) // 2
        np.testing.assert_array_equal(image, resized[top : top + SIZE, left : left + SIZE])
    assert crops.centre_crop(Image.new("RGB", (300, 500)), 224).shape == (224, 224, 3)


WATCHED = """
import multiprocessing, sys, time
from slotjax import data

if __name__ == "__main__":
    batches = data.load_imagenet(sys.argv[1], 16).train(0, 0, 1000, 32, workers=2)
    next(batches)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(1000)
"""


def is_running(process):
    # To `os.kill(process, 0)` a zombie, which nobody may collect, would still be running.
    shown = subprocess.run(["ps", "-o", "stat=", "-p", process], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.slow
def test_workers_end_when_the_process_that_started_them_is_killed(prepared, tmp_path):
    (tmp_path / "watched.py").write_text(WATCHED)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, tmp_path / "watched.py", prepared]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        workers = process.stdout.readline().split()
        assert len(workers) == 2
        assert all(map(is_running, workers))
        process.kill()
    end = time.monotonic() + PATIENCE
    while any(map(is_running, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def test_a_dataset_that_is_not_prepared_is_refused_with_what_to_do(tmp_path, monkeypatch):
    expected = r"not prepared in .*tfds build imagenet2012 .*ILSVRC2012_img_train.tar .*downloads/manual$"
    with pytest.raises(FileNotFoundError, match=expected):
        data.load_imagenet(str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=expected):
        data.load_imagenet(None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 199}, "batch_size: 199 was given, but it must be at most the 198 training examples"),
        ({"batch_size": 0}, "batch_size: 0 was given, but it must be a positive multiple"),
        ({"batch_size": 10, "process_count": 4}, "batch_size: 10 .* positive multiple of the 4 processes"),
        ({"workers": -1}, "workers: -1 was given, but it must be 0 or more"),
        ({"process_index": 2, "process_count": 2}, "process_index: 2 was given, but it must be 0 to 1"),
        ({"process_count": 0}, "process_count: 0 was given, but it must be 1 or more"),
        ({"seed": -1}, "seed: -1 was given"),
        ({"first_step": -1}, "first_step: -1 was given"),
        ({"first_step": 5}, "last_step: 4 was given, but it must be first_step, 5, or more"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(stream, changes, message):
    with pytest.raises(ValueError, match=message):
        stream.train(**({"seed": 0, "first_step": 0, "last_step": 4, "batch_size": 8} | changes))
    if not {"seed", "first_step"} & set(changes) and changes.get("batch_size") != 199:
        for load in (stream.validation, stream.test):
            with pytest.raises(ValueError, match=message):
                load(**({"batch_size": 8} | changes))


def test_a_size_below_one_is_refused(prepared):
    with pytest.raises(ValueError, match="size: 0 was given"):
        data.load_imagenet(str(prepared), 0)


def test_only_the_first_examples_are_streamed_when_asked_for(prepared, stream):
    some = data.load_imagenet(str(prepared), SIZE, examples=20)
    assert (some.train_examples, some.test_examples) == (20, 20)
    (part,), (whole, *_) = some.test(20), stream.test(20)
    np.testing.assert_array_equal(part.images, whole.images)
    assert len(set(np.concatenate([batch.records for batch in some.train(0, 0, 5, 4)]))) == 20
    with pytest.raises(ValueError, match="examples: 0 was given"):
        data.load_imagenet(str(prepared), SIZE, 0)


def test_a_stream_of_no_steps_is_empty(stream):
    assert list(stream.train(0, 5, 5, 32)) == []


def test_prefetch_places_ahead_and_in_order():
    placed = []

    def place(batch):
        placed.append(batch)
        return -batch

    batches = data.prefetch(iter(range(6)), place, size=2)
    assert placed == []
    assert next(batches) == 0
    assert placed == [0, 1, 2]
    assert list(batches) == [-1, -2, -3, -4, -5]
    assert list(data.prefetch([], place)) == []
    assert list(data.prefetch([1], place, size=5)) == [-1]
    with pytest.raises(ValueError, match="size: -1"):
        data.prefetch([1], place, size=-1)


def test_closing_prefetch_closes_the_stream_below(stream):
    batches = stream.train(0, 0, 6, 32)
    ahead = data.prefetch(batches, lambda batch: batch, size=0)
    next(ahead)
    ahead.close()
    assert list(batches) == []


def test_positions_go_on_from_epoch_to_epoch():
    places = Shuffled(np.arange(5), 2, seed=0)
    np.testing.assert_array_equal(np.concatenate([places(step).positions for step in range(4)]), np.arange(8))
