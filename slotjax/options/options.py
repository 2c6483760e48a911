"""Options and initial scores: the frozen random values of each connection and where training starts from.

Both come from the same 32 random bits: the option from the upper 20, the initial score from the upper 20 of a multiple.
Integers become floats by one multiplication with a constant, so the values are the same on every device.
"""

import functools
import statistics
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from slotjax.distributions import Distribution
from slotjax.options.generator import Seed, connection_words, draw_seed, option_words, random_bits

OPTIONS = ("stored", "seeded")
Initializer = Callable[..., Array]
Unit = Callable[[UInt32[Array, "*shape"], DTypeLike], Float[Array, "*shape"]]


def draw_options(
    key: PRNGKeyArray, k: int, shape: tuple[int, ...], dtype: DTypeLike, distribution: Distribution | Initializer
) -> Float[Array, "k *shape"]:
    """K independent draws of one weight tensor.

    Args:
        key: one key. The first options are the same for every K.
        k: number of options per connection.
        shape: shape of the weight.
        dtype: dtype of the options.
        distribution: a `Distribution`, or an initializer in the manner of `jax.nn.initializers`, which is called once
            per option on `shape` (never on `(K, *shape)`, whose fans are wrong).

    Returns:
        `(k, *shape)` options.

    >>> options.draw_options(jax.random.key(0), 8, (300, 100), jnp.float32, jax.nn.initializers.he_normal()).shape
    (8, 300, 100)
    """
    if isinstance(distribution, Distribution):
        return options_from_seed(draw_seed(key), k, shape, dtype, distribution.kind, distribution.scale(shape))
    keys = jax.vmap(lambda option: jax.random.fold_in(key, option))(jnp.arange(k))
    return jax.vmap(lambda option_key: distribution(option_key, shape, dtype))(keys)


def initial_scores(
    key: PRNGKeyArray, k: int, shape: tuple[int, ...], dtype: DTypeLike, limit: float | Float[Array, ""]
) -> Float[Array, "k *shape"]:
    """Scores before training, `U(0, limit)`; the paper's limit is `lambda sigma` (section 4.1).

    Args:
        key: one key; scores are independent of the options that `draw_options` draws with the same key. The scores of
            the first options are the same for every K.
        k: number of options per connection.
        shape: shape of the weight.
        dtype: dtype of the scores.
        limit: largest initial score.

    Returns:
        `(k, *shape)` scores.

    >>> slotjax.options.initial_scores(jax.random.key(0), 8, (300, 100), jnp.float32, 0.1).shape
    (8, 300, 100)
    """
    unit, step = unit_score(_all_bits(draw_seed(key), k, shape), dtype), jnp.asarray(limit, dtype) * SCORE_STEP
    return unit * step


def options_from_seed(
    seed: Seed, k: int, shape: tuple[int, ...], dtype: DTypeLike, kind: str, scale: float
) -> Float[Array, "k *shape"]:
    """All options that the generator has for a weight, `(k, *shape)`."""
    compute = at_least_float32(dtype)
    unit, step = unit_option(kind)
    return (unit(_all_bits(seed, k, shape), compute) * jnp.asarray(scale * step, compute)).astype(dtype)


def options_at(
    seed: Seed, index: Int[Array, "*shape"], dtype: DTypeLike, kind: str, scale: float
) -> Float[Array, "*shape"]:
    """One option of every connection: those that `options_from_seed` has at `index`."""
    words = option_words(seed, index.astype(jnp.uint32))
    unit, step = unit_option(kind)
    return unit(random_bits(connection_words(seed, index.shape), words), dtype) * jnp.asarray(scale * step, dtype)


def numbered_option(
    seed: Seed, number: int, shape: tuple[int, ...], dtype: DTypeLike, kind: str, scale: float | Float[Array, ""]
) -> Float[Array, "*shape"]:
    """The option of one number, of every connection."""
    bits = random_bits(connection_words(seed, shape), option_words(seed, jnp.uint32(number)))
    unit, step = unit_option(kind)
    return unit(bits, dtype) * jnp.asarray(scale * step, dtype)


def check_distribution(distribution: Any) -> None:
    """Refuses what random values cannot be drawn from."""
    if isinstance(distribution, Distribution):
        unit_option(distribution.kind)
    elif not callable(distribution):
        raise ValueError(
            f"distribution: {distribution!r} was given, but it must be a slotjax.distributions.Distribution, such as "
            "slotjax.distributions.glorot_uniform(), or a function of jax.nn.initializers"
        )


def check_options(distribution: Any, options: str) -> None:
    """Refuses a distribution that cannot be recomputed from a seed."""
    check_distribution(distribution)
    if options == "seeded" and not isinstance(distribution, Distribution):
        raise ValueError(
            "distribution: an initializer was given, but seeded options need a slotjax.distributions.Distribution"
        )


def at_least_float32(dtype: DTypeLike) -> jnp.dtype:
    """The dtype itself, or float32 for half precision."""
    return jnp.dtype(dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32)


def unit_option(kind: str) -> tuple[Unit, float]:
    """How bits become an option: `unit(bits, dtype) * (step * sigma)`.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} was given, but it must be one of {', '.join(KINDS)}")
    return KINDS[kind]


def unit_score(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """How bits become an initial score: `unit_score(bits, dtype) * (SCORE_STEP * limit)`."""
    # A multiplier of L'Ecuyer (1999), with which successive numbers fill the square evenly.
    return ((bits * jnp.uint32(2891336453)) >> 12).astype(jnp.int32).astype(dtype)


SCORE_STEP = 2.0**-20


def _uniform(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return (_signed(bits) >> 12).astype(dtype)


def _normal(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    quantile = jnp.asarray(_half_normal_quantiles(), dtype)[((bits >> 19) & jnp.uint32(0xFFF)).astype(jnp.int32)]
    return _signed_constant(bits, dtype) * quantile


def _signed_constant(bits: UInt32[Array, "*shape"], dtype: DTypeLike) -> Float[Array, "*shape"]:
    return (1 - 2 * (bits >> 31).astype(jnp.int32)).astype(dtype)


KINDS: dict[str, tuple[Unit, float]] = {
    "uniform": (_uniform, 2.0**-19),
    "normal": (_normal, 1.0),
    "signed_constant": (_signed_constant, 1.0),
}


@functools.cache
def _half_normal_quantiles() -> np.ndarray:
    """The middle quantile of |N(0, 1)| in 4,096 equally likely parts, in multiples of 2^-16."""
    normal = statistics.NormalDist()
    quantiles = [normal.inv_cdf(0.5 + (part + 0.5) / 8192) for part in range(4096)]
    return np.round(np.array(quantiles) * 2**16) / 2**16


def _signed(bits: UInt32[Array, "*shape"]) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.int32)


def _all_bits(seed: Seed, k: int, shape: tuple[int, ...]) -> UInt32[Array, "k *shape"]:
    connection = connection_words(seed, shape)
    return jax.vmap(lambda option: random_bits(connection, option))(option_words(seed, jax.lax.iota(jnp.uint32, k)))
