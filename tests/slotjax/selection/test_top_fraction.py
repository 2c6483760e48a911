"""The largest magnitudes: exactly the given share, whatever the values, as sorting would find them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slotjax
from slotjax.selection.top_fraction import top_masks
from tests import reference

compiled = jax.jit(slotjax.selection.top_fraction, static_argnums=1)
SHAPES = [(1,), (2,), (7,), (10,), (3, 4), (30, 41), (2, 3, 4, 5), (1000,)]
FRACTIONS = [0.0, "1/n", 0.1, 0.3, 0.5, 0.9, 1.0]


@pytest.mark.quick("float32-0.3")
@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_it_keeps_what_sorting_keeps(fraction, dtype):
    random = np.random.default_rng(0)
    for shape in SHAPES:
        scores = jnp.asarray(random.normal(size=shape), dtype)
        share = 1 / scores.size if fraction == "1/n" else fraction
        mask = compiled(scores, share)
        assert mask.sum() == scores.size - math.floor((1 - share) * scores.size)
        np.testing.assert_array_equal(mask, reference.top_fraction(np.asarray(scores, np.float64), share))


def test_float64(x64):
    scores = jnp.asarray(np.random.default_rng(0).normal(size=1001))
    np.testing.assert_array_equal(
        slotjax.selection.top_fraction(scores, 0.3), reference.top_fraction(np.asarray(scores), 0.3)
    )


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, -3.4e38, 0.5, 1e-20]), min_size=12, max_size=12),
    st.integers(0, 12),
)
def test_equal_scores_zeros_and_extremes(values, count):
    scores = jnp.asarray(np.array(values, np.float32))
    mask = slotjax.selection.top_fraction(scores, count / 12)
    np.testing.assert_array_equal(mask, reference.top_fraction(np.array(values, np.float32), count / 12))


@pytest.mark.parametrize(
    ("scores", "fraction", "kept"),
    [
        ([0.1, -0.4, 0.3, 0.3], 0.5, [0, 1, 1, 0]),
        ([0.3, 0.3, 0.3, 0.3], 0.5, [1, 1, 0, 0]),
        ([0.0, 0.0, 0.0, 0.0], 0.25, [1, 0, 0, 0]),
        ([2.0, 1.0, -1.0, 1.0, 1.0], 0.6, [1, 1, 1, 0, 0]),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 0.3, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
        ([1.0, 2.0], 0.25, [0, 1]),
        ([1.0, 2.0], 0.0, [0, 0]),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.25, [0, 0, 0, 0, 1, 1]),
    ],
)
def test_a_literal_table(scores, fraction, kept):
    np.testing.assert_array_equal(compiled(jnp.array(scores), fraction), np.array(kept, bool))


def test_several_arrays_are_ranked_together_and_ties_go_in_their_order():
    first, second = jnp.array([[1.0, 3.0]]), jnp.array([3.0, 0.5, 3.0])
    masks = top_masks([first, second], 0.4)
    np.testing.assert_array_equal(masks[0], [[False, True]])
    np.testing.assert_array_equal(masks[1], [True, False, False])


@pytest.mark.slow
def test_it_can_be_vmapped():
    scores = jnp.round(jax.random.normal(jax.random.key(0), (5, 40)), 1)
    expected = jnp.stack([slotjax.selection.top_fraction(row, 0.3) for row in scores])
    np.testing.assert_array_equal(jax.vmap(lambda row: slotjax.selection.top_fraction(row, 0.3))(scores), expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="scores: they must be finite, but some are infinite or NaN"):
        slotjax.selection.top_fraction(jnp.array([1.0, value]), 0.5)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(fraction):
    with pytest.raises(ValueError, match=r"keep_fraction: .* was given, but it must be a number from 0 to 1"):
        slotjax.selection.top_fraction(jnp.ones(3), fraction)


def test_it_takes_no_ordering_and_little_memory():
    program = compiled.lower(jnp.ones(100_000), 0.3).compile()
    assert " sort(" not in program.as_text()
    assert program.memory_analysis().temp_size_in_bytes < 16 * 100_000


@pytest.mark.parametrize(
    ("size", "fraction", "kept"),
    [(35, 0.3, 11), (49, 0.01, 1), (100, 0.9, 91), (100, 0.5, 50), (7, 1.0, 7), (7, 0.0, 0), (7, 1e-300, 1)],
)
def test_a_fraction_keeps_as_many_as_in_the_released_code(size, fraction, kept):
    assert slotjax.selection.kept_count(size, fraction) == kept
    assert np.sum(compiled(jnp.asarray(np.arange(size), jnp.float32), fraction)) == kept


def test_a_tie_goes_to_the_first_array():
    first, second = top_masks([jnp.array([[1.0, 3.0]]), jnp.array([3.0, 0.5, 3.0])], 0.2)
    np.testing.assert_array_equal(first, [[False, True]])
    assert not second.any()
