"""Checkpoints whose files are changed: what was saved, or refused in one sentence, and nothing beside them changed."""

import gc
import logging
import shutil

import chex
import jax
import jax.numpy as jnp
import pytest
from hypothesis import strategies as st

from slotjax import training
from tests.fuzz.amounts import amounts, try_all
from tests.fuzz.guards import refused, snapshot
from tests.fuzz.mutations import changed_bytes

# Orbax leaves coroutines of a failed restore behind, which complain when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
HISTORY = [{"epoch": 1, "validation": {"accuracy": 0.5}}]


def state():
    """One array that Orbax keeps in its manifest, and one that is too large for that."""
    return {"step": jnp.int32(1), "scores": jax.random.normal(jax.random.key(0), (100, 100))}


@pytest.fixture
def saved(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "slotjax")  # whose warnings hold the errors that hold the coroutines
    with training.Checkpoints(tmp_path / "saved") as checkpoints:
        checkpoints.save(1, state(), HISTORY)
    yield tmp_path / "saved"
    gc.collect()  # of those coroutines, while they are ignored


def changed_files(directory):
    """Paths of one to three files, each with its changed bytes."""
    files = {path: content for path, (kind, content) in snapshot(directory).items() if kind == "file"}
    one = st.sampled_from(sorted(files)).flatmap(lambda path: st.tuples(st.just(path), changed_bytes(files[path])))
    return st.lists(one, min_size=1, max_size=3)


@amounts(10, share=0.1)
def test_a_checkpoint_is_what_was_saved_or_refused_in_one_sentence(amount, saved, tmp_path):
    like, expected = jax.tree.map(jnp.zeros_like, state()), state()
    place = tmp_path / "place"

    def holds(changes):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(saved, place)
        for path, content in changes:
            (place / path).write_bytes(content)
        before = snapshot(place)
        with training.Checkpoints(place, read_only=True) as checkpoints, refused(ValueError):
            restored, history = checkpoints.restore_latest(like)
            chex.assert_trees_all_equal(restored, expected)
            assert history == HISTORY
        assert snapshot(place) == before

    try_all(amount, changed_files(saved), holds)
