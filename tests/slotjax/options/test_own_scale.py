"""The own scale of a weight: the deviation of the values that it is given, the same however it is summed."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from jax.sharding import NamedSharding, PartitionSpec

import slotjax
from slotjax.options import Seeded, connection_words, generator, own_sigma, rounded, varies_about_zero

SHAPES = [(2, 2), (3, 5), (20, 30), (2, 3, 4, 5)]


def rounded_deviation(values):
    mantissa, exponent = np.frexp(np.std(np.asarray(values, np.float64)))
    return np.ldexp(np.round(mantissa * 256), exponent - 8)


@pytest.mark.slow
@given(
    st.sampled_from(SHAPES).flatmap(
        lambda shape: arrays.arrays(np.float32, shape, elements=st.floats(-100, 100, width=32), unique=True)
    ),
    st.integers(-60, 60),
)
def test_it_is_the_standard_deviation_in_eight_bits(values, exponent):
    scaled = np.ldexp(values, exponent)
    assert float(own_sigma(scaled)) == pytest.approx(np.std(scaled.astype(np.float64)), rel=2**-8 + 1e-3)


@pytest.mark.quick("shape0")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_has_eight_bits(shape):
    for seed in range(5):
        values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        assert float(own_sigma(values)) == rounded_deviation(values)


@pytest.mark.slow
def test_no_order_sharding_or_compilation_changes_it():
    values = jax.random.normal(jax.random.key(0), (16, 40)) + 0.3
    mesh = jax.make_mesh((4,), ("x",))
    sigma = own_sigma(values)
    permuted = np.random.default_rng(0).permutation(np.asarray(values).ravel()).reshape(40, 16)
    sharded = [jax.device_put(values, NamedSharding(mesh, PartitionSpec(*axes))) for axes in (("x",), (None, "x"))]
    others = [own_sigma(permuted), jax.jit(own_sigma)(values), *map(own_sigma, sharded)]
    others += [jax.vmap(own_sigma)(jnp.stack([values, 2 * values]))[0]]
    assert {float(other) for other in others} == {float(sigma)}


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 1.0, np.inf, np.nan])
def test_a_constant_has_none(value):
    with pytest.raises(ValueError, match="all equal or not finite"):
        own_sigma(jnp.full((3, 2), value))
    assert np.isnan(jax.jit(own_sigma)(jnp.full((3, 2), value)))


def test_gains_and_zeros_do_not_vary_about_zero():
    noise = 0.1 * jax.random.normal(jax.random.key(0), (30, 20))
    assert varies_about_zero(noise)
    assert not any(map(varies_about_zero, (jnp.ones((3, 2)), jnp.zeros((3, 2)), 1 + noise)))


@pytest.mark.quick("slot_machine-bell", "supermask-signed_constant")
@pytest.mark.parametrize("kind", ["uniform", "bell", "normal", "signed_constant"])
@pytest.mark.parametrize("make", [slotjax.slot_machine, slotjax.edge_popup, slotjax.supermask])
def test_random_values_have_it_whatever_their_kind(make, kind):
    kernel = 0.3 * jax.random.normal(jax.random.key(0), (80, 70))
    selector = make(distribution=slotjax.distributions.own_scale(kind))
    variables = selector.init(jax.random.key(1), {"kernel": kernel})
    book = selector.codebooks(variables)["kernel"].options
    last = book.numbered(book.k - 1)
    assert float(last.std()) == pytest.approx(float(kernel.std()), rel=0.03)
    assert float(variables["frozen"]["kernel"]["sigma"]) == rounded_deviation(kernel)


def test_initial_scores_have_it_too():
    kernel = 0.3 * jax.random.normal(jax.random.key(0), (80, 70))
    sigma = rounded_deviation(kernel)
    machine = slotjax.slot_machine(4, scores="explicit", initial="uniform")
    scores = machine.init(jax.random.key(1), {"kernel": kernel})["params"]["kernel"]
    mask = slotjax.edge_popup().init(jax.random.key(1), {"kernel": kernel})["params"]["kernel"]
    for values, low in ((scores, 0), (mask, -sigma)):
        assert low <= float(values.min()) < low + 0.01 * sigma
        assert 0.99 * sigma < float(values.max()) <= sigma


@pytest.mark.slow
def test_a_scaled_distribution_of_the_own_scale():
    distribution = slotjax.distributions.scaled_for(0.25, slotjax.distributions.own_scale("signed_constant"))
    kernel = jax.random.normal(jax.random.key(0), (8, 4))
    variables = slotjax.edge_popup(0.25, distribution=distribution).init(jax.random.key(1), {"kernel": kernel})
    np.testing.assert_array_equal(np.abs(variables["frozen"]["kernel"]["weight"]), 2 * rounded_deviation(kernel))


@pytest.mark.slow
def test_a_factor_widens_the_options_and_nothing_else():
    weight = jax.random.normal(jax.random.key(0), (64, 32))
    twice, once = (
        slotjax.slot_machine(k=2, distribution=slotjax.distributions.own_scale("normal", factor)).init(
            jax.random.key(1), weight
        )["frozen"]
        for factor in (2.0, 1.0)
    )
    assert twice["sigma"] == 2 * once["sigma"]
    np.testing.assert_array_equal(twice["seed"], once["seed"])


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_a_factor_is_a_positive_number(factor):
    with pytest.raises(ValueError, match=f"factor: {factor} was given, but it must be a number above 0"):
        slotjax.distributions.own_scale(factor=factor)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_seeded_options_of_half_precision_are_those_of_float32_rounded_to_even(dtype):
    seed, shape = jnp.array([1, 2], jnp.uint32), (300, 20)
    make = lambda dtype: Seeded(seed, 4, "uniform", 2e-3, shape, jnp.dtype(dtype)).values()  # noqa: E731
    expected = np.asarray(make("float32")).astype(jnp.dtype(dtype))
    np.testing.assert_array_equal(jax.jit(lambda: make(dtype))(), expected)
    small = np.ldexp(np.arange(-2049, 2049, dtype=np.float32), -26)  # subnormal in float16, and ties
    np.testing.assert_array_equal(jax.jit(rounded, static_argnums=1)(small, dtype), small.astype(jnp.dtype(dtype)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_selects_alike_stored_and_seeded(dtype):
    params = {"kernel": jax.random.normal(jax.random.key(0), (40, 30)).astype(dtype)}
    made = []
    for options in ("seeded", "stored"):
        selector = slotjax.slot_machine(8, options=options)
        variables = selector.init(jax.random.key(1), params)
        weights = jax.jit(selector.select)(variables)
        assert weights["kernel"].dtype == dtype
        assert variables["params"]["kernel"]["u"].dtype == jnp.float32
        made.append(weights["kernel"])
    np.testing.assert_array_equal(*made)


@pytest.mark.slow
def test_connections_past_two_to_the_32_have_words_of_their_own():
    seed = jnp.array([3, 4], jnp.uint32)
    here = np.asarray(connection_words(seed, (6,), offset=2**32 - 3))
    np.testing.assert_array_equal(here[:3], connection_words(seed, (3,), offset=2**32 - 3))
    np.testing.assert_array_equal(here[3:], connection_words(seed, (3,), offset=2**32))
    assert not np.array_equal(here[3:], connection_words(seed, (3,)))
    tile = connection_words(seed, (2, 3), offset=5 * 2**33 + 7)
    np.testing.assert_array_equal(tile.ravel(), connection_words(seed, (6,), offset=5 * 2**33 + 7))
    whole = jax.eval_shape(lambda: connection_words(seed, (2**20, 2**20)))
    assert whole.shape == (2**20, 2**20)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_numbers_of_two_words_are_products(word, factor):
    low, high = generator._product(jnp.array([word], jnp.uint32), factor)
    assert (int(high[0]) << 32) + int(low[0]) == word * factor % 2**64


@pytest.mark.slow
def test_a_wide_tensor_is_numbered_by_rows():
    wide = generator._numbers((3, 5), 2**32 - 4)
    expected = np.arange(2**32 - 4, 2**32 + 11, dtype=np.uint64).reshape(3, 5)
    np.testing.assert_array_equal(wide[0], expected & 0xFFFFFFFF)
    np.testing.assert_array_equal(wide[1], expected >> 32)


def test_a_factor_of_the_own_scale_stays_in_a_wider_network():
    wider = slotjax.distributions.scaled_for(0.25, slotjax.distributions.own_scale("normal", 3.0))
    assert wider.scale.factor == 6


@pytest.mark.parametrize("shape", [(8, 1), (2, 3), (5, 5), (40, 2)])
def test_few_values_are_not_left_out_by_chance(shape):
    random = np.random.default_rng(0)
    drawn = random.normal(size=(300, *shape)).astype("f")
    assert np.mean([bool(varies_about_zero(jnp.asarray(one))) for one in drawn]) > 0.99
    assert not any(bool(varies_about_zero(jnp.asarray(1 + 0.1 * one))) for one in drawn)
