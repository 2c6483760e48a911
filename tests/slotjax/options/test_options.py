"""Options and initial scores: their distributions and where their randomness comes from."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from jax.nn import initializers

import slotjax
from slotjax.options import Multiples, Stored
from tests import paper

SHAPES = [(784, 300), (3, 3, 64, 128)]


def fans(shape):
    return np.prod(shape[:-2]) * shape[-2], np.prod(shape[:-2]) * shape[-1]


@pytest.mark.quick("glorot_deviation-2-shape0")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("distribution", "variance"),
    [(slotjax.distributions.glorot_uniform, 6), (slotjax.distributions.glorot_deviation, 2)],
)
def test_options_are_uniform_up_to_the_scale(shape, distribution, variance):
    sigma = np.sqrt(variance / sum(fans(shape)))
    assert distribution().scale(shape) == pytest.approx(sigma, rel=1e-12)
    options = slotjax.options.draw_options(jax.random.key(0), 4, shape, jnp.float32, distribution())
    assert np.abs(options).max() <= np.float32(sigma)
    assert scipy.stats.kstest(np.ravel(options), scipy.stats.uniform(-sigma, 2 * sigma).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_kernels_of_attention_have_the_deviation_that_flax_gives_them():
    attention = nn.MultiHeadDotProductAttention(8, qkv_features=64)
    params = attention.init(jax.random.key(0), jnp.zeros((1, 3, 256)))["params"]
    assert (params["query"]["kernel"].shape, params["out"]["kernel"].shape) == ((256, 8, 8), (8, 8, 256))
    normal = slotjax.distributions.Distribution("normal", lambda shape: shape[0] ** -0.5)  # as Flax's lecun_normal
    for name, inputs in (("query", 1), ("key", 1), ("value", 1), ("out", 2)):
        kernel = params[name]["kernel"]
        selector = paper.slot_machine(2, distribution=normal.for_matrix(inputs))
        selected = selector.select(selector.init(jax.random.key(1), {"kernel": kernel}))["kernel"]
        assert float(jnp.std(selected)) == pytest.approx(float(jnp.std(kernel)), rel=0.05)


def test_a_matrix_has_inputs_and_outputs():
    with pytest.raises(ValueError, match="inputs: 0 was given"):
        slotjax.distributions.glorot_uniform().for_matrix(0)
    selector = paper.slot_machine(distribution=slotjax.distributions.glorot_uniform().for_matrix(2))
    with pytest.raises(ValueError, match=r"'kernel': a weight of shape \(6, 4\) has no outputs"):
        selector.init(jax.random.key(0), {"kernel": jnp.zeros((6, 4))})


@pytest.mark.quick("init2")
@pytest.mark.parametrize(
    "initializer", [initializers.he_normal(), initializers.orthogonal(), initializers.normal(0.02), initializers.zeros]
)
def test_any_initializer_is_called_once_per_option_on_the_shape_of_the_weight(initializer):
    shapes = []

    def recorded(key, shape, dtype):
        shapes.append(shape)
        return initializer(key, shape, dtype)

    options = slotjax.options.draw_options(jax.random.key(0), 3, (6, 4), jnp.float32, recorded)
    assert set(shapes) == {(6, 4)}
    one_by_one = [initializer(jax.random.fold_in(jax.random.key(0), k), (6, 4), jnp.float32) for k in range(3)]
    np.testing.assert_allclose(options, np.stack(one_by_one), rtol=1e-6)


@pytest.mark.slow
def test_the_first_options_are_the_same_for_every_k():
    for draw in (slotjax.distributions.glorot_uniform(), initializers.he_normal()):
        few, many = (slotjax.options.draw_options(jax.random.key(0), k, (6, 4), jnp.float32, draw) for k in (2, 8))
        np.testing.assert_array_equal(few, many[:2])


def test_normal_options_are_normal():
    options = slotjax.options.draw_options(
        jax.random.key(0), 4, (784, 300), jnp.float32, slotjax.distributions.glorot_normal()
    )
    sigma = np.sqrt(2 / 1084)
    assert slotjax.distributions.glorot_normal().scale((784, 300)) == pytest.approx(sigma)
    assert np.std(options) == pytest.approx(sigma, rel=2e-3)
    # The table has 8,192 values, so the distance from the continuous distribution is 1/16384 at best.
    assert scipy.stats.kstest(np.ravel(options)[:100_000], scipy.stats.norm(0, sigma).cdf).pvalue > 1e-3
    assert len(np.unique(options)) == 8192


def test_a_bell_is_the_sum_of_four_uniform_bytes():
    seed = jnp.array([1, 2], jnp.uint32)
    units = np.asarray(slotjax.options.Seeded(seed, 4, "bell", 512.0, (500, 100), jnp.float32).values(), int)
    byte = np.full(256, 1 / 256)
    expected = np.convolve(np.convolve(byte, byte), np.convolve(byte, byte))
    counts = np.bincount(units.ravel() + 510, minlength=1021)
    edges = np.arange(110, 911, 20)  # with the ends beyond
    observed, wanted = (np.add.reduceat(one, [0, *edges]) for one in (counts, units.size * expected))
    assert scipy.stats.chisquare(observed, wanted).pvalue > 1e-3
    neighbours = (units[0], units[1]), (units[:, 1:], units[:, :-1]), (units[:, 1:] & 1, units[:, :-1] & 1)
    for one, other in neighbours:
        table = np.histogram2d(one.ravel(), other.ravel(), bins=2 if one.max() == 1 else [-511, -100, 0, 100, 511])[0]
        assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_signed_constants_are_either_sign_of_one_value():
    options = slotjax.options.draw_options(
        jax.random.key(0), 4, (784, 300), jnp.float32, slotjax.distributions.signed_kaiming_constant()
    )
    sigma = np.float32(np.sqrt(2 / 784))
    assert slotjax.distributions.signed_kaiming_constant().scale((784, 300)) == pytest.approx(sigma)
    values, counts = np.unique(options, return_counts=True)
    np.testing.assert_array_equal(values, [-sigma, sigma])
    assert scipy.stats.binomtest(int(counts[0]), int(counts.sum())).pvalue > 1e-3


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        ValueError, match="kind: 'cauchy' was given, but it must be one of uniform, normal, bell, stratified"
    ):
        paper.slot_machine(distribution=slotjax.distributions.Distribution("cauchy", lambda shape: 1.0))


def test_fans_of_a_vector_are_refused():
    with pytest.raises(ValueError, match=r"two or more dimensions, but its shape is \(3,\)"):
        slotjax.distributions.glorot_uniform().scale((3,))


def test_options_of_a_connection_are_independent():
    options = slotjax.options.draw_options(jax.random.key(0), 2, (200, 200), jnp.float32, initializers.uniform(1.0))
    table = np.histogram2d(*np.asarray(options).reshape(2, -1), bins=8)[0]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "scale"), [((784, 300), 0.1), ((3, 3, 64, 128), 1.0)])
def test_initial_scores_are_uniform_up_to_lambda_sigma(shape, scale):
    limit = scale * slotjax.distributions.glorot_uniform().scale(shape)
    scores = paper.slot_machine(k=2).init(jax.random.key(0), jnp.zeros(shape))["params"]
    assert scipy.stats.kstest(np.ravel(scores), scipy.stats.uniform(0, limit).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_initial_scores_and_options_of_one_key_are_independent():
    key, shape = jax.random.key(0), (400, 400)
    options = slotjax.options.draw_options(key, 1, shape, jnp.float32, slotjax.distributions.glorot_uniform())
    scores = slotjax.options.initial_scores(key, 1, shape, jnp.float32, 0.1)
    table = np.histogram2d(np.ravel(options), np.ravel(scores), bins=16)[0]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.slow
def test_initial_scores_of_a_plain_initializer_scale_with_what_it_draws():
    selector = paper.slot_machine(k=4, distribution=initializers.normal(0.05), score_scale=2.0)
    scores = selector.init(jax.random.key(0), jnp.zeros((200, 200)))["params"]
    assert float(scores.max()) == pytest.approx(2 * 0.05, rel=0.02)


@pytest.mark.slow
def test_initial_scores_are_independent_of_options():
    variables = paper.slot_machine(k=1).init(jax.random.key(0), jnp.zeros((200, 200)))
    correlation = scipy.stats.pearsonr(np.ravel(variables["params"]), np.ravel(variables["frozen"]["options"]))
    assert correlation.pvalue > 1e-3


def test_shared_options_have_the_0_of_a_sparse_network():
    source = slotjax.options.FromLayer(4, slotjax.distributions.glorot_normal(), zero=True)
    options = np.asarray(source.init(jax.random.key(0), jnp.zeros((3, 2)))["options"])
    assert options[0] == 0
    assert options[1:].all()


def test_no_times_a_negative_value_is_positive_zero():
    options = Multiples(Stored(jnp.array([[-2.0]]), zero=True), 3)
    assert not np.signbit(options.at(jnp.array([0]))).any()
