"""Distributions of random weights that can be recomputed from a seed."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

from slotjax._numbers import is_number

Fan = Literal["fan_in", "fan_out"]
Kind = Literal["uniform", "bell", "stratified", "normal", "signed_constant"]
Scale = Callable[[tuple[int, ...]], float]


@dataclasses.dataclass(frozen=True)
class OwnScale:
    """The scale that the weights of a model have from their own initializers, times a factor."""

    factor: float = 1.0

    def __call__(self, shape: tuple[int, ...]) -> float:
        """There is none without the values of the weight."""
        raise ValueError("the own scale of a weight is measured from its values, not from its shape")


class Distribution(NamedTuple):
    """A distribution of random weights that can be recomputed from a seed.

    Attributes:
        kind: `"uniform"`, from -sigma to sigma; `"bell"`, the sum of four uniform numbers, from -sigma to sigma too, of
            which sigma is 3.5 deviations; `"stratified"`, where option k of K is uniform in the k-th of K equal parts
            of -sigma to sigma; `"normal"`, with mean 0 and deviation sigma; `"signed_constant"`, -sigma or sigma.
        scale: `shape -> sigma` for a weight of that shape, or an `OwnScale`. Initial scores are proportional to it as
            well.

    >>> narrow = slotjax.distributions.Distribution("normal", lambda shape: 0.01)
    >>> selector = slotjax.slot_machine(distribution=narrow)
    """

    kind: str
    scale: Scale

    def for_matrix(self, inputs: int) -> "Distribution":
        """The same for kernels whose first `inputs` dimensions are inputs and whose others are outputs.

        `nn.DenseGeneral` and attention have such kernels: 1 for queries, keys and values, `(features, heads, head)`,
        and 2 for what comes out, `(heads, head, features)`. The scale is that of the matrix `(inputs, outputs)`. By
        default a kernel of three or more dimensions is taken for that of a convolution: positions, then one dimension
        of inputs and one of outputs. A weight's own scale needs none of this.

        Args:
            inputs: leading dimensions that are inputs, at least 1 and fewer than the kernel has.

        Raises:
            ValueError: for fewer inputs, and for an own scale; when drawn, for a kernel without further dimensions.

        >>> matrix = slotjax.distributions.glorot_uniform()
        >>> matrix.for_matrix(inputs=1).scale((512, 8, 64)) == matrix.scale((512, 512))
        True
        """
        if inputs < 1:
            raise ValueError(f"inputs: {inputs!r} was given, but it must be at least 1")
        if self.is_own:
            raise ValueError("inputs: the own scale of a weight does not depend on which dimensions are inputs")
        return Distribution(self.kind, AsMatrix(self.scale, inputs))

    @property
    def is_own(self) -> bool:
        """Whether the scale is the weight's own."""
        return isinstance(self.scale, OwnScale)


@dataclasses.dataclass(frozen=True)
class FanScale:
    """`shape -> sqrt(gain / fan)`; a value and not a lambda, so that distributions compare, hash and pickle."""

    gain: float
    fan: Literal["fan_in", "fan_out", "both"]

    def __call__(self, shape: tuple[int, ...]) -> float:
        """Sigma of a weight of that shape."""
        fan_in, fan_out = fans(shape)
        return math.sqrt(self.gain / {"fan_in": fan_in, "fan_out": fan_out, "both": fan_in + fan_out}[self.fan])


@dataclasses.dataclass(frozen=True)
class Multiple:
    """`shape -> factor * scale(shape)`."""

    scale: Scale
    factor: float

    def __call__(self, shape: tuple[int, ...]) -> float:
        """Sigma of a weight of that shape."""
        return self.scale(shape) * self.factor


@dataclasses.dataclass(frozen=True)
class AsMatrix:
    """The scale of the matrix that maps the first `inputs` dimensions of a weight to the others."""

    scale: Scale
    inputs: int

    def __call__(self, shape: tuple[int, ...]) -> float:
        """Sigma of a weight of that shape."""
        if len(shape) <= self.inputs:
            raise ValueError(f"a weight of shape {shape} has no outputs after {self.inputs} dimensions of inputs")
        return self.scale((math.prod(shape[: self.inputs]), math.prod(shape[self.inputs :])))


def own_scale(kind: Kind = "uniform", factor: float = 1.0) -> Distribution:
    """The deviation that each weight has from the model's own initializer.

    The default of every selector. `init` measures the deviation of the values that it is given, rounds it to 8
    significant bits, so that neither the order of summation nor the platform changes it, and keeps it in `frozen` as
    `"sigma"`. Uniform values have the limit `sqrt(3) sigma`, those of a bell `sqrt(12) sigma`.

    Options end where their distribution does: uniform ones at 1.7 deviations, a bell at 3.5. A network that is trained
    with large steps wants larger weights than it starts from. Then a factor helps, with a start that stays narrow:
    `slot_machine(k=64, initial="given", distribution=own_scale("bell", factor=2))`.

    A bell is nearly normal. On two CPU cores, choosing among 8 or 64 of its values took up to a quarter longer than
    among uniform ones. Normal ones are looked up in a table, which took 4 and 15 times as long. Stratified ones are
    spread evenly over the range of a bell, in order. So the nearest is one of two, and found in the same time among
    4,096 as among 8. They are for slot machines with `initial="nearest"` or `"given"`.

    Args:
        kind: `"uniform"`, `"bell"`, `"stratified"`, `"normal"` or `"signed_constant"`.
        factor: what the deviation is multiplied by, above 0 and finite.

    Raises:
        ValueError: for another kind or factor.

    >>> params = {"kernel": 0.05 * jax.random.normal(jax.random.key(0), (300, 100))}
    >>> selector = slotjax.slot_machine(k=8, distribution=slotjax.distributions.own_scale("normal"))
    >>> variables = selector.init(jax.random.key(1), params)
    >>> print(round(float(variables["frozen"]["kernel"]["sigma"]), 3))
    0.05
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind: {kind!r} was given, but it must be one of {', '.join(get_args(Kind))}")
    if not is_number(factor) or not 0 < factor < math.inf:
        raise ValueError(f"factor: {factor!r} was given, but it must be a number above 0 and finite")
    return Distribution(kind, OwnScale(factor))


def glorot_uniform() -> Distribution:
    """`U(-sigma, sigma)` with `sigma = sqrt(6 / (fan_in + fan_out))`, the limit of Glorot's uniform distribution.

    This is what reproduces the numbers of Aladago & Torresani (2021), and what their released code draws.

    >>> print(round(slotjax.distributions.glorot_uniform().scale((300, 100)), 4))
    0.1225
    """
    return Distribution("uniform", FanScale(6.0, "both"))


def glorot_deviation() -> Distribution:
    """`U(-sigma, sigma)` with `sigma = sqrt(2 / (fan_in + fan_out))`, the deviation of Glorot's normal distribution.

    This is section 4.1 of Aladago & Torresani (2021) taken literally. Options this small lose several points of
    accuracy at small K.

    >>> print(round(slotjax.distributions.glorot_deviation().scale((300, 100)), 4))
    0.0707
    """
    return Distribution("uniform", FanScale(2.0, "both"))


def glorot_normal() -> Distribution:
    """`N(0, sigma^2)` with `sigma = sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio, 2010).

    >>> print(round(slotjax.distributions.glorot_normal().scale((300, 100)), 4))
    0.0707
    """
    return Distribution("normal", FanScale(2.0, "both"))


def kaiming_normal(fan: Fan = "fan_in") -> Distribution:
    """`N(0, sigma^2)` with `sigma = sqrt(2 / fan)` (He et al., 2015).

    Args:
        fan: `"fan_in"` or `"fan_out"`.

    Raises:
        ValueError: for another fan.

    >>> print(slotjax.distributions.kaiming_normal("fan_out").scale((8, 2)))
    1.0
    """
    return Distribution("normal", _deviation(2.0, fan))


def kaiming_uniform(fan: Fan = "fan_in") -> Distribution:
    """`U(-sigma, sigma)` with `sigma = sqrt(6 / fan)`, which has the deviation of `kaiming_normal`.

    Args:
        fan: `"fan_in"` or `"fan_out"`.

    Raises:
        ValueError: for another fan.

    >>> print(slotjax.distributions.kaiming_uniform("fan_out").scale((6, 6)))
    1.0
    """
    return Distribution("uniform", _deviation(6.0, fan))


def signed_kaiming_constant(fan: Fan = "fan_in") -> Distribution:
    """`-sigma` or `sigma`, equally often, with `sigma = sqrt(2 / fan)`.

    Section 3 of Ramanujan et al. (2020).

    Args:
        fan: `"fan_in"` or `"fan_out"`.

    Raises:
        ValueError: for another fan.

    >>> print(round(slotjax.distributions.signed_kaiming_constant().scale((300, 100)), 4))
    0.0816
    """
    return Distribution("signed_constant", _deviation(2.0, fan))


def xavier_normal(fan: Fan = "fan_in") -> Distribution:
    """`N(0, sigma^2)` with `sigma = sqrt(1 / fan)`, what Ramanujan et al. (2020) call Xavier normal.

    It is Kaiming's deviation without the factor for ReLU, and not Glorot's, which is `glorot_normal`.

    Args:
        fan: `"fan_in"` or `"fan_out"`.

    Raises:
        ValueError: for another fan.

    >>> print(round(slotjax.distributions.xavier_normal().scale((300, 100)), 4))
    0.0577
    """
    return Distribution("normal", _deviation(1.0, fan))


def signed_xavier_constant(fan: Fan = "fan_in") -> Distribution:
    """`-sigma` or `sigma`, equally often, with `sigma = sqrt(1 / fan)`; see `xavier_normal`.

    Args:
        fan: `"fan_in"` or `"fan_out"`.

    Raises:
        ValueError: for another fan.

    >>> print(round(slotjax.distributions.signed_xavier_constant().scale((300, 100)), 4))
    0.0577
    """
    return Distribution("signed_constant", _deviation(1.0, fan))


def scaled_for(keep_fraction: float | Sequence[float], distribution: Distribution) -> Distribution:
    """The distribution times `sqrt(1 / keep_fraction)`, so that the kept weights keep the variance of all.

    Args:
        keep_fraction: share of the weights that will be kept, above 0 and at most 1; or those of several coats, of
            which `sum_n (2 n - 1) k_n`, the mean square of the number of coats, takes its place.
        distribution: what is scaled.

    Raises:
        ValueError: for a share that is not allowed.

    Implements the scaled distributions of section 4.5 of Ramanujan et al. (2020).

    >>> slotjax.distributions.scaled_for(0.25, slotjax.distributions.signed_kaiming_constant()).scale((8, 2))
    1.0
    >>> slotjax.distributions.scaled_for((0.4, 0.2), slotjax.distributions.signed_kaiming_constant()).scale((8, 2))
    0.5
    """
    if not isinstance(distribution, Distribution):
        raise ValueError(
            f"distribution: {distribution!r} was given, but it must be a slotjax.distributions.Distribution"
        )
    shares = keep_fraction if isinstance(keep_fraction, Sequence) else [keep_fraction]
    if not shares or not all(is_number(share) and 0 < share <= 1 for share in shares):
        raise ValueError(f"keep_fraction: {keep_fraction!r} was given, but it must be a number above 0 and at most 1")
    scale, factor = distribution.scale, math.sqrt(1 / sum((2 * coat + 1) * share for coat, share in enumerate(shares)))
    scaled = OwnScale(factor * scale.factor) if isinstance(scale, OwnScale) else Multiple(scale, factor)
    return Distribution(distribution.kind, scaled)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """`fan_in` and `fan_out` of a weight whose last dimensions are input and output, as in `jax.nn.initializers`."""
    if len(shape) < 2:
        raise ValueError(f"fans need a weight of two or more dimensions, but its shape is {shape}")
    receptive = math.prod(shape[:-2])
    return receptive * shape[-2], receptive * shape[-1]


def _deviation(gain: float, fan: Fan) -> "FanScale":
    if fan not in get_args(Fan):
        raise ValueError(f"fan: {fan!r} was given, but it must be one of {', '.join(get_args(Fan))}")
    return FanScale(gain, fan)
