"""Drawing options and initial scores, once or as they are needed: at which scale, and of which dtype."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution, OwnScale
from slotjax.options.deviation import own_sigma
from slotjax.options.drawn import GENERATOR, Drawn, Made
from slotjax.options.generator import (
    MOST_STRATA,
    SCORE_STEP,
    STRATIFIED,
    all_bits,
    draw_seed,
    unit_option,
    unit_score,
)
from slotjax.options.seeded import Seeded, limit_of

Initializer = Callable[..., Array]


def sigma_at_init(distribution: Distribution | Initializer, leaf: Any) -> Float[Array, ""] | None:
    """The deviation of a weight's own values, if that is its scale; None if a distribution or a function has one.

    >>> sigma_at_init = slotjax.options.sigma_at_init
    >>> sigma_at_init(slotjax.distributions.glorot_uniform(), jnp.ones((3, 2))) is None
    True
    """
    if not isinstance(distribution, Distribution) or not isinstance(distribution.scale, OwnScale):
        return None
    return own_sigma(leaf, distribution.scale.factor)


def scale_at_init(distribution: Distribution, leaf: Any) -> float | Float[Array, ""]:
    """The scale of the random values of a weight: what the distribution says of its shape, or measured.

    >>> slotjax.options.scale_at_init(slotjax.distributions.signed_kaiming_constant(), jnp.zeros((8, 3)))
    0.5
    """
    sigma = sigma_at_init(distribution, leaf)
    return distribution.scale(leaf.shape) if sigma is None else limit_of(distribution.kind, sigma)


def sigma_of(distribution: Distribution, frozen: Drawn, shape: tuple[int, ...]) -> float | Float[Array, ""]:
    """The scale of the random values of a weight that `init` made.

    >>> constant = slotjax.distributions.signed_kaiming_constant()
    >>> slotjax.options.sigma_of(constant, slotjax.options.Drawn({}), (8, 3))
    0.5
    """
    if distribution.is_own:
        return limit_of(distribution.kind, frozen["sigma"])
    return distribution.scale(shape)


def dtype_of(leaf: Any) -> jnp.dtype:
    """The dtype that the random values of a weight have.

    Raises:
        ValueError: unless the leaf is floating-point.

    >>> slotjax.options.dtype_of(jnp.zeros(3))
    dtype('float32')
    """
    dtype = getattr(leaf, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        what = type(leaf).__name__ if dtype is None else dtype
        raise ValueError(f"it is {what}, but only floating-point weights can be selected; see `where`")
    return jax.dtypes.canonicalize_dtype(dtype)


def draw_options(
    key: PRNGKeyArray,
    k: int,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    distribution: Distribution | Initializer,
    sigma: Float[Array, ""] | None = None,
) -> Float[Array, "k *shape"]:
    """K independent draws of one weight tensor.

    Args:
        key: one key. The first options are the same for every K, unless they are stratified.
        k: number of options per connection.
        shape: shape of the weight.
        dtype: dtype of the options.
        distribution: a `Distribution`, or an initializer in the manner of `jax.nn.initializers`, which is called once
            per option on `shape` (never on `(K, *shape)`, whose fans are wrong).
        sigma: the deviation of the weight's own values, if that is the scale of the distribution.

    Returns:
        `(k, *shape)` options.

    >>> he_normal = jax.nn.initializers.he_normal()
    >>> slotjax.options.draw_options(jax.random.key(0), 8, (300, 100), jnp.float32, he_normal).shape
    (8, 300, 100)
    """
    if isinstance(distribution, Distribution):
        scale = distribution.scale(shape) if sigma is None else limit_of(distribution.kind, sigma)
        return Seeded(draw_seed(key), k, distribution.kind, scale, shape, dtype).values()
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
    return _scores(key, k, shape, dtype, jnp.asarray(limit, dtype) * SCORE_STEP)


# Outside of any other, one program instead of one for every operation.
@functools.partial(jax.jit, static_argnums=(1, 2, 3), inline=True)
def _scores(key: PRNGKeyArray, k: int, shape: tuple[int, ...], dtype: DTypeLike, step: Float[Array, ""]) -> Array:
    return unit_score(all_bits(draw_seed(key), k, shape), dtype) * step


def check_distribution(distribution: Any, options: str = "stored", k: int | None = None) -> None:
    """Raises for something that random values cannot be drawn from, or not from a seed if they are to be seeded.

    Args:
        distribution: what is given as one.
        options: `"stored"` or `"seeded"`.
        k: how many options connections have, if one of them is to be chosen, as stratified ones need it.

    >>> slotjax.options.check_distribution(jax.nn.initializers.he_normal(), "seeded")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: distribution: an initializer was given, but seeded options need a slotjax.distributions.Distribution...
    """
    if isinstance(distribution, Distribution):
        unit_option(distribution.kind)
        if distribution.kind == STRATIFIED and (k is None or not 2 <= k <= MOST_STRATA):
            given = "" if k is None else f", and k is {k}"
            raise ValueError(
                f"distribution: a stratified one was given, but it is only for slot machines of 2 to {MOST_STRATA:,} "
                f"options{given}"
            )
    elif not callable(distribution):
        raise ValueError(
            f"distribution: {distribution!r} was given, but it must be a slotjax.distributions.Distribution, such as "
            "slotjax.distributions.glorot_uniform(), or a function of jax.nn.initializers"
        )
    elif options == "seeded":
        raise ValueError(
            "distribution: an initializer was given, but seeded options need a slotjax.distributions.Distribution; "
            "options='stored' takes both"
        )


def made_from(distribution: Distribution | Initializer, shape: tuple[int, ...], **more: Any) -> Made:
    """What decides the values, beside the seed, and beside scales that are measured.

    >>> constant = slotjax.distributions.signed_kaiming_constant()
    >>> slotjax.options.made_from(constant, (8, 3), k=2)["scale"]
    0.5
    """
    more = more | {"generator": GENERATOR, "shape": tuple(shape)}
    if not isinstance(distribution, Distribution):
        return more | {"kind": "initializer"}
    scale = distribution.scale
    if isinstance(scale, OwnScale):
        return more | {"kind": distribution.kind, "scale": "own", "factor": float(scale.factor)}
    sigma = float(scale(shape))
    if not math.isfinite(sigma):
        raise ValueError(f"distribution: its scale is {sigma} for a weight of shape {shape}, but it must be finite")
    return more | {"kind": distribution.kind, "scale": sigma}
