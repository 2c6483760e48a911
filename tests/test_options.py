"""Options and initial scores: their distributions and where their randomness comes from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.nn import initializers

import slotjax

SHAPES = [(784, 300), (3, 3, 64, 128)]


def fans(shape):
    return np.prod(shape[:-2]) * shape[-2], np.prod(shape[:-2]) * shape[-1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("distribution", "variance"), [(slotjax.glorot_uniform, 6), (slotjax.glorot_deviation, 2)])
def test_options_are_uniform_up_to_the_scale(shape, distribution, variance):
    sigma = np.sqrt(variance / sum(fans(shape)))
    draw, scale = distribution()
    assert scale(shape) == pytest.approx(sigma, rel=1e-12)
    options = slotjax.draw_options(jax.random.key(0), 4, shape, jnp.float32, draw)
    assert np.abs(options).max() <= np.float32(sigma)
    assert scipy.stats.kstest(np.ravel(options), scipy.stats.uniform(-sigma, 2 * sigma).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "initializer", [initializers.he_normal(), initializers.orthogonal(), initializers.normal(0.02), initializers.zeros]
)
def test_any_initializer_is_called_once_per_option_on_the_shape_of_the_weight(initializer):
    shapes = []

    def recorded(key, shape, dtype):
        shapes.append(shape)
        return initializer(key, shape, dtype)

    options = slotjax.draw_options(jax.random.key(0), 3, (6, 4), jnp.float32, recorded)
    assert set(shapes) == {(6, 4)}
    one_by_one = [initializer(jax.random.fold_in(jax.random.key(0), k), (6, 4), jnp.float32) for k in range(3)]
    np.testing.assert_allclose(options, np.stack(one_by_one), rtol=1e-6)


def test_the_first_options_are_the_same_for_every_k():
    draw = slotjax.glorot_uniform().draw
    few, many = (slotjax.draw_options(jax.random.key(0), k, (6, 4), jnp.float32, draw) for k in (2, 8))
    np.testing.assert_array_equal(few, many[:2])


def test_options_of_a_connection_are_independent():
    options = slotjax.draw_options(jax.random.key(0), 2, (200, 200), jnp.float32, initializers.uniform(1.0))
    table = np.histogram2d(*np.asarray(options).reshape(2, -1), bins=8)[0]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize(("shape", "scale"), [((784, 300), 0.1), ((3, 3, 64, 128), 1.0)])
def test_initial_scores_are_uniform_up_to_lambda_sigma(shape, scale):
    limit = scale * slotjax.glorot_uniform().scale(shape)
    scores = slotjax.slot_machine(k=2).init(jax.random.key(0), jnp.zeros(shape))["params"]
    assert scipy.stats.kstest(np.ravel(scores), scipy.stats.uniform(0, limit).cdf).pvalue > 1e-3


def test_initial_scores_of_a_plain_initializer_scale_with_what_it_draws():
    selector = slotjax.slot_machine(k=4, distribution=initializers.normal(0.05), score_scale=2.0)
    scores = selector.init(jax.random.key(0), jnp.zeros((200, 200)))["params"]
    assert float(scores.max()) == pytest.approx(2 * 0.05, rel=0.02)


def test_initial_scores_are_independent_of_options():
    variables = slotjax.slot_machine(k=1).init(jax.random.key(0), jnp.zeros((200, 200)))
    correlation = scipy.stats.pearsonr(np.ravel(variables["params"]), np.ravel(variables["frozen"]["options"]))
    assert correlation.pvalue > 1e-3
