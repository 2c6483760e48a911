"""Options and initial scores: the frozen random values of each connection and where training starts from."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn.initializers import variance_scaling
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

Initializer = Callable[..., Array]


class Distribution(NamedTuple):
    """A distribution of random weights together with its scale.

    Attributes:
        draw: `(key, shape, dtype) -> array`, as in `jax.nn.initializers`.
        scale: `shape -> float`, the sigma that initial scores are proportional to: the limit of a uniform
            distribution, the standard deviation of any other.
    """

    draw: Initializer
    scale: Callable[[tuple[int, ...]], float]


def glorot_uniform() -> Distribution:
    """`U(-sigma, sigma)` with `sigma = sqrt(6 / (fan_in + fan_out))`, the limit of Glorot's uniform distribution.

    This is what reproduces the numbers of Aladago & Torresani (2021), and what their released code draws.

    >>> print(round(slotjax.glorot_uniform().scale((300, 100)), 4))
    0.1225
    """
    return Distribution(jax.nn.initializers.glorot_uniform(), lambda shape: math.sqrt(6 / _fans(shape)))


def glorot_deviation() -> Distribution:
    """`U(-sigma, sigma)` with `sigma = sqrt(2 / (fan_in + fan_out))`, the deviation of Glorot's normal distribution.

    This is section 4.1 of Aladago & Torresani (2021) taken literally. Options this small lose several points of
    accuracy at small K.

    >>> print(round(slotjax.glorot_deviation().scale((300, 100)), 4))
    0.0707
    """
    draw = variance_scaling(1 / 3, "fan_avg", "uniform")
    return Distribution(draw, lambda shape: math.sqrt(2 / _fans(shape)))


def draw_options(
    key: PRNGKeyArray, k: int, shape: tuple[int, ...], dtype: DTypeLike, draw: Initializer
) -> Float[Array, "k *shape"]:
    """K independent draws of one weight tensor: `draw` sees `shape`, never `(K, *shape)`, whose fans are wrong.

    Args:
        key: one key. The first options are the same for every K.
        k: number of options per connection.
        shape: shape of the weight.
        dtype: dtype of the options.
        draw: an initializer in the manner of `jax.nn.initializers`.

    Returns:
        `(k, *shape)` options.

    >>> slotjax.draw_options(jax.random.key(0), 8, (300, 100), jnp.float32, jax.nn.initializers.he_normal()).shape
    (8, 300, 100)
    """
    keys = jax.vmap(lambda option: jax.random.fold_in(key, option))(jnp.arange(k))
    return jax.vmap(lambda option_key: draw(option_key, shape, dtype))(keys)


def initial_scores(
    key: PRNGKeyArray, k: int, shape: tuple[int, ...], dtype: DTypeLike, limit: float | Float[Array, ""]
) -> Float[Array, "k *shape"]:
    """Scores before training, `U(0, limit)`; the paper's limit is `lambda sigma` (section 4.1).

    Args:
        key: one key. The scores of the first options are the same for every K.
        k: number of options per connection.
        shape: shape of the weight.
        dtype: dtype of the scores.
        limit: largest initial score.

    Returns:
        `(k, *shape)` scores.

    >>> slotjax.initial_scores(jax.random.key(0), 8, (300, 100), jnp.float32, 0.1).shape
    (8, 300, 100)
    """
    unit = draw_options(key, k, shape, dtype, jax.nn.initializers.uniform(1.0))
    return unit * jnp.asarray(limit, dtype)


def options_scale(
    distribution: Distribution | Initializer, options: Float[Array, "k *shape"]
) -> float | Float[Array, ""]:
    """Sigma of drawn options: what the distribution says, or for a plain initializer their root mean square."""
    if isinstance(distribution, Distribution):
        return distribution.scale(options.shape[1:])
    return jnp.sqrt(jnp.mean(jnp.square(options.astype(jnp.float32))))


def _fans(shape: tuple[int, ...]) -> int:
    """`fan_in + fan_out` of a weight whose last two dimensions are input and output, as in `jax.nn.initializers`."""
    return math.prod(shape[:-2]) * (shape[-2] + shape[-1])
