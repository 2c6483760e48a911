"""Datasets: what is in them, how they are split, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from slotjax import data
from slotjax.data.dataset import Split, held_out_indices
from tests.small_mnist import prepare


def test_the_sample_holds_real_digits_of_every_class_in_disjoint_splits():
    dataset = data.load("mnist_sample")
    assert [len(split.labels) for split in dataset[:3]] == [3500, 500, 1000]
    for split in dataset[:3]:
        assert split.images.shape[1:] == (28, 28, 1)
        assert split.images.dtype == np.uint8
        assert np.bincount(split.labels, minlength=10).min() > 30
    images = np.concatenate([split.images for split in dataset[:3]]).reshape(5000, -1)
    assert len(np.unique(images, axis=0)) == 5000
    # The mean and deviation of all of MNIST's training images are 33.3 and 78.6.
    assert abs(images.mean() - 33.3) < 1
    assert abs(images.std() - 78.6) < 1


def test_hold_out_is_the_same_every_time_and_loses_nothing():
    split = Split(np.arange(100), np.arange(100, dtype=np.int32))
    first, second = data.hold_out(split, 15), data.hold_out(split, 15)
    assert [len(part.labels) for part in first] == [85, 15]
    np.testing.assert_array_equal(first[1].images, second[1].images)
    np.testing.assert_array_equal(np.sort(np.concatenate([part.images for part in first])), np.arange(100))


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory):
    """A small prepared dataset whose images count up."""
    images = np.arange(120, dtype=np.uint8)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8)
    directory = tmp_path_factory.mktemp("prepared")
    prepare(directory, images, np.arange(120) % 10, tested=20)
    return directory


@pytest.fixture
def prepared(prepared_once, tmp_path):
    """A copy of the small dataset, which a test may damage."""
    shutil.copytree(prepared_once / "mnist", tmp_path / "mnist")
    return tmp_path


@pytest.mark.filterwarnings("default")
def test_a_prepared_dataset_is_read_whole_without_tensorflow(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    dataset = data.load("mnist")
    assert [len(split.labels) for split in dataset[:3]] == [85, 15, 20]
    assert dataset.classes == 10
    train = np.concatenate([dataset.train.images, dataset.validation.images])[:, 0, 0, 0]
    assert sorted(train) == list(range(100))
    for split in dataset[:3]:
        np.testing.assert_array_equal(split.images[:, 5, 5, 0] % 10, split.labels)
        assert split.images.dtype == np.uint8


@pytest.mark.filterwarnings("default")
def test_of_a_prepared_dataset_the_same_examples_are_held_out_as_of_arrays(prepared):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(prepared / "mnist" / "3.0.1").as_data_source("train")
    images = np.stack([record["image"] for record in source])
    parts = data.hold_out(Split(images, np.arange(100)), 15)
    for read, part in zip(data.load("mnist", str(prepared))[:2], parts, strict=True):
        np.testing.assert_array_equal(read.images, part.images)


@pytest.mark.filterwarnings("default")
def test_of_a_prepared_dataset_only_the_first_examples_are_read_when_asked_for(prepared, monkeypatch):
    everything, read = data.load("mnist", str(prepared)), []
    monkeypatch.setattr(Image, "open", lambda file, original=Image.open: read.append(file) or original(file))
    some = data.load("mnist", str(prepared), examples=18)
    for split, whole in zip(some[:3], data.first_examples(everything, 18)[:3], strict=True):
        np.testing.assert_array_equal(split.images, whole.images)
        np.testing.assert_array_equal(split.labels, whole.labels)
    assert [len(split.labels) for split in some[:3]] == [18, 15, 18]
    assert len(read) == 18 + 15 + 18
    with pytest.raises(ValueError, match=r"^examples: 0 was given, but it must be 1 or more$"):
        data.load("mnist", str(prepared), examples=0)


def test_cifar_and_fashion_mnist_have_names_of_their_own(tmp_path):
    assert {"cifar10", "cifar100", "fashion_mnist"} < set(data.DATASETS)
    for name in ("cifar10", "cifar100", "fashion_mnist"):
        with pytest.raises(FileNotFoundError, match=f"dataset: '{name}' is not prepared"):
            data.load(name, str(tmp_path))


def test_held_out_indices_are_what_hold_out_uses():
    split = Split(np.arange(100), np.arange(100, dtype=np.int32))
    rest, held_out = held_out_indices(100, 15)
    np.testing.assert_array_equal(data.hold_out(split, 15)[0].images, rest)
    np.testing.assert_array_equal(data.hold_out(split, 15)[1].images, held_out)


@pytest.mark.filterwarnings("default")
def test_a_damaged_file_is_named(prepared, damage):
    for split in ("train", "test"):
        (file,) = (prepared / "mnist" / "3.0.1").glob(f"mnist-{split}*")
        whole = file.read_bytes()
        damage(file)
        with pytest.raises(ValueError, match=f"^data_dir: {file} is damaged .*; prepare the dataset again$"):
            data.load("mnist", str(prepared))
        file.write_bytes(whole)


@pytest.mark.filterwarnings("default")
def test_records_that_cannot_be_read_are_named(prepared):
    (file,) = (prepared / "mnist" / "3.0.1").glob("mnist-train*")
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"damage" + content[106:])
    with pytest.raises(
        ValueError,
        match=rf"^data_dir: {file} is damaged \(of its split's records \d+ to \d+, some .*; prepare the dataset",
    ):
        data.load("mnist", str(prepared))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json", "mnist-test.array_record-00000-of-00001"])
def test_a_missing_file_is_named(prepared, name):
    file = prepared / "mnist" / "3.0.1" / name
    file.unlink()
    what = "is not prepared in" if name == "dataset_info.json" else rf"{file} is damaged \(it is missing\)"
    with pytest.raises(FileNotFoundError, match=what):
        data.load("mnist", str(prepared))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00"])
def test_damaged_metadata_is_named(prepared, name, content):
    directory = prepared / "mnist" / "3.0.1"
    (directory / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^data_dir: {directory} is damaged .*{name}"):
        data.load("mnist", str(prepared))


def test_a_dataset_that_is_not_prepared_is_refused_at_once_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not prepared in .*--data_dir.*tfds build mnist --file_format=array"):
        data.load("mnist", str(tmp_path))


def test_an_unknown_dataset_is_refused():
    with pytest.raises(ValueError, match="dataset: 'cifar' was given, but it must be one of mnist_sample"):
        data.load("cifar")


def arrays(**changes):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 5, 4)).astype(np.uint8)
    return {"x_train": images, "y_train": np.arange(40) % 4} | changes


def saved(path, content):
    np.savez(path / "own.npz", **content)
    return f"npz:{path / 'own.npz'}"


def test_own_arrays_with_and_without_the_other_splits(tmp_path):
    dataset = data.load(saved(tmp_path, arrays()))
    assert [len(split.labels) for split in dataset[:3]] == [28, 6, 6]
    assert dataset.classes == 4
    assert dataset.train.images.shape == (28, 5, 4, 1)
    floats = np.linspace(-1, 1, 60, dtype=np.float64).reshape(3, 5, 4)
    content = arrays(x_test=floats.astype(np.float16), y_test=np.array([3, 0, 1]))
    dataset = data.load(saved(tmp_path, content | {"x_train": content["x_train"] / 255}))
    assert [len(split.labels) for split in dataset[:3]] == [34, 6, 3]
    np.testing.assert_array_equal(dataset.test.labels, [3, 0, 1])
    assert dataset.test.images.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": np.zeros((3, 5, 4), np.uint8)}, "has no array y_test"),
        ({"x_val": np.zeros(3), "y_val": np.zeros(3)}, r"has arrays \['x_val', 'y_val'\], but splits are named train"),
        ({"y_validation": np.zeros(3, int)}, "has no array x_validation"),
        ({"y_train": np.zeros(39, int)}, "x_train has 40 examples and y_train has 39 labels"),
        ({"y_train": np.arange(40) % 4 - 1}, r"y_train has the label \[-1\], which is no class"),
        ({"y_train": np.arange(40) % 4 + 2**32}, r"y_train has the label \[4294967296\], which is no class"),
        ({"x_train": np.zeros((40, 0), np.uint8)}, "x_train has examples of shape .0,., which hold no values"),
        ({"y_train": np.r_[np.arange(39) % 4, 7]}, r"y_train has the label \[7\], but the 5 classes .* 0 to 4"),
        ({"x_test": np.zeros((1, 5, 4), np.uint8), "y_test": np.array([4])}, r"y_test has the label \[4\]"),
        ({"y_train": np.zeros(40, int)}, "y_train names one class"),
        ({"y_train": np.arange(40) % 4 + 0.0}, "y_train is float64, but must be integers"),
        ({"y_train": np.zeros((40, 1), int)}, "y_train has 2 dimensions"),
        ({"x_train": np.full((40, 5, 4), np.nan)}, "x_train has values that are NaN or infinite"),
        ({"x_train": np.full((40, 5, 4), 1e300)}, "x_train has values that are NaN or infinite in float32"),
        ({"x_train": np.zeros((40, 5, 4), int)}, "x_train is int64, but must be uint8 or floating point"),
        ({"x_train": np.zeros(40)}, "x_train has 1 dimensions"),
        ({"x_test": np.zeros((1, 4, 5), np.uint8), "y_test": np.array([0])}, "x_test has examples of shape"),
        ({"x_train": np.zeros((0, 5, 4), np.uint8), "y_train": np.zeros(0, int)}, "x_train has 0 examples"),
        ({"x_train": np.zeros((2, 5, 4), np.uint8), "y_train": np.array([0, 1])}, "too few examples to hold out"),
    ],
)
def test_unusable_arrays_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        data.load(saved(tmp_path, arrays(**changes)))


def test_arrays_without_training_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has no array x_train"):
        data.load(saved(tmp_path, {"images": np.zeros(3)}))


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 truncated"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an npz file"):
        data.load(f"npz:{path}")


def test_pickled_objects_and_single_arrays_are_refused(tmp_path):
    with pytest.raises(ValueError, match="without pickled objects"):
        data.load(saved(tmp_path, arrays(x_train=np.array([{}, {}]))))
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="cannot be read as an npz file"):
        data.load(f"npz:{tmp_path / 'one.npy'}")
    with pytest.raises(FileNotFoundError, match="names no file"):
        data.load(f"npz:{tmp_path / 'none.npz'}")
