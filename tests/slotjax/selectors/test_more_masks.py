"""Biprop and multicoated supermasks: values and gradients against transcriptions in NumPy, and sums that are exact."""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import distributions
from slotjax.options import total_magnitude
from tests import reference

KEY = jax.random.key(0)
TOLERANCE = {"float32": 2e-6, "bfloat16": 2**-8}
CASES = [  # shapes, fractions, dtypes, and what random weights are drawn from
    ((5, 7), 0.3, "float32", "normal"),
    ((30, 41), 0.9, "float32", "uniform"),
    ((3, 3, 4, 5), 0.5, "bfloat16", "normal"),
    ((2, 3), 1.0, "bfloat16", "constant"),
    ((49, 3), 0.01, "float32", "constant"),
]
DRAWN = {
    "normal": distributions.kaiming_normal(),
    "uniform": distributions.kaiming_uniform(),
    "constant": distributions.signed_kaiming_constant(),
}


def tied_scores(shape, dtype):
    """Scores of which many are equal in magnitude, and some are 0."""
    random = np.random.default_rng(0)
    return np.where(random.random(shape) < 0.1, 0, random.integers(-3, 4, shape) / 2).astype(dtype)


def with_scores(selector, shape, dtype):
    """Variables with tied scores, and the random weight, in float64."""
    variables = selector.init(KEY, jnp.zeros(shape, dtype))
    variables["params"] = jnp.asarray(tied_scores(shape, np.float32))
    return variables


def value_and_gradient(selector, variables, cotangent):
    """What the weights are, and the gradient of the scores, where `cotangent` is that of the weights."""
    select = lambda scores: selector.select(variables | {"params": scores})  # noqa: E731
    weights, pull = jax.jit(lambda scores: jax.vjp(select, scores))(variables["params"])
    return weights, pull(jnp.asarray(cotangent, weights.dtype))[0]


def biprop_in_numpy(scores, weight, fraction):
    mask = reference.top_fraction(scores, fraction)
    alpha = np.abs(weight * mask).sum() / math.floor(fraction * weight.size)
    return alpha * mask * np.sign(weight), weight * np.sign(scores)


def test_seeded_signs_of_a_bell_are_refused():
    with pytest.raises(ValueError, match="distribution: a bell was given, but the seeded signs of biprop are those of"):
        slotjax.biprop(options="seeded", distribution=distributions.own_scale("bell"))


@pytest.mark.quick("shape1-0.9-float32-uniform")
@pytest.mark.parametrize(("shape", "fraction", "dtype", "kind"), CASES)
def test_biprop_equals_its_transcription(shape, fraction, dtype, kind):
    selector = slotjax.biprop(fraction, distribution=DRAWN[kind])
    variables = with_scores(selector, shape, dtype)
    weight, scores = np.asarray(variables["frozen"]["weight"], np.float64), np.asarray(variables["params"])
    cotangent = np.random.default_rng(1).integers(-4, 5, shape)
    expected, slope = biprop_in_numpy(scores, weight, fraction)
    chosen, gradient = value_and_gradient(selector, variables, cotangent)
    assert (chosen.dtype, gradient.dtype) == (jnp.dtype(dtype), jnp.float32)
    np.testing.assert_allclose(np.asarray(chosen, np.float64), expected, rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(np.asarray(gradient, np.float64), cotangent * slope, rtol=1e-6)
    assert len(np.unique(np.abs(np.asarray(chosen, np.float64)))) <= 2  # 0 and alpha
    seeded = slotjax.biprop(fraction, options="seeded", distribution=DRAWN[kind])
    again = seeded.init(KEY, jnp.zeros(shape, dtype)) | {"params": variables["params"]}
    np.testing.assert_array_equal(seeded.select(again), chosen)


@pytest.mark.quick("shape0-fractions0-float32-normal")
@pytest.mark.parametrize(
    ("shape", "fractions", "dtype", "kind"),
    [
        ((5, 7), (0.3,), "float32", "normal"),
        ((30, 41), (0.9, 0.5, 0.49, 0.01), "float32", "uniform"),
        ((3, 3, 4, 5), tuple((7 - coat) / 14 for coat in range(7)), "bfloat16", "normal"),
        ((2, 3), (1.0, 0.5, 0.0), "bfloat16", "constant"),
    ],
)
def test_multicoated_supermasks_equal_their_transcription(shape, fractions, dtype, kind):
    selector = slotjax.multicoat(fractions, distribution=DRAWN[kind])
    variables = with_scores(selector, shape, dtype)
    weight, scores = np.asarray(variables["frozen"]["weight"], np.float64), np.asarray(variables["params"])
    cotangent = np.random.default_rng(1).integers(-4, 5, shape)
    count = sum(reference.top_fraction(scores, fraction).astype(int) for fraction in fractions)
    chosen, gradient = value_and_gradient(selector, variables, cotangent)
    assert (chosen.dtype, gradient.dtype) == (jnp.dtype(dtype), jnp.float32)
    np.testing.assert_array_equal(selector.selection(variables), count)
    np.testing.assert_array_equal(chosen, jnp.asarray(count * weight, jnp.float32).astype(dtype))
    np.testing.assert_allclose(np.asarray(gradient, np.float64), cotangent * weight * np.sign(scores), rtol=1e-6)
    seeded = slotjax.multicoat(fractions, options="seeded", distribution=DRAWN[kind])
    again = seeded.init(KEY, jnp.zeros(shape, dtype)) | {"params": variables["params"]}
    np.testing.assert_array_equal(seeded.select(again), chosen)


@pytest.mark.slow
def test_coats_can_keep_the_variance_of_a_weight():
    fractions = (0.5, 0.3, 0.1)
    scaled = distributions.scaled_for(fractions, distributions.kaiming_normal())
    selector = slotjax.multicoat(fractions, distribution=scaled)
    weights = selector.select(selector.init(KEY, jnp.zeros((60, 80))))
    assert float(jnp.square(weights).mean()) == pytest.approx(2 / 60, rel=0.1)


def test_one_coat_is_edge_popup():
    normal = DRAWN["normal"]
    both = slotjax.edge_popup(0.3, distribution=normal), slotjax.multicoat((0.3,), distribution=normal)
    weights = [selector.select(selector.init(KEY, jnp.zeros((5, 7)))) for selector in both]
    np.testing.assert_array_equal(*weights)


def test_the_sign_of_0_is_0():
    zeros = lambda key, shape, dtype: jnp.array([[0.0, -2.0, 3.0], [1.0, 0.0, -1.0]], dtype)  # noqa: E731
    selector = slotjax.biprop(1.0, distribution=zeros, where=lambda name, leaf: True)
    variables = selector.init(KEY, jnp.zeros((2, 3)))
    np.testing.assert_allclose(selector.select(variables), np.array([[0, -1, 1], [1, 0, -1]]) * 7 / 6, rtol=1e-6)


def test_the_divisor_is_rounded_down_and_what_is_kept_up():
    selector = slotjax.biprop(0.3, distribution=distributions.signed_xavier_constant())
    weights = selector.select(selector.init(KEY, jnp.zeros((5, 7))))
    assert int(jnp.count_nonzero(weights)) == 11
    np.testing.assert_allclose(np.abs(weights).max(), 11 / 10 / math.sqrt(5), rtol=1e-6)


@pytest.mark.quick("uniform")
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_sums_of_magnitudes_do_not_depend_on_the_order(kind):
    random = np.random.default_rng(0)
    values = random.normal(size=(123, 45)) if kind == "normal" else random.uniform(-1e-8, 1e-8, (123, 45))
    values, mask = values.astype(np.float32), random.random((123, 45)) < 0.5
    total = jax.jit(total_magnitude)(jnp.asarray(values), jnp.asarray(mask))
    np.testing.assert_allclose(total, np.abs(values.astype(np.float64))[mask].sum(), rtol=1e-7)
    order = random.permutation(values.size)
    shuffled = (jnp.asarray(array.ravel()[order].reshape(45, 123)) for array in (values, mask))
    assert jax.jit(total_magnitude)(*shuffled) == total
    assert jax.jit(total_magnitude)(jnp.zeros((2, 2)), jnp.ones((2, 2), bool)) == 0


def test_sums_of_so_many_that_bytes_are_carried_in_between(monkeypatch):
    values = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 300)), jnp.float32)
    expected = total_magnitude(values, values > 0)
    monkeypatch.setattr(sys.modules["slotjax.options.deviation"], "_ADDENDS", 100)
    assert jax.jit(lambda: total_magnitude(values, values > 0))() == expected


@pytest.mark.slow
def test_sums_in_double_precision(x64):
    values = np.random.default_rng(0).normal(size=(123, 45))
    total = total_magnitude(jnp.asarray(values), jnp.ones((123, 45), bool))
    np.testing.assert_allclose(total, np.abs(values).sum(), rtol=1e-13)


def test_the_factor_of_rescaled_expected_weights_is_a_constant():
    selector = slotjax.supermask(evaluation="expected", rescale=True)
    variables = selector.init(KEY, jax.random.normal(jax.random.key(1), (8, 6)))
    scores, frozen = variables["params"], variables["frozen"]
    gradient = jax.grad(lambda scores: selector.select({"params": scores, "frozen": frozen}).sum())(scores)
    p = jax.nn.sigmoid(scores)
    np.testing.assert_allclose(gradient, frozen["weight"] * p * (1 - p) / p.mean(), rtol=1e-4)


def test_what_is_kept_with_a_probability_of_a_half_is_kept_at_evaluation():
    variables = slotjax.supermask().init(KEY, jax.random.normal(KEY, (8, 6)))
    assert slotjax.supermask().selection(variables | {"params": jnp.zeros((8, 6))}).all()
