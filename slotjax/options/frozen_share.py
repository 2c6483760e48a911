"""The connections of a weight that a seed freezes for ever: a share that is 0, and a share that is kept."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from slotjax.options.generator import Seed, connection_words, option_words, random_bits


class FrozenShare(NamedTuple):
    """Which connections are frozen: by 32 random bits of each, those of option 0 of a seed of their own.

    Attributes:
        seed: of the weight, 64 bits.
        pruned: below how many of 2^32 a connection is 0.
        kept: how many of the next are kept.
    """

    seed: Seed
    pruned: int
    kept: int

    def masks(self, shape: tuple[int, ...], like: Any = None) -> tuple[Bool[Array, "*shape"], Bool[Array, "*shape"]]:
        """Which connections are 0, and which are kept, sharded as `like` is."""
        words = option_words(self.seed, jnp.uint32(0))
        bits = random_bits(connection_words(self.seed, shape, like=like), words)
        pruned = bits < jnp.uint32(self.pruned)
        return pruned, (bits < jnp.uint32(self.pruned + self.kept)) & ~pruned

    def description(self) -> dict[str, Any]:
        """What draws it again, for JSON."""
        return {"seed": np.asarray(self.seed).tolist(), "pruned": self.pruned, "kept": self.kept}
