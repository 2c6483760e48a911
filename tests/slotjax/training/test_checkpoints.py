"""Checkpoints: what is kept, and that nothing is lost on the way."""

import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slotjax import training
from slotjax.training import arrays
from slotjax.training.arrays import restore_arrays, save_arrays

# Orbax leaves coroutines of a failed restore behind, which complain when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def state(value):
    return {
        "key": jax.random.key(value),
        "scores": jnp.full((2, 3), value, jnp.float32),
        "half": jnp.full(3, value, jnp.bfloat16),
        "step": jnp.int32(value),
    }


def history(*accuracies):
    return [{"epoch": epoch + 1, "validation": {"accuracy": value}} for epoch, value in enumerate(accuracies)]


def test_the_latest_two_the_best_one_and_chosen_epochs_are_kept(tmp_path):
    accuracies = [0.1, 0.2, 0.9, 0.4, 0.5, 0.6, 0.7, 0.8]
    with training.Checkpoints(tmp_path, keep_epochs=(2, 4)) as checkpoints:
        for epoch in range(1, 9):
            checkpoints.save(epoch, state(epoch), history(*accuracies[:epoch]))
        assert checkpoints.epochs() == [2, 3, 4, 7, 8]


def test_of_equally_good_epochs_the_first_is_kept(tmp_path):
    accuracies = [0.1, 0.9, 0.9, 0.9, 0.5, 0.6]
    with training.Checkpoints(tmp_path) as checkpoints:
        for epoch in range(1, 7):
            checkpoints.save(epoch, state(epoch), history(*accuracies[:epoch]))
        assert checkpoints.epochs() == [2, 5, 6]


def test_state_and_history_come_back_bitwise(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), history(1 / 3))
    with training.Checkpoints(tmp_path) as checkpoints:
        restored, restored_history = checkpoints.restore_latest(state(0))
        assert restored_history == history(1 / 3)
    expected = state(1)
    chex.assert_trees_all_equal(jax.random.key_data(restored.pop("key")), jax.random.key_data(expected.pop("key")))
    chex.assert_trees_all_equal_shapes_and_dtypes(restored, expected)
    chex.assert_trees_all_equal(restored, expected)


def test_a_history_that_grows_during_the_save_is_saved_as_it_was(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        growing = history(0.1)
        checkpoints.save(1, state(1), growing)
        growing.extend(history(0.1, 0.2)[1:])
        growing[0]["validation"]["accuracy"] = 0.9
        assert checkpoints.restore_latest(state(0))[1] == history(0.1)


def test_a_history_is_saved_as_json_reads_it(tmp_path):
    # Numbers as names are sorted otherwise than their texts.
    per_class = {number: number / 20 for number in range(11)}
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), [{"validation": {"accuracy": 0.1}, "per_class": per_class}])
        restored = checkpoints.restore_latest(state(0))[1][0]["per_class"]
        assert restored == {str(number): share for number, share in per_class.items()}


def test_an_epoch_is_saved_once_and_after_all_earlier_ones(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        for epoch in (1, 3):
            checkpoints.save(epoch, state(epoch), history(0.1))
        for epoch in (2, 3):
            with pytest.raises(ValueError, match=rf"epoch: {epoch} was given, .* epochs \[1, 3\], and only later"):
                checkpoints.save(epoch, state(5), history(0.1))
        assert int(checkpoints.restore(3, state(0))[0]["step"]) == 3


def test_an_epoch_without_a_checkpoint_is_not_called_damaged(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), history(0.1))
        with pytest.raises(ValueError, match=r"epoch: 7 was given, but .* has checkpoints of epochs \[1\]$"):
            checkpoints.restore(7, state(0))


def test_no_checkpoint_is_none(tmp_path):
    with training.Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_latest(state(0)) is None


def test_what_an_interrupted_save_left_is_removed_and_blocks_nothing(tmp_path):
    leftover = tmp_path / "2.orbax-checkpoint-tmp"
    (leftover / "state").mkdir(parents=True)
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, state(2), history(0.1, 0.2))
        assert checkpoints.epochs() == [2]
    assert not leftover.exists()


def test_arrays_are_written_once(tmp_path):
    arrays = {"a": jnp.arange(3.0), "rest": {}}
    save_arrays(tmp_path / "frozen", arrays)
    chex.assert_trees_all_equal(restore_arrays(tmp_path / "frozen", arrays), arrays)
    with pytest.raises(ValueError, match="exists"):
        save_arrays(tmp_path / "frozen", arrays)


def array_files(step):
    """The files in which Orbax keeps the bytes of arrays."""
    return sorted(path for path in (step / "state").glob("**/d/*") if path.is_file())


def changed(content, count=1):
    """The content with `count` bytes in its middle inverted."""
    start = len(content) // 2
    return content[:start] + bytes(255 - byte for byte in content[start : start + count]) + content[start + count :]


def test_the_reason_that_is_given_is_the_first_cause():
    error = RuntimeError("Error while reading: <spec of TensorStore>")
    error.__cause__ = ValueError("Error reading a: the frame is unknown [source locations='b']")
    assert arrays.reason(error) == "Error reading a: the frame is unknown"


def on_files(change, *patterns):
    def apply(step):
        files = [path for pattern in patterns for path in step.glob(pattern) if path.is_file()]
        assert files
        for path in files:
            change(path)

    return apply


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path):
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty(step):
    remove(step)
    step.mkdir()


# Where Orbax keeps what: `d` has the arrays' bytes, `manifest.ocdbt` where they are, `_METADATA` their names.
HARMFUL = {
    "arrays missing": on_files(remove, "state/**/d/*"),
    "arrays truncated": on_files(truncate, "state/**/d/*"),
    "arrays garbage": on_files(garbage, "state/**/d/*"),
    "manifest missing": on_files(remove, "state/manifest.ocdbt"),
    "manifest truncated": on_files(truncate, "state/manifest.ocdbt"),
    "names garbage": on_files(garbage, "state/_METADATA"),
    "state missing": lambda step: remove(step / "state"),
    "record missing": lambda step: remove(step / "record"),
    "record truncated": on_files(truncate, "record/metadata"),
    "record garbage": on_files(garbage, "record/metadata"),
    "all missing": empty,
}
HARMLESS = ("state/_METADATA", "commit_success.txt", "_CHECKPOINT_METADATA", "state/_sharding", "state/array_metadatas")


def large(value):
    """A state that is too large to be kept within Orbax's manifest."""
    return state(value) | {"many": jax.random.normal(jax.random.key(value), (100, 100))}


def save_two(directory):
    with training.Checkpoints(directory) as checkpoints:
        for epoch in (1, 2):
            checkpoints.save(epoch, large(epoch), history(*[0.1] * epoch))


@pytest.mark.quick("arrays missing", "manifest truncated")
@pytest.mark.parametrize("kind", HARMFUL)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_taken(kind, tmp_path, caplog):
    save_two(tmp_path / "checkpoints")
    HARMFUL[kind](tmp_path / "checkpoints" / "2")
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        restored, restored_history = checkpoints.restore_latest(large(0))
        assert (int(restored["step"]), len(restored_history)) == (1, 1)
        (message,) = (record.getMessage() for record in caplog.records if record.name.startswith("slotjax"))
        assert f"{tmp_path / 'checkpoints' / '2'} is damaged" in message
        # The next save takes the place of the damaged one, which is not deleted.
        checkpoints.save(2, large(5), history(0.1, 0.2))
        assert int(checkpoints.restore_latest(large(0))[0]["step"]) == 5
    assert (tmp_path / "damaged" / "checkpoints-2").is_dir()


@pytest.mark.parametrize("count", [1, 64])
def test_changed_bytes_of_arrays_are_found(count, tmp_path):
    like = {"scores": jnp.arange(4096.0)}
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, like, history(0.1))
    largest = max(array_files(tmp_path / "1"), key=lambda path: path.stat().st_size)
    largest.write_bytes(changed(largest.read_bytes(), count))
    with training.Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match="can be read"):
        checkpoints.restore_latest(like)


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_files_that_orbax_does_not_need_are_not_missed(name, tmp_path):
    save_two(tmp_path)
    remove(tmp_path / "2" / name)
    with training.Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore_latest(large(0))[0]["step"]) == 2


def test_a_damaged_checkpoint_is_set_aside_once_however_often_it_was_tried(tmp_path):
    save_two(tmp_path / "checkpoints")
    HARMFUL["arrays missing"](tmp_path / "checkpoints" / "2")
    with training.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for _ in range(2):
            assert int(checkpoints.restore_latest(large(0))[0]["step"]) == 1
        checkpoints.save(2, large(5), history(0.1, 0.2))
    assert (tmp_path / "damaged" / "checkpoints-2" / "record").is_dir()


def test_nothing_starts_again_when_all_checkpoints_are_damaged(tmp_path):
    save_two(tmp_path)
    for step in ("1", "2"):
        HARMFUL["arrays missing"](tmp_path / step)
    with training.Checkpoints(tmp_path) as checkpoints, pytest.raises(ValueError, match=r"none .* \[1, 2\], can be"):
        checkpoints.restore_latest(large(0))


def test_after_damaged_ones_are_cleared_saving_goes_on(tmp_path):
    save_two(tmp_path)
    for step in ("1", "2"):
        HARMFUL["arrays missing"](tmp_path / step)
    with training.Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError, match="can be read"):
            checkpoints.restore_latest(large(0))
        checkpoints.clear()
        checkpoints.save(3, large(3), history(0.1))
        assert int(checkpoints.restore_latest(large(0))[0]["step"]) == 3


def test_a_changed_history_is_found(tmp_path):
    save_two(tmp_path)
    record = tmp_path / "2" / "record" / "metadata"
    record.write_text(record.read_text().replace("0.1", "0.9", 1))
    with training.Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore_latest(large(0))[0]["step"]) == 1


@pytest.mark.quick("float32")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "uint32", "bool"])
@given(data=st.data())
def test_a_change_of_one_entry_changes_the_checksum(dtype, data):
    bits = np.dtype(jnp.dtype(dtype)).itemsize
    words = data.draw(hnp.arrays(np.uint8, (5, bits)))
    place, bit = data.draw(st.tuples(st.integers(0, 4), st.integers(0, 8 * bits - 1)))
    other = words.copy()
    other[place, bit // 8] ^= 1 << bit % 8
    if dtype == "bool":
        words, other = words % 2, (words + (np.arange(5) == place)[:, None]) % 2
    before, after = (
        training.checksums({"a": jnp.asarray(w.astype(np.uint8).view(jnp.dtype(dtype))[:, 0])}) for w in (words, other)
    )
    assert before != after


def test_checksums_are_the_same_on_one_device_and_on_four():
    array = jax.random.normal(jax.random.key(0), (8, 3))
    mesh = training.data_mesh()
    assert training.checksums([array]) == training.checksums([training.place_batch(array, mesh)])
    assert mesh.size == 4


def test_arrays_that_cannot_be_written_are_an_error_of_the_system_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/arrays cannot be written \(.*\)") as error:
        training.save_arrays(tmp_path / "file" / "arrays", {"weight": jnp.ones(2)})
    assert len(str(error.value).splitlines()) == 1
