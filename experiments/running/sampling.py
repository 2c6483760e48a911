"""Text from a network that predicts bytes."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, UInt8

from slotjax import training


def sample(apply: training.Apply, weights: PyTree, context: int, prompt: bytes, count: int, key: PRNGKeyArray) -> bytes:
    """So many bytes that follow a prompt, each drawn with the probability that the network gives to it.

    Args:
        apply: the network, from weights, batch statistics and texts to logits.
        weights: that it takes.
        context: how many bytes it sees at once; of what came before, the last ones.
        prompt: at least one byte.
        count: bytes to draw.
        key: decides them.

    >>> next_one = lambda weights, batch_stats, text: (100.0 * jax.nn.one_hot(text + 1, 256), batch_stats)
    >>> sample(next_one, {}, 4, b"a", 5, jax.random.key(0))
    b'bcdef'
    """
    seen = np.frombuffer(prompt[-context:], np.uint8)
    text = jnp.zeros(context, jnp.uint8).at[: len(seen)].set(seen)

    @jax.jit
    def draw(weights: PyTree) -> UInt8[Array, " count"]:
        def step(state: tuple[Array, Int[Array, ""]], key: PRNGKeyArray) -> tuple[tuple[Array, Array], Array]:
            text, length = state
            logits, _ = apply(weights, {}, text[None])
            drawn = jax.random.categorical(key, logits[0, length - 1]).astype(jnp.uint8)
            # A full window moves on by one byte.
            moved = jnp.where(length == context, jnp.roll(text, -1), text)
            place = jnp.minimum(length, context - 1)
            return (moved.at[place].set(drawn), place + 1), drawn

        return jax.lax.scan(step, (text, jnp.asarray(len(seen), jnp.int32)), jax.random.split(key, count))[1]

    return np.asarray(draw(weights)).tobytes()


def shown(text: bytes) -> str:
    """A text as it may be printed: a terminal obeys some characters.

    >>> print(shown(bytes([97, 27, 98])))
    a<1b>b
    """
    decoded = text.decode("utf-8", "replace")
    return "".join(one if one.isprintable() or one in "\n\t" else f"<{ord(one):02x}>" for one in decoded)
