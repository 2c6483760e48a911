"""The search for a threshold: exact for any values, any count and any first guess."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax.selection import top_masks
from slotjax.selection.threshold import by_sorting, narrowest

SIZE = 999
RANDOM = np.random.default_rng(0)
KEYS = {
    "float bits": np.abs(RANDOM.normal(size=SIZE) * 0.02).astype(np.float32).view(np.int32),
    "evenly": RANDOM.integers(0, 2**31 - 1, SIZE),
    "all octaves": 2.0 ** RANDOM.uniform(0, 31, SIZE),
    "two clusters": np.where(RANDOM.random(SIZE) < 0.5, RANDOM.integers(0, 9, SIZE), 2**31 - 2 - np.arange(SIZE)),
    "few values": RANDOM.choice([0, 1, 7, 2**30, 2**31 - 2], SIZE),
    "equal": np.full(SIZE, 12345),
    "zeros but one": np.eye(1, SIZE)[0] * (2**31 - 2),
    "in a row": np.arange(SIZE),
}


@pytest.fixture(scope="module")
def search():
    return jax.jit(lambda keys, count, guess: narrowest([keys[:600], keys[600:]], count, guess, octave=2.0**23))


@pytest.mark.parametrize("name", KEYS)
def test_the_bracket_is_that_of_sorting(name, search):
    keys = KEYS[name].astype(np.int32)
    for count in (1, 2, 300, 500, SIZE - 1):
        nth = np.sort(keys)[-count]
        for guess in (0, 2**31 - 1, int(nth), 0x3C800000):
            low, high, reach_low, reach_high = map(int, search(keys, jnp.int32(count), jnp.int32(guess)))
            assert (reach_low, reach_high) == (np.sum(keys >= low), np.sum(keys >= high))
            assert reach_high < count <= reach_low
            assert reach_low == count or (low == nth and high == low + 1)


@pytest.fixture(scope="module")
def sort():
    return jax.jit(lambda keys, counts: by_sorting([keys[:600], keys[600:]], counts))


@pytest.mark.parametrize("name", KEYS)
def test_sorting_finds_the_narrowest_bracket(name, sort):
    keys, counts = KEYS[name].astype(np.int32), np.array([1, 2, 300, 500, SIZE - 1], np.int32)
    found = sort(keys, counts)
    nth = np.sort(keys)[-counts]
    np.testing.assert_array_equal(found.low, nth)
    np.testing.assert_array_equal(found.high, nth + 1)
    np.testing.assert_array_equal(found.reach_low, (keys >= nth[:, None]).sum(1))
    np.testing.assert_array_equal(found.reach_high, (keys > nth[:, None]).sum(1))


@pytest.mark.quick("1-float32", "9-float32")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("decimals", [1, 9])  # with many ties, and with none
def test_masks_are_the_same_by_sorting(decimals, dtype, monkeypatch):
    scores = [jnp.asarray(np.round(RANDOM.normal(size=shape), decimals), dtype) for shape in ((30, 7), (11,))]
    expected = jax.jit(lambda scores: top_masks(scores, 0.3))(scores)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *, cuda, rocm, default: cuda())
    for one, other in zip(jax.jit(lambda scores: top_masks(scores, 0.3))(scores), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_64_bits(x64):
    keys = jnp.asarray(RANDOM.integers(0, 2**63 - 1, 101))
    found = narrowest([keys], 50, jnp.int64(0), octave=2.0**52)
    assert found.low.dtype == jnp.int64
    assert int(found.reach_low) == int((keys >= found.low).sum()) == 50
