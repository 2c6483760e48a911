"""Where the scores of a slot machine start from: at random, or such that the nearest option is the first choice."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options import Initializer, Seeded, at_least_float32, draw_seed, dtype_of, initial_scores

Initial = Literal["uniform", "nearest"]
CENTRE = 2**31 - 1  # the number of the draw that initial scores are nearest to, past all options


@dataclasses.dataclass(frozen=True)
class InitialScores:
    """How initial scores are drawn.

    Attributes:
        initial: `"uniform"` or `"nearest"`.
        distribution: of the options.
        score_scale: lambda, of uniform ones. None: 0.1 for weights of two dimensions and 1 for more.
        shared: whether connections share their options.
        sparse: whether option 0 is 0.
    """

    initial: Initial
    distribution: Distribution | Initializer
    score_scale: float | None
    shared: bool
    sparse: bool

    def draw(self, key: PRNGKeyArray, leaf: Any, options: Float[Array, "k *options"]) -> Float[Array, "k *shape"]:
        """The initial scores of a weight with these options."""
        dtype = scores_dtype(leaf)
        if self.initial == "nearest":
            return nearest_scores(self._centre(key, leaf.shape, dtype), options)
        limit = self.limit(leaf.shape, self._sigma(leaf.shape, dtype, options))
        return initial_scores(key, options.shape[0], leaf.shape, dtype, limit)

    def limit(self, shape: tuple[int, ...], sigma: Any) -> Any:
        """The largest of uniform initial scores, lambda sigma."""
        default = 0.1 if len(shape) <= 2 else 1.0
        return (default if self.score_scale is None else self.score_scale) * sigma

    def _centre(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
        if isinstance(self.distribution, Distribution):
            kind, sigma = self.distribution.kind, self.distribution.scale(shape)
            return Seeded(draw_seed(key), CENTRE, kind, sigma, shape, dtype).numbered(CENTRE)
        return self.distribution(jax.random.fold_in(key, CENTRE), shape, dtype)

    def _sigma(self, shape: tuple[int, ...], dtype: DTypeLike, options: Array) -> float | Float[Array, ""]:
        """The scale of the options: what the distribution says, or for an initializer their root mean square."""
        if isinstance(self.distribution, Distribution):
            sigma = self.distribution.scale(shape)
            return jnp.asarray(sigma, dtype) if self.shared else sigma
        drawn = options[1:] if self.sparse else options
        return jnp.sqrt(jnp.mean(jnp.square(drawn.astype(jnp.float32))))


def scores_dtype(leaf: Any) -> jnp.dtype:
    """The dtype of a weight's scores: its own, or float32 for half precision."""
    return at_least_float32(dtype_of(leaf))


def nearest_scores(centre: Float[Array, "*shape"], options: Float[Array, "k *options"]) -> Float[Array, "k *shape"]:
    """`c W - W^2 / 2`: the score is largest for the option nearest to `c`, and stays so for `c + u / a` in training."""
    return jax.vmap(lambda option: option * (centre - option / 2))(options.astype(centre.dtype))
