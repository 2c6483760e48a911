"""What is kept of a run's checkpoints does not depend on how often it was interrupted."""

import shutil

import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotjax import training
from slotjax.training.preservation import preserved


def state(value):
    return {"step": jnp.int32(value)}


def history(accuracies):
    return [{"epoch": epoch + 1, "validation": {"accuracy": value}} for epoch, value in enumerate(accuracies)]


def save(directory, accuracies, epochs, **options):
    with training.Checkpoints(directory, **options) as checkpoints:
        for epoch in epochs:
            checkpoints.save(epoch, state(epoch), history(accuracies[:epoch]))


def names(directory):
    return sorted(path.name for path in directory.iterdir())


ACCURACIES = [0.1, 0.2, 0.9, 0.4, 0.9, 0.6, 0.7, 0.8]


@pytest.mark.slow
def test_a_run_that_is_started_again_for_every_epoch_keeps_what_an_unbroken_one_keeps(tmp_path):
    save(tmp_path / "unbroken", ACCURACIES, range(1, 9), keep_epochs=(2,))
    for epoch in range(1, 9):
        save(tmp_path / "broken", ACCURACIES, [epoch], keep_epochs=(2,))
    assert names(tmp_path / "broken") == names(tmp_path / "unbroken") == ["2", "3", "7", "8"]


def test_a_checkpoint_of_an_interruption_takes_no_other_ones_place(tmp_path):
    def every_second(epoch):
        return epoch % 2 == 0

    for epochs in ([2, 4], [5], [6, 7]):
        save(tmp_path / "run", ACCURACIES, epochs, is_scheduled=every_second)
    assert names(tmp_path / "run") == ["4", "6", "7"]
    save(tmp_path / "run", ACCURACIES, [8], is_scheduled=every_second)
    assert names(tmp_path / "run") == ["6", "8"]


@given(
    accuracies=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=12),
    every=st.integers(1, 4),
    stops=st.sets(st.integers(1, 12)),
    best=st.integers(0, 2),
)
def test_whatever_stops_a_run_it_always_has_at_least_what_the_unbroken_one_has(accuracies, every, stops, best):
    ranks = dict(enumerate(accuracies, 1))
    unbroken, broken = set(), set()
    for epoch in ranks:
        if epoch % every == 0:
            unbroken = preserved(unbroken | {epoch}, ranks, best=best)
        if epoch % every == 0 or epoch in stops:
            broken = preserved(broken | {epoch}, ranks, best=best, is_scheduled=lambda epoch: epoch % every == 0)
        assert unbroken <= broken <= unbroken | stops
        if epoch % every == 0:
            assert unbroken == broken


def test_what_a_kill_kept_from_being_deleted_is_deleted(tmp_path):
    save(tmp_path / "run", ACCURACIES, [1, 2, 3, 4, 5])
    save(tmp_path / "other", ACCURACIES, [1, 2])
    (tmp_path / "other" / "1").rename(tmp_path / "run" / "1")  # as if nothing of it had been deleted yet
    (tmp_path / "other").rename(tmp_path / "run" / ".removed")  # as if this one had been, in part
    with training.Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.restore_latest(state(0))
        checkpoints.tidy()
    assert names(tmp_path / "run") == ["3", "4", "5"]


def test_tidying_leaves_what_is_older_than_damaged_ones(tmp_path):
    save(tmp_path / "run", ACCURACIES[:1] * 4, [1, 2, 3, 4])
    shutil.rmtree(tmp_path / "run" / "4" / "state")
    with training.Checkpoints(tmp_path / "run") as checkpoints:
        assert int(checkpoints.restore_latest(state(0))[0]["step"]) == 3
        checkpoints.tidy()
        assert checkpoints.epochs() == [1, 3, 4]


def test_what_cannot_be_ranked_is_not_deleted(tmp_path):
    save(tmp_path, ACCURACIES, [1, 2, 3])
    (tmp_path / "3" / "record" / "metadata").write_text("{}")
    save(tmp_path, ACCURACIES, [4, 5, 6])
    assert names(tmp_path) == ["3", "5", "6"]


def test_reading_only_makes_and_removes_nothing(tmp_path):
    with training.Checkpoints(tmp_path / "none", read_only=True) as checkpoints:
        assert checkpoints.restore_latest(state(0)) is None
        with pytest.raises(ValueError, match=r"^read_only: .*none was opened with it, so nothing is saved there$"):
            checkpoints.save(1, state(1), history(ACCURACIES[:1]))
    assert names(tmp_path) == []
    save(tmp_path / "run", ACCURACIES, [1, 2])
    for name in ("3.orbax-checkpoint-tmp", ".removed"):  # as where another process saves
        (tmp_path / "run" / name).mkdir()
    before = names(tmp_path / "run")
    with training.Checkpoints(tmp_path / "run", read_only=True) as checkpoints:
        assert int(checkpoints.restore_latest(state(0))[0]["step"]) == 2
    assert names(tmp_path / "run") == before


def stray_file(directory):
    (directory / "150").write_text("")


def stray_directory(directory):
    (directory / "150").mkdir()


def stray_copy(directory):
    shutil.copytree(directory / "2", directory / "150")


@pytest.mark.quick("stray_copy")
@pytest.mark.parametrize("stray", [stray_file, stray_directory, stray_copy])
def test_something_else_among_the_checkpoints_stops_nothing(stray, tmp_path):
    save(tmp_path / "run", ACCURACIES, [1, 2])
    stray(tmp_path / "run")
    with training.Checkpoints(tmp_path / "run") as checkpoints:
        restored, restored_history = checkpoints.restore_latest(state(0))
        assert (int(restored["step"]), len(restored_history)) == (2, 2)
        checkpoints.tidy()
        checkpoints.save(3, state(3), history(ACCURACIES[:3]))
        assert int(checkpoints.restore_latest(state(0))[0]["step"]) == 3


def test_a_file_in_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(NotADirectoryError, match=r"it is not a directory: .*run"):
        training.Checkpoints(tmp_path / "run")


def test_without_any_of_the_best_what_cannot_be_ranked_is_not_kept():
    assert preserved([1, 2, 3], {1: None, 2: 0.5, 3: 0.5}, best=0) == {2, 3}
