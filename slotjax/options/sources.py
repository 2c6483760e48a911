"""Where the options of a selector's weights come from: drawn into arrays, drawn again from a seed, or shared."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options.options import Options, Storage
from slotjax.options.seeded import (
    SCORE_STEP,
    Seeded,
    all_bits,
    at_least_float32,
    draw_seed,
    unit_option,
    unit_score,
)
from slotjax.options.stored import Shared, Stored

Initializer = Callable[..., Array]


@runtime_checkable
class Source(Protocol):
    """Where the options of every weight of a selector come from, decided once, when the selector is made."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the frozen values that `init` makes."""

    def init(self, key: PRNGKeyArray, leaf: Any) -> dict[str, Array]:
        """The frozen values of a weight with the shape and dtype of `leaf`; the key is the weight's own."""

    def options(self, frozen: dict[str, Array], shape: tuple[int, ...], dtype: DTypeLike) -> Options:
        """The options that frozen values hold, or draw again."""


@dataclasses.dataclass(frozen=True)
class FromArrays:
    """`(K, *shape)` values per weight, drawn once.

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromArrays(4, slotjax.distributions.glorot_normal())
    >>> source.init(key, leaf)["options"].shape
    (4, 3, 2)
    """

    k: int
    distribution: Distribution | Initializer
    zero: bool = False
    names = frozenset({"options"})

    def init(self, key: PRNGKeyArray, leaf: Any) -> dict[str, Array]:
        """Draws all options."""
        dtype = dtype_of(leaf)
        return {"options": _with_zero(self.zero, draw_options(key, self.k, leaf.shape, dtype, self.distribution))}

    def options(self, frozen: dict[str, Array], shape: tuple[int, ...], dtype: DTypeLike) -> Options:
        """The array."""
        return Stored(frozen["options"])


@dataclasses.dataclass(frozen=True)
class FromSeed:
    """64 bits per weight, from which its options are drawn again wherever they are used.

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromSeed(4, slotjax.distributions.glorot_normal())
    >>> frozen = source.init(key, leaf)
    >>> frozen["seed"].shape, source.options(frozen, (3, 2), jnp.float32).values().shape
    ((2,), (4, 3, 2))
    """

    k: int
    distribution: Distribution
    zero: bool = False
    names = frozenset({"seed"})

    def init(self, key: PRNGKeyArray, leaf: Any) -> dict[str, Array]:
        """Draws the seed."""
        dtype = dtype_of(leaf)
        if dtype != at_least_float32(dtype):
            raise ValueError(f"seeded options are float32 or float64, but this weight is {dtype}; use options='stored'")
        return {"seed": draw_seed(key)}

    def options(self, frozen: dict[str, Array], shape: tuple[int, ...], dtype: DTypeLike) -> Options:
        """What the seed draws."""
        kind, sigma = self.distribution.kind, self.distribution.scale(shape)
        return Seeded(frozen["seed"], self.k, kind, sigma, shape, dtype, self.zero)


@dataclasses.dataclass(frozen=True)
class FromWeight:
    """One random value per connection, drawn once: option `number` of those that the key draws.

    The option of number 1 leaves number 0 to be 0, as in a mask.

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromWeight(slotjax.distributions.glorot_normal(), number=1)
    >>> source.options(source.init(key, leaf), (3, 2), jnp.float32).values()[0].any()
    Array(False, dtype=bool)
    """

    distribution: Distribution | Initializer
    number: int
    names = frozenset({"weight"})

    def init(self, key: PRNGKeyArray, leaf: Any) -> dict[str, Array]:
        """Draws the weight."""
        dtype = dtype_of(leaf)
        return {"weight": draw_options(key, self.number + 1, leaf.shape, dtype, self.distribution)[self.number]}

    def options(self, frozen: dict[str, Array], shape: tuple[int, ...], dtype: DTypeLike) -> Options:
        """The weight, after 0 if its number is 1."""
        return Stored(frozen["weight"][None], zero=self.number > 0)


@dataclasses.dataclass(frozen=True)
class FromLayer:
    """K values for all connections of a weight, or with a key of the network's own, of all weights (section 4.5).

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromLayer(4, slotjax.distributions.glorot_normal())
    >>> source.init(key, leaf)["options"].shape
    (4,)
    """

    k: int
    distribution: Distribution
    zero: bool = False
    network_key: PRNGKeyArray | None = None
    names = frozenset({"options"})

    def init(self, key: PRNGKeyArray, leaf: Any) -> dict[str, Array]:
        """Draws the K options."""
        dtype, sigma = dtype_of(leaf), self.distribution.scale(leaf.shape)
        key = key if self.network_key is None else self.network_key
        seeded = Seeded(draw_seed(key), self.k, self.distribution.kind, sigma, (), dtype)
        return {"options": _with_zero(self.zero, seeded.values())}

    def options(self, frozen: dict[str, Array], shape: tuple[int, ...], dtype: DTypeLike) -> Options:
        """The K options."""
        return Shared(frozen["options"], shape)


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


def own_options(options: Storage, k: int, distribution: Distribution | Initializer, zero: bool = False) -> Source:
    """Where the options of a method come from, if every connection has its own.

    Args:
        options: `"seeded"` or `"stored"`; both are the same values.
        k: options per connection, the zero included.
        distribution: what they are drawn from; seeded ones need a `Distribution`.
        zero: whether option 0 of every connection is 0.

    Raises:
        ValueError: for a distribution that cannot be drawn from, or not from a seed.

    >>> slotjax.options.own_options("seeded", 3, slotjax.distributions.glorot_normal()).names
    frozenset({'seed'})
    """
    check_distribution(distribution, options)
    if isinstance(distribution, Distribution) and options == "seeded":
        return FromSeed(k, distribution, zero)
    return FromArrays(k, distribution, zero)


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

    >>> he_normal = jax.nn.initializers.he_normal()
    >>> slotjax.options.draw_options(jax.random.key(0), 8, (300, 100), jnp.float32, he_normal).shape
    (8, 300, 100)
    """
    if isinstance(distribution, Distribution):
        return Seeded(draw_seed(key), k, distribution.kind, distribution.scale(shape), shape, dtype).values()
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
    unit, step = unit_score(all_bits(draw_seed(key), k, shape), dtype), jnp.asarray(limit, dtype) * SCORE_STEP
    return unit * step


def check_distribution(distribution: Any, options: str = "stored") -> None:
    """Raises for something that random values cannot be drawn from, or not from a seed if they are to be seeded.

    >>> slotjax.options.check_distribution(jax.nn.initializers.he_normal(), "seeded")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: distribution: an initializer was given, but seeded options need a slotjax.distributions.Distribution
    """
    if isinstance(distribution, Distribution):
        unit_option(distribution.kind)
    elif not callable(distribution):
        raise ValueError(
            f"distribution: {distribution!r} was given, but it must be a slotjax.distributions.Distribution, such as "
            "slotjax.distributions.glorot_uniform(), or a function of jax.nn.initializers"
        )
    elif options == "seeded":
        raise ValueError(
            "distribution: an initializer was given, but seeded options need a slotjax.distributions.Distribution"
        )


def _with_zero(zero: bool, options: Float[Array, "k *shape"]) -> Float[Array, "k *shape"]:
    return options.at[0].set(0) if zero else options
