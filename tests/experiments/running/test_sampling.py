"""Text that a network writes, byte by byte."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments import evaluate
from experiments.running.sampling import sample, shown


def longest_ago(weights, batch_stats, text):
    """Surely the byte that was seen first, of those that are in the window up to each place."""
    return 100 * jax.nn.one_hot(jnp.broadcast_to(text[:, :1], text.shape), 256), batch_stats


@pytest.mark.parametrize(("prompt", "expected"), [(b"a", b"aaaaaa"), (b"abc", b"aabcaa"), (b"xyzabcd", b"abcdab")])
def test_a_window_moves_on_when_it_is_full(prompt, expected):
    assert sample(longest_ago, {}, 4, prompt, 6, jax.random.key(0)) == expected


def test_bytes_are_drawn_with_their_probabilities():
    def apply(weights, batch_stats, text):
        return jnp.broadcast_to(weights, (*text.shape, 256)), batch_stats

    weights = jnp.full(256, -jnp.inf).at[jnp.array([65, 66])].set(jnp.log(jnp.array([0.9, 0.1])))
    text = sample(apply, weights, 4, b"a", 2000, jax.random.key(0))
    assert set(text) == {65, 66}
    assert text.count(b"B") / 2000 == pytest.approx(0.1, abs=0.03)
    assert sample(apply, weights, 4, b"a", 50, jax.random.key(0)) != sample(
        apply, weights, 4, b"a", 50, jax.random.key(1)
    )


def test_what_a_terminal_would_obey_is_not_printed():
    assert shown(b"a\tb\n\x1b[2J\xff") == "a\tb\n<1b>[2J\N{REPLACEMENT CHARACTER}"


def test_an_empty_prompt_is_refused_before_the_ticket_is_opened():
    with pytest.raises(ValueError, match="--prompt: '' was given, but it must have at least one character"):
        evaluate.write(Path("none"), 5, "", 0)
