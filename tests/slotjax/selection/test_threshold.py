"""The search for a threshold: exact for any values, any count and any first guess."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax.selection.threshold import narrowest

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


def test_64_bits(x64):
    keys = jnp.asarray(RANDOM.integers(0, 2**63 - 1, 101))
    found = narrowest([keys], 50, jnp.int64(0), octave=2.0**52)
    assert found.low.dtype == jnp.int64
    assert int(found.reach_low) == int((keys >= found.low).sum()) == 50
