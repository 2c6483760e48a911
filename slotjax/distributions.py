"""Distributions of random weights that can be recomputed from a seed."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

Fan = Literal["fan_in", "fan_out"]
Scale = Callable[[tuple[int, ...]], float]


class Distribution(NamedTuple):
    """A distribution of random weights that can be recomputed from a seed.

    Attributes:
        kind: `"uniform"`, from -sigma to sigma; `"normal"`, with mean 0 and deviation sigma; `"signed_constant"`,
            -sigma or sigma.
        scale: `shape -> sigma` for a weight of that shape. Initial scores are proportional to it as well.

    >>> narrow = slotjax.distributions.Distribution("normal", lambda shape: 0.01)
    >>> selector = slotjax.slot_machine(distribution=narrow)
    """

    kind: str
    scale: Scale


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

    >>> print(round(slotjax.distributions.kaiming_normal().scale((300, 100)), 4))
    0.0816
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

    >>> print(round(slotjax.distributions.kaiming_uniform().scale((300, 100)), 4))
    0.1414
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


def scaled_for(keep_fraction: float, distribution: Distribution) -> Distribution:
    """The distribution times `sqrt(1 / keep_fraction)`, so that the kept weights keep the variance of all.

    Args:
        keep_fraction: share of the weights that will be kept, above 0 and at most 1.
        distribution: what is scaled.

    Raises:
        ValueError: for a share that is not allowed.

    Implements the scaled distributions of section 4.5 of Ramanujan et al. (2020).

    >>> slotjax.distributions.scaled_for(0.25, slotjax.distributions.signed_kaiming_constant()).scale((8, 2))
    1.0
    """
    if not 0 < keep_fraction <= 1:
        raise ValueError(f"keep_fraction: {keep_fraction!r} was given, but it must be above 0 and at most 1")
    return Distribution(distribution.kind, Multiple(distribution.scale, math.sqrt(1 / keep_fraction)))


def flattened(inputs: int, distribution: Distribution) -> Distribution:
    """The distribution for kernels whose first `inputs` dimensions are inputs and whose others are outputs.

    `nn.DenseGeneral` and attention have such kernels: 1 for queries, keys and values, `(features, heads, head)`, and 2
    for what comes out, `(heads, head, features)`. Otherwise a kernel of three or more dimensions is taken for that of a
    convolution, with positions, one dimension of inputs and one of outputs, whose scale is another. Like those of all
    such kernels, initial scores of slot machines then have a `score_scale` of 1 unless it is given.

    Args:
        inputs: leading dimensions that are inputs, at least 1 and fewer than the kernel has.
        distribution: of a matrix.

    Raises:
        ValueError: for fewer inputs; when drawn, for a kernel that has no further dimensions.

    >>> matrix = slotjax.distributions.glorot_uniform()
    >>> slotjax.distributions.flattened(1, matrix).scale((512, 8, 64)) == matrix.scale((512, 512))
    True
    """
    if inputs < 1:
        raise ValueError(f"inputs: {inputs!r} was given, but it must be at least 1")

    return Distribution(distribution.kind, AsMatrix(distribution.scale, inputs))


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
