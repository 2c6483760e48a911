"""Selection against NumPy: what is chosen, its gradient, and the distribution of draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import slotjax
from slotjax.options import draw_seed, uniform_numbers
from tests import reference

K = [1, 2, 3, 8, 64, 100]  # the last of them takes a loop of several groups


def draw(k, shape, seed=0, dtype=np.float32):
    random = np.random.default_rng(seed)
    return random.normal(size=(k, *shape)).astype(dtype), random.normal(size=(k, *shape)).astype(dtype)


@pytest.mark.quick("shape2-3")
@pytest.mark.parametrize("k", K)
@pytest.mark.parametrize("shape", [(), (7,), (5, 4), (3, 3, 2, 4)])
def test_greedy_is_numpy_argmax(k, shape):
    scores, _ = draw(k, shape)
    np.testing.assert_array_equal(jax.jit(slotjax.selection.greedy)(jnp.asarray(scores)), reference.greedy(scores))


@pytest.mark.slow
@settings(max_examples=50)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.sampled_from([0.0, 1.0, 2.0]))
)
def test_a_tie_goes_to_the_lowest_index(scores):
    np.testing.assert_array_equal(slotjax.selection.greedy(jnp.asarray(scores)), reference.greedy(scores))


@pytest.mark.quick("2")
@pytest.mark.parametrize("k", K)
def test_probabilistic_is_the_inverse_of_the_cumulative_distribution(k, x64):
    scores, _ = draw(k, (50, 40), dtype=np.float64)
    key = jax.random.key(1)
    uniform = np.asarray(uniform_numbers(draw_seed(key), (50, 40), jnp.dtype(np.float64)))
    index = jax.jit(slotjax.selection.probabilistic)(jnp.asarray(scores), key)
    np.testing.assert_array_equal(index, reference.probabilistic(scores, uniform))


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3, 8, 64])
def test_draws_match_softmax_probabilities(k):
    scores = np.random.default_rng(0).normal(size=k).astype(np.float32)
    draws = 200_000
    index = slotjax.selection.probabilistic(
        jnp.broadcast_to(jnp.asarray(scores)[:, None], (k, draws)), jax.random.key(2)
    )
    counts = np.bincount(np.asarray(index), minlength=k)
    expected = reference.softmax(scores.astype(np.float64)) * draws
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.slow
def test_half_precision_scores_lose_no_option():
    index = slotjax.selection.probabilistic(jnp.zeros((512, 100_000), jnp.bfloat16), jax.random.key(0))
    assert scipy.stats.chisquare(np.bincount(np.asarray(index), minlength=512)).pvalue > 1e-3


@pytest.mark.slow
def test_draws_are_independent_across_connections():
    index = slotjax.selection.probabilistic(jnp.zeros((2, 100_000)), jax.random.key(3))
    neighbours = np.histogram2d(*(np.asarray(index).reshape(-1, 2).T), bins=2)[0]
    assert scipy.stats.chi2_contingency(neighbours).pvalue > 1e-3


@pytest.mark.slow
def test_rounding_cannot_lead_past_the_last_option(monkeypatch):
    monkeypatch.setattr(
        "slotjax.selection.candidates.uniform_numbers", lambda seed, shape, dtype, like: jnp.ones(shape, dtype)
    )
    scores, _ = draw(8, (1000,))
    np.testing.assert_array_equal(slotjax.selection.probabilistic(jnp.asarray(scores), jax.random.key(0)), 7)


@pytest.mark.quick("4")
@pytest.mark.parametrize("k", [4, 100])
def test_the_number_0_draws_no_option_of_probability_0(k, monkeypatch):
    monkeypatch.setattr(
        "slotjax.selection.candidates.uniform_numbers", lambda seed, shape, dtype, like: jnp.zeros(shape, dtype)
    )
    scores = jnp.full((k, 10), -1e9).at[k - 2 :].set(0.0)
    np.testing.assert_array_equal(slotjax.selection.probabilistic(scores, jax.random.key(0)), k - 2)


@pytest.mark.quick("float32-3", "bfloat16-8")
@pytest.mark.parametrize("k", K)
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_the_forward_value_is_exactly_the_selected_option(k, dtype):
    scores, options = draw(k, (300, 100))
    options = jnp.asarray(options, dtype)
    index = reference.greedy(1000 * scores)
    weights = slotjax.selection.straight_through(jnp.asarray(1000 * scores), options, jnp.asarray(index, jnp.int32))
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights, reference.selected(np.asarray(options), index))


def test_half_precision_scores_select_float32_options_exactly():
    scores, options = draw(8, (300, 100))
    half, options = jnp.asarray(scores, jnp.bfloat16), jnp.asarray(options)
    index = slotjax.selection.greedy(half)
    expected = reference.selected(np.asarray(options), np.asarray(index))
    np.testing.assert_array_equal(slotjax.selection.straight_through(half, options, index), expected)


@pytest.mark.quick("3")
@pytest.mark.parametrize("k", K)
def test_the_gradient_of_every_score_is_exactly_eq_3(k, x64):
    scores, options = draw(k, (5, 4), dtype=np.float64)
    weight_gradient = np.random.default_rng(1).normal(size=(5, 4))

    def loss(scores):
        weights = slotjax.selection.straight_through(scores, jnp.asarray(options), slotjax.selection.greedy(scores))
        return jnp.sum(weights * weight_gradient)

    gradient = jax.jit(jax.grad(loss))(jnp.asarray(scores))
    np.testing.assert_array_equal(gradient, reference.score_gradients(options, weight_gradient))


def test_options_receive_no_gradient():
    scores, options = map(jnp.asarray, draw(3, (5, 4)))
    gradient = jax.grad(
        lambda options: slotjax.selection.straight_through(scores, options, slotjax.selection.greedy(scores)).sum()
    )(options)
    assert not np.any(gradient)


@pytest.mark.slow
def test_nothing_as_large_as_k_weights_is_made_by_a_draw():
    scores = jax.ShapeDtypeStruct((64, 100, 100), jnp.float32)
    compiled = jax.jit(slotjax.selection.probabilistic).lower(scores, jax.random.key(0)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 16 * 100 * 100 * 4


@pytest.mark.slow
def test_compiled_size_does_not_grow_with_k():
    def size(k):
        arrays = [jnp.zeros((k, 8, 8)), jnp.zeros((k, 8, 8))]
        gradient = jax.grad(lambda s, w: slotjax.selection.straight_through(s, w, slotjax.selection.greedy(s)).sum())
        return len(jax.jit(gradient).lower(*arrays).as_text())

    assert size(256) < 1.2 * size(64)


def test_every_option_of_300_is_drawn_from_half_precision():
    index = slotjax.selection.probabilistic(jnp.zeros((300, 5000), jnp.bfloat16), jax.random.key(0))
    assert len(np.unique(index)) == 300
