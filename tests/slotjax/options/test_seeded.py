"""The counter-based generator: known answers, statistics, and where it refuses."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from slotjax.options import generator as seeded
from tests import reference

SEEDS = [(0, 0), (1, 0), (0, 1), (0xFFFFFFFF, 0xFFFFFFFF), (0x12345678, 0x9ABCDEF0)]

all_bits = jax.jit(seeded.all_bits, static_argnums=(1, 2))


def bits(seed, k, shape):
    return np.asarray(all_bits(jnp.array(seed, jnp.uint32), k, shape))


def test_known_answers():
    """Literals, so that no change of JAX, device or code goes unnoticed: tickets hold nothing but the seed."""
    expected = [[0x550A4C2C, 0x5A964C92, 0xFA19790F], [0x53FC3CE9, 0x8C124E9D, 0x521B3F6B]]
    np.testing.assert_array_equal(bits((1, 2), 2, (3,)), np.array(expected, np.uint32))
    digest = hashlib.sha256(bits(SEEDS[4], 5, (100, 70)).astype("<u4").tobytes()).hexdigest()
    assert digest == "d91dff12f3fcb9b2fc8e236640d611116563c3c9279da89f797461f6e2867ac1"


@pytest.mark.parametrize("seed", SEEDS)
def test_bits_are_those_of_the_numpy_transcription(seed):
    np.testing.assert_array_equal(bits(seed, 9, (7, 5)), reference.random_bits(seed, 9, (7, 5)))


def test_the_quantile_table_is_the_same_everywhere():
    table = seeded._half_normal_quantiles()
    assert (
        hashlib.sha256(table.astype("<f8").tobytes()).hexdigest()
        == "67b829c1a4d60022ed1294324e734ba9861d63d4bcf7f689f2e82b56958d6332"
    )
    exact = scipy.stats.norm.ppf(0.5 + (np.arange(4096) + 0.5) / 8192) * 2**16
    np.testing.assert_array_equal(table * 2**16, np.round(exact))
    # No entry is so near to a tie that the last bit of another logarithm would round it the other way.
    assert np.abs(exact % 1 - 0.5).min() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("half", ["option", "score"])
def test_halves_are_uniform(seed, half):
    values = split(bits(seed, 8, (200_000,)))[half]
    for option in values:
        assert 0 <= option.min() <= option.max() < 2**20
        assert scipy.stats.chisquare(np.bincount(option >> 10, minlength=1024)).pvalue > 1e-4
        assert scipy.stats.chisquare(np.bincount(option & 0x3FF, minlength=1024)).pvalue > 1e-4


@pytest.mark.quick("seed0")
@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_are_independent(seed):
    """Across options, neighbouring connections, tensors, and between options and initial scores."""
    here, there = split(bits(seed, 8, (1 << 18,))), split(bits((seed[0] ^ 1, seed[1]), 8, (1 << 18,)))
    pairs = {}
    for half in ("option", "score"):
        for k in range(1, 8):
            pairs[f"{half} 0 and {k}"] = here[half][0], here[half][k]
        for step in (1, 2, 64, 300):
            pairs[f"{half} {step} connections apart"] = here[half][0][:-step], here[half][0][step:]
        pairs[f"{half} of another tensor"] = here[half][0], there[half][0]
    for k in range(8):
        pairs[f"option 0 and score {k}"] = here["option"][0], here["score"][k]
        pairs[f"score 0 and option {k}"] = here["score"][0], here["option"][k]
    for name, (one, other) in pairs.items():
        for shift in (15, 8, 0):
            table = np.bincount((one >> shift & 31) * 32 + (other >> shift & 31), minlength=1024)
            assert scipy.stats.chisquare(table).pvalue > 1e-5, (name, shift)


def test_three_options_are_independent():
    option = split(bits((3, 4), 16, (1 << 18,)))["option"] >> 17
    for a, b, c in ((0, 1, 2), (0, 5, 10), (13, 14, 15), (1, 2, 4)):
        table = np.bincount(option[a] * 64 + option[b] * 8 + option[c], minlength=512)
        assert scipy.stats.chisquare(table).pvalue > 1e-4


def test_no_two_connections_share_their_word():
    words = np.asarray(seeded.connection_words(jnp.array([1, 2], jnp.uint32), (1000, 300)))
    assert len(np.unique(words)) == words.size


def test_options_do_not_depend_on_k():
    np.testing.assert_array_equal(bits((1, 2), 3, (50,)), bits((1, 2), 64, (50,))[:3])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_numbers_are_uniform(dtype, x64):
    numbers = seeded.uniform_numbers(jnp.array([1, 2], jnp.uint32), (500, 400), jnp.dtype(dtype))
    assert numbers.dtype == dtype
    assert 0 <= numbers.min() <= numbers.max() < 1
    assert scipy.stats.kstest(np.ravel(numbers), "uniform").pvalue > 1e-3
    low = (np.ravel(numbers).astype(np.float64) * 2**24 % 256).astype(np.int64)
    assert scipy.stats.chisquare(np.bincount(low, minlength=256)).pvalue > 1e-3


@jax.jit
def units(bits):
    return seeded._uniform(bits, jnp.float32), seeded.unit_score(bits, jnp.float32)


def split(bits):
    """The 20 bits of options and of initial scores, as integers from 0."""
    option, score = units(jnp.asarray(bits))
    return {"option": np.asarray(option).astype(np.int64) + 2**19, "score": np.asarray(score).astype(np.int64)}
