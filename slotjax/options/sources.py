"""Where the options of a selector's weights come from: drawn into arrays, drawn again from a seed, or shared."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, get_args, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options.drawing import (
    Initializer,
    check_distribution,
    draw_options,
    dtype_of,
    made_from,
    scale_at_init,
    sigma_at_init,
    sigma_of,
)
from slotjax.options.drawn import Drawn, Made, MisfitError
from slotjax.options.generator import draw_seed
from slotjax.options.options import Options, Storage
from slotjax.options.seeded import Seeded
from slotjax.options.stored import Shared, Stored


@runtime_checkable
class Source(Protocol):
    """Where the options of every weight of a selector come from, decided once, when the selector is made."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the frozen values that `init` makes."""

    def made(self, shape: tuple[int, ...]) -> Made:
        """What decides the values of a weight of that shape, beside its seed."""

    def init(self, key: PRNGKeyArray, leaf: Any) -> Drawn:
        """The frozen values of a weight, given as values or as a shape; the key is the weight's own."""

    def options(self, frozen: Drawn, like: Any) -> Options:
        """The options that frozen values hold, or draw again, for an array with the weight's shape and sharding.

        Raises:
            MisfitError: if the values are those of another source or of a weight of another shape.
        """


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

    @property
    def names(self) -> frozenset[str]:
        """The options, and the own scale of the weight, if it has that."""
        return frozenset({"options", *_own_names(self.distribution)})

    def made(self, shape: tuple[int, ...]) -> Made:
        """What decides the values."""
        return made_from(self.distribution, shape, k=self.k, zero=self.zero)

    def init(self, key: PRNGKeyArray, leaf: Any) -> Drawn:
        """Draws all options."""
        sigma = sigma_at_init(self.distribution, leaf)
        options = draw_options(key, self.k, leaf.shape, dtype_of(leaf), self.distribution, sigma)
        return Drawn({"options": _with_zero(self.zero, options)} | _own(sigma), self.made(leaf.shape))

    def options(self, frozen: Drawn, like: Any) -> Options:
        """The array."""
        check_stored(frozen, self, like)
        return Stored(frozen["options"])


@dataclasses.dataclass(frozen=True)
class FromSeed:
    """64 bits per weight, from which its options are drawn again wherever they are used.

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromSeed(4, slotjax.distributions.glorot_normal())
    >>> frozen = source.init(key, leaf)
    >>> frozen["seed"].shape, source.options(frozen, leaf).values().shape
    ((2,), (4, 3, 2))
    """

    k: int
    distribution: Distribution
    zero: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The seed, and the own scale of the weight, if it has that."""
        return frozenset({"seed", *_own_names(self.distribution)})

    def made(self, shape: tuple[int, ...]) -> Made:
        """What decides the values."""
        return made_from(self.distribution, shape, k=self.k, zero=self.zero)

    def init(self, key: PRNGKeyArray, leaf: Any) -> Drawn:
        """Draws the seed, and measures the scale."""
        dtype_of(leaf)
        sigma = sigma_at_init(self.distribution, leaf)
        return Drawn({"seed": draw_seed(key)} | _own(sigma), self.made(leaf.shape))

    def options(self, frozen: Drawn, like: Any) -> Options:
        """What the seed draws."""
        if not frozen.made:
            raise MisfitError(
                "no longer says what made it; read a checkpoint with the variables of `init` as its pattern"
            )
        frozen.check(self.made(like.shape))
        sigma = sigma_of(self.distribution, frozen, like.shape)
        dtype = frozen.dtype(like.dtype)
        return Seeded(frozen["seed"], self.k, self.distribution.kind, sigma, like.shape, dtype, self.zero, like)


@dataclasses.dataclass(frozen=True)
class FromWeight:
    """One random value per connection, drawn once: option `number` of those that the key draws.

    The option of number 1 leaves number 0 to be 0, as in a mask.

    >>> leaf, key = jnp.zeros((3, 2)), jax.random.key(0)
    >>> source = slotjax.options.FromWeight(slotjax.distributions.glorot_normal(), number=1)
    >>> source.options(source.init(key, leaf), leaf).values()[0].any()
    Array(False, dtype=bool)
    """

    distribution: Distribution | Initializer
    number: int

    @property
    def names(self) -> frozenset[str]:
        """The weight, and its own scale, if it has that."""
        return frozenset({"weight", *_own_names(self.distribution)})

    def made(self, shape: tuple[int, ...]) -> Made:
        """What decides the values."""
        return made_from(self.distribution, shape, k=1, number=self.number)

    def init(self, key: PRNGKeyArray, leaf: Any) -> Drawn:
        """Draws the weight."""
        sigma = sigma_at_init(self.distribution, leaf)
        drawn = draw_options(key, self.number + 1, leaf.shape, dtype_of(leaf), self.distribution, sigma)
        return Drawn({"weight": drawn[self.number]} | _own(sigma), self.made(leaf.shape))

    def options(self, frozen: Drawn, like: Any) -> Options:
        """The weight, after 0 if its number is 1."""
        check_stored(frozen, self, like)
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
    network_sigma: Any = None

    @property
    def names(self) -> frozenset[str]:
        """The options."""
        return frozenset({"options"})

    def made(self, shape: tuple[int, ...]) -> Made:
        """What decides the values."""
        return made_from(self.distribution, shape, k=self.k, zero=self.zero, shared=True)

    def init(self, key: PRNGKeyArray, leaf: Any) -> Drawn:
        """Draws the K options."""
        sigma = self.network_sigma
        sigma = scale_at_init(self.distribution, leaf) if sigma is None else sigma
        key = key if self.network_key is None else self.network_key
        seeded = Seeded(draw_seed(key), self.k, self.distribution.kind, sigma, (), dtype_of(leaf))
        return Drawn({"options": _with_zero(self.zero, seeded.values())}, self.made(leaf.shape))

    def options(self, frozen: Drawn, like: Any) -> Options:
        """The K options."""
        check_stored(frozen, self, like)
        return Shared(frozen["options"], like.shape)


def own_options(
    options: Storage, k: int, distribution: Distribution | Initializer | None = None, zero: bool = False
) -> Source:
    """Where the options of a method come from, if every connection has its own.

    Args:
        options: `"seeded"` or `"stored"`; both are the same values.
        k: options per connection, the zero included.
        distribution: what they are drawn from; seeded ones need a `Distribution`. Default: uniform, at the weight's
            own scale.
        zero: whether option 0 of every connection is 0.

    Raises:
        ValueError: for a distribution that cannot be drawn from, or not from a seed, and for no option.

    >>> slotjax.options.own_options("seeded", 3, slotjax.distributions.glorot_normal()).names
    frozenset({'seed'})
    """
    check_one_of("options", options, get_args(Storage))
    if k < 1:
        raise ValueError(f"k: {k} was given, but it must be at least 1")
    distribution = own_scale() if distribution is None else distribution
    check_distribution(distribution, options, k)
    if isinstance(distribution, Distribution) and options == "seeded":
        return FromSeed(k, distribution, zero)
    return FromArrays(k, distribution, zero)


def check_one_of(name: str, given: str, allowed: Sequence[str]) -> None:
    """Raises unless an argument is one of the allowed names.

    >>> slotjax.options.check_one_of("options", "kept", ["seeded", "stored"])
    Traceback (most recent call last):
    ValueError: options: 'kept' was given, but it must be one of seeded, stored
    """
    if given not in allowed:
        raise ValueError(f"{name}: {given!r} was given, but it must be one of {', '.join(allowed)}")


def check_flag(name: str, given: Any) -> None:
    """Raises unless an argument is True or False.

    >>> slotjax.options.check_flag("sparse", "no")
    Traceback (most recent call last):
    ValueError: sparse: 'no' was given, but it must be True or False
    """
    if not isinstance(given, bool):
        raise ValueError(f"{name}: {given!r} was given, but it must be True or False")


def check_stored(frozen: Drawn, source: Source, like: Any) -> None:
    """Raises for values of another source; of stored ones a part will do, as in `jax.shard_map`, but no stack."""
    shape = frozen.made.get("shape", like.shape)
    if len(shape) != like.ndim:
        frozen.check({"shape": like.shape})
    frozen.check(source.made(shape))


def _own(sigma: Float[Array, ""] | None) -> dict[str, Array]:
    return {} if sigma is None else {"sigma": sigma}


def _own_names(distribution: Distribution | Initializer) -> set[str]:
    return {"sigma"} if isinstance(distribution, Distribution) and distribution.is_own else set()


def _with_zero(zero: bool, options: Float[Array, "k *shape"]) -> Float[Array, "k *shape"]:
    return options.at[0].set(0) if zero else options
