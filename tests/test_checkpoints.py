"""Checkpoints: what is kept, and that nothing is lost on the way."""

import chex
import jax
import jax.numpy as jnp
import pytest

from slotjax import training
from slotjax.training.checkpoints import restore_arrays, save_arrays


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
