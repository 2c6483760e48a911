"""Stratified options: in order, each at random in its part, and the nearest one found without drawing the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

import slotjax
from slotjax.distributions import Distribution, own_scale
from slotjax.options import Seeded

SEED, STRATIFIED = jnp.array([3, 4], jnp.uint32), own_scale("stratified")


def stratified(k, shape, sigma=1.0, dtype=jnp.float32):
    return Seeded(SEED, k, "stratified", sigma, shape, jnp.dtype(dtype))


def mixed(word):
    word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
    return word ^ (word >> 16)


@pytest.mark.parametrize("k", [1, 2, 3, 12, 1000, 4096])
def test_each_option_is_in_its_part_as_numpy_computes_it(k):
    units = np.asarray(stratified(k, (50,), 2.0**19).values(), np.int64) + 2**19
    connection = np.asarray(slotjax.options.connection_words(SEED, (50,)))
    number = np.arange(k, dtype=np.uint32)[:, None]
    random = mixed(connection ^ (number * np.uint32(0x9E3779B9)))
    np.testing.assert_array_equal(units, (number.astype(np.int64) * 2**20 + (random >> 12)) // k)
    assert (np.diff(units, axis=0) >= 0).all()
    assert (units * k >= number * 2.0**20 - k).all()
    assert (units * k < (number + 1) * 2.0**20).all()


def test_within_its_part_an_option_is_uniform_and_independent_of_the_others():
    values = np.asarray(stratified(4, (300, 200)).values())
    within = (values + 1) * 2 - np.arange(4)[:, None, None]
    assert scipy.stats.kstest(within.ravel(), scipy.stats.uniform().cdf).pvalue > 1e-3
    neighbours = (within[0], within[1]), (within[2], within[3]), (within[:, 1:], within[:, :-1])
    for one, other in (*neighbours, (within[:, :, 1:], within[:, :, :-1]), (within[0], within[3])):
        table = np.histogram2d(one.ravel(), other.ravel(), bins=8)[0]
        assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@settings(max_examples=30)
@given(
    st.sampled_from([2, 3, 7, 64, 4096]),
    st.lists(st.floats(-2.0, 2.0, width=32) | st.sampled_from([0.0, -1.0, 1.0, 1e30, -1e30]), min_size=6, max_size=6),
)
def test_the_nearest_is_the_nearest_of_all(k, latent):
    options, value = stratified(k, (6,), 0.75), np.asarray(latent, np.float32)
    index, bits = jax.jit(lambda value: options.one_by_one(jnp.float32).nearest(value))(value)
    all_values = np.asarray(options.values(), np.float64)
    distance = np.abs(all_values - value)
    np.testing.assert_array_equal(options.one_by_one(jnp.float32).option(index, bits), options.at(index))
    chosen = np.take_along_axis(distance, np.asarray(index)[None], 0)[0]
    np.testing.assert_allclose(chosen, distance.min(0), rtol=1e-6, atol=1e-7)
    outside = np.abs(value) > 0.75
    np.testing.assert_array_equal(np.asarray(index)[outside], np.where(value > 0, options.k - 1, 0)[outside])


def test_the_nearest_is_exact_in_float64(x64):
    options, random = stratified(12, (200, 50), 0.3, jnp.float64), np.random.default_rng(0)
    for value in (random.uniform(-0.4, 0.4, (200, 50)), np.asarray(options.numbered(5))):
        index, _ = options.one_by_one(jnp.float64).nearest(jnp.asarray(value))
        np.testing.assert_array_equal(index, np.abs(np.asarray(options.values()) - value).argmin(0))


def test_of_two_that_are_as_near_it_is_the_first():
    options = stratified(12, (500,), 2.0**19)  # so that options are integers, and their means exact
    for number in (0, 5, 10):
        middle = (options.numbered(number) + options.numbered(number + 1)) / 2
        np.testing.assert_array_equal(options.one_by_one(jnp.float32).nearest(middle)[0], number)


def test_at_the_edges_of_parts_too():
    k, shape = 5, (1000,)
    options = stratified(k, shape)
    units = np.asarray(options.values())
    for edge in np.arange(k + 1) * 2 / k - 1:
        for value in (np.nextafter(np.float32(edge), np.float32(-2)), np.float32(edge), np.float32(edge + 1e-7)):
            index, _ = options.one_by_one(jnp.float32).nearest(jnp.full(shape, value))
            distance = np.abs(units.astype(np.float64) - float(value))
            chosen = np.take_along_axis(distance, np.asarray(index)[None], 0)[0]
            np.testing.assert_allclose(chosen, distance.min(0), atol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_slot_machine_selects_the_nearest_with_the_gradient_of_the_weight(dtype):
    selector = slotjax.slot_machine(12, distribution=own_scale("stratified"))
    params = {"kernel": (0.05 * jax.random.normal(jax.random.key(0), (30, 20))).astype(dtype)}
    variables = selector.init(jax.random.key(1), params)
    u, sigma = np.asarray(variables["params"]["kernel"]["u"]), float(variables["frozen"]["kernel"]["sigma"])
    assert float(u.std()) == pytest.approx(sigma, rel=0.1)  # it starts as wide as the weight
    options = np.asarray(selector.codebooks(variables)["kernel"].options.values(), np.float64)
    assert np.abs(options).max() == pytest.approx(np.sqrt(12) * sigma, rel=0.05)
    weight, pull = jax.vjp(lambda params: selector.select(variables | {"params": params}), variables["params"])
    np.testing.assert_array_equal(
        weight["kernel"], np.take_along_axis(options, selector.selection(variables)["kernel"][None], 0)[0]
    )
    step = float(jnp.finfo(dtype).eps) * np.abs(options).max()
    distance = np.abs(np.asarray(weight["kernel"], np.float64) - u)
    np.testing.assert_allclose(distance, np.abs(options - u).min(0), atol=step)
    (gradient,) = pull({"kernel": jnp.full_like(weight["kernel"], 3.0)})
    assert (float(gradient["kernel"]["u"].min()), float(gradient["kernel"]["u"].max())) == (3.0, 3.0)
    nan = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), variables["params"])
    assert np.isnan(np.asarray(selector.select(variables | {"params": nan})["kernel"], np.float32)).all()


def test_a_step_is_the_same_program_whatever_k_is():
    def operations(k):
        selector = slotjax.slot_machine(k, distribution=Distribution("stratified", lambda shape: 0.5))
        variables = selector.init(jax.random.key(0), jax.ShapeDtypeStruct((8, 4), jnp.float32))
        return jax.jit(selector.select).lower(variables).as_text().count("\n")

    assert operations(3) == operations(4096)


@pytest.mark.parametrize("scores", ["explicit", "factored"])
@pytest.mark.parametrize("options", ["seeded", "stored"])
def test_every_form_of_a_slot_machine_selects_the_same(options, scores):
    distribution = Distribution("stratified", lambda shape: 0.5)
    selector = slotjax.slot_machine(12, options=options, scores=scores, distribution=distribution)
    variables = selector.init(jax.random.key(0), jax.ShapeDtypeStruct((30, 20), jnp.float32))
    usual = slotjax.slot_machine(12, distribution=distribution)
    expected = usual.select(usual.init(jax.random.key(0), jax.ShapeDtypeStruct((30, 20), jnp.float32)))
    np.testing.assert_array_equal(selector.select(variables), expected)


def test_exact_scores_start_from_the_same_choice():
    params = {"kernel": jax.random.normal(jax.random.key(0), (30, 20))}
    latent, exact = (slotjax.slot_machine(64, distribution=STRATIFIED, exact=one) for one in (False, True))
    weights = [selector.select(selector.init(jax.random.key(1), params))["kernel"] for selector in (latent, exact)]
    assert np.mean(np.asarray(weights[0]) == weights[1]) > 0.995  # of options as near, rounding decides


def test_given_weights_start_from_the_option_nearest_to_them():
    params = {"kernel": jax.random.normal(jax.random.key(0), (30, 20))}
    selector = slotjax.slot_machine(64, initial="given", distribution=STRATIFIED)
    variables = selector.init(jax.random.key(1), params)
    distance = np.abs(selector.codebooks(variables)["kernel"].options.values() - params["kernel"][None])
    chosen = np.abs(selector.select(variables)["kernel"] - params["kernel"])
    np.testing.assert_allclose(chosen, distance.min(0), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: slotjax.slot_machine(1, distribution=STRATIFIED),
            "distribution: .* of 2 to 4,096 options, and k is 1$",
        ),
        (lambda: slotjax.slot_machine(4097, distribution=STRATIFIED), "distribution: .* and k is 4097$"),
        (lambda: slotjax.slot_machine(4, initial="uniform", distribution=STRATIFIED), "initial: 'uniform' was given"),
        (lambda: slotjax.slot_machine(4, sparse=True, distribution=STRATIFIED), "sparse: True was given"),
        (
            lambda: slotjax.edge_popup(distribution=STRATIFIED),
            "distribution: .* it is only for slot machines of 2 to 4,096 options$",
        ),
        (
            lambda: slotjax.supermask(distribution=STRATIFIED),
            "distribution: .* it is only for slot machines of 2 to 4,096 options$",
        ),
        (
            lambda: slotjax.biprop(distribution=STRATIFIED),
            "distribution: .* it is only for slot machines of 2 to 4,096 options$",
        ),
        (
            lambda: slotjax.multicoat([0.5], distribution=STRATIFIED),
            "distribution: .* it is only for slot machines of 2 to 4,096 options$",
        ),
        (lambda: slotjax.learned(STRATIFIED), "distribution: .* it is only for slot machines of 2 to 4,096 options$"),
        (
            lambda: slotjax.random_selection(STRATIFIED),
            "distribution: .* it is only for slot machines of 2 to 4,096 options$",
        ),
        (
            lambda: slotjax.partly_frozen(slotjax.slot_machine(4, distribution=STRATIFIED), 0.1, 0.2),
            "kept: 0.2 was given, but with stratified options it must be 0",
        ),
    ],
)
def test_where_they_do_not_fit_one_sentence_says_so(make, message):
    with pytest.raises(ValueError, match=message):
        make()
