"""Where the scores of a slot machine start from: at random, or such that the nearest option is the first choice."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options import (
    STRATIFIED,
    Initializer,
    Seeded,
    at_least_float32,
    draw_seed,
    dtype_of,
    initial_scores,
    limit_of,
    sigma_at_init,
)

Initial = Literal["uniform", "nearest", "given"]
CENTRE = 2**31 - 1  # the number of the draw that initial scores are nearest to, past all options


@dataclasses.dataclass(frozen=True)
class InitialScores:
    """How initial scores are drawn.

    Attributes:
        initial: `"uniform"`, `"nearest"` or `"given"`.
        distribution: of the options.
        score_scale: lambda, of uniform ones. None: 0.1 for weights of two dimensions and 1 for more, and 1 for all if
            sigma is a weight's own.
        shared: whether connections share their options.
        sparse: whether option 0 is 0.
        network_sigma: sigma of all weights, if they share their options.
    """

    initial: Initial
    distribution: Distribution | Initializer
    score_scale: float | None
    shared: bool
    sparse: bool
    network_sigma: Any = None

    def draw(self, key: PRNGKeyArray, leaf: Any, options: Float[Array, "k *options"]) -> Float[Array, "k *shape"]:
        """The initial scores of a weight with these options."""
        dtype = scores_dtype(leaf)
        if self.initial != "uniform":
            return nearest_scores(self.centre(key, leaf), options)
        limit = self.limit(leaf.shape, self._sigma(leaf, dtype, options))
        return initial_scores(key, options.shape[0], leaf.shape, dtype, limit)

    def limit(self, shape: tuple[int, ...], sigma: Any) -> Any:
        """The largest of uniform initial scores, lambda sigma."""
        default = 0.1 if len(shape) <= 2 and not self._is_own else 1.0
        return (default if self.score_scale is None else self.score_scale) * sigma

    def centre(self, key: PRNGKeyArray, leaf: Any) -> Float[Array, "*shape"]:
        """The value to which the first choice is nearest: the weight that was given, or one more draw.

        Raises:
            ValueError: for a shape in place of a weight.
        """
        dtype = scores_dtype(leaf)
        if self.initial == "given":
            if isinstance(leaf, jax.ShapeDtypeStruct):
                raise ValueError("initial='given' starts from its values, but only its shape is known")
            return jnp.array(leaf, dtype)  # a copy, so that who donates what trains takes nothing from the caller
        if isinstance(self.distribution, Distribution):
            kind, scale = centre_kind(self.distribution.kind), self._scale(leaf)
            return Seeded(draw_seed(key), CENTRE, kind, scale, leaf.shape, dtype).numbered(CENTRE)
        return self.distribution(jax.random.fold_in(key, CENTRE), leaf.shape, dtype)

    def sigma(self, leaf: Any) -> Any:
        """What initial scores are proportional to: what the distribution says, or the deviation that was measured."""
        assert isinstance(self.distribution, Distribution), "checked by slot_machine"
        if self.network_sigma is not None:
            return self.network_sigma
        own = sigma_at_init(self.distribution, leaf)
        return self.distribution.scale(leaf.shape) if own is None else own

    @property
    def _is_own(self) -> bool:
        return isinstance(self.distribution, Distribution) and self.distribution.is_own

    def _scale(self, leaf: Any) -> Any:
        assert isinstance(self.distribution, Distribution), "checked by centre"
        sigma = self.sigma(leaf)
        return limit_of(self.distribution.kind, sigma) if self._is_own else sigma

    def _sigma(self, leaf: Any, dtype: DTypeLike, options: Array) -> float | Float[Array, ""]:
        """For an initializer, the root mean square of the options."""
        if isinstance(self.distribution, Distribution):
            return jnp.asarray(self.sigma(leaf), dtype) if self.shared else self.sigma(leaf)
        drawn = options[1:] if self.sparse else options
        return jnp.sqrt(jnp.mean(jnp.square(drawn.astype(jnp.float32))))


def centre_kind(kind: str) -> str:
    """The kind of the draw that initial scores are nearest to: that of the options, or a bell of the same range."""
    return "bell" if kind == STRATIFIED else kind


def scores_dtype(leaf: Any) -> jnp.dtype:
    """The dtype of a weight's scores: its own, or float32 for half precision."""
    return at_least_float32(dtype_of(leaf))


def nearest_scores(centre: Float[Array, "*shape"], options: Float[Array, "k *options"]) -> Float[Array, "k *shape"]:
    """`c W - W^2 / 2`: the score is largest for the option nearest to `c`, and stays so for `c + u / a` in training."""
    return jax.vmap(lambda option: option * (centre - option / 2))(options.astype(centre.dtype))
