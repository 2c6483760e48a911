"""Where factored scores start from: initial scores that are stored, drawn again from a seed, or given by the options.

Each kind of start makes the candidates among which selection chooses, one option at a time.
"""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options import SCORE_STEP, Drawn, OneByOne, Options, Seeded, Source, draw_seed, limit_of, unit_score
from slotjax.selection import Candidates
from slotjax.selectors.initial_scores import CENTRE, InitialScores, centre_kind, scores_dtype

Latent = Float[Array, "*shape"]
Scale = Float[Array, ""] | None


@runtime_checkable
class Start(Protocol):
    """Where the initial scores come from while options are compared: `StoredStart`, `SeededStart`, `LatentStart`."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the frozen values that `init` makes."""

    @property
    def made(self) -> dict[str, Any]:
        """What decides the scores."""

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Drawn, source: Source) -> dict[str, Array]:
        """The frozen values that belong to the initial scores."""

    def latent(self, key: PRNGKeyArray, leaf: Any) -> Latent:
        """Where `u` starts."""

    def candidates(self, u: Latent, a: Scale, frozen: Drawn, source: Source) -> Candidates:
        """Index, option and what the initial score comes from, one option at a time; `a = None` stands for 1."""


@dataclasses.dataclass(frozen=True)
class StoredStart:
    """Initial scores in an array, `(K, *shape)`."""

    initial: InitialScores
    names: ClassVar = frozenset({"scores"})

    @property
    def made(self) -> dict[str, Any]:
        """The kind of initial scores; their values are stored."""
        return {"initial": self.initial.initial}

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Drawn, source: Source) -> dict[str, Array]:
        """Draws them all."""
        return {"scores": self.initial.draw(key, leaf, source.options(frozen, leaf).values())}

    def latent(self, key: PRNGKeyArray, leaf: Any) -> Latent:
        """At 0."""
        return jnp.zeros(leaf.shape, scores_dtype(leaf))

    def candidates(self, u: Latent, a: Scale, frozen: Drawn, source: Source) -> Candidates:
        """Triples of index, option and initial score, read from arrays."""
        options = source.options(frozen, u)
        one_by_one = options.one_by_one(u.dtype)
        rate = jnp.ones((), u.dtype) if a is None else a
        score = _line(u, one_by_one, rate, lambda initial: initial.astype(u.dtype))
        return _candidates(options, one_by_one, score, (stop_gradient(frozen["scores"]), lambda initial: initial))


@dataclasses.dataclass(frozen=True)
class SeededStart:
    """Initial scores that are recomputed from the bits of the options."""

    initial: InitialScores

    @property
    def names(self) -> frozenset[str]:
        """Options that are shared have no seed, and may have the sigma of the whole network."""
        return frozenset({"seed", "sigma"}) if self.initial.shared else frozenset({"seed"})

    @property
    def made(self) -> dict[str, Any]:
        """The kind of initial scores, and their scale."""
        return {"initial": self.initial.initial, "score_scale": self.initial.score_scale}

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Drawn, source: Source) -> dict[str, Array]:
        """The seed, and of shared options sigma."""
        if not self.initial.shared:
            return {"seed": draw_seed(key)}
        return {"seed": draw_seed(key), "sigma": jnp.asarray(self.initial.sigma(leaf), scores_dtype(leaf))}

    def latent(self, key: PRNGKeyArray, leaf: Any) -> Latent:
        """At 0."""
        return jnp.zeros(leaf.shape, scores_dtype(leaf))

    def candidates(self, u: Latent, a: Scale, frozen: Drawn, source: Source) -> Candidates:
        """Pairs of index and random bits, which are option and initial score in one array.

        Shared options stand between.
        """
        u, frozen = _as_if_new(u, frozen)
        a = jnp.ones((), u.dtype) if a is None else a
        options = source.options(frozen, u)
        distribution, one_by_one = self._distribution, options.one_by_one(u.dtype)
        measured = self.initial.shared or distribution.is_own
        sigma = frozen["sigma"] if measured else distribution.scale(u.shape)
        scale = limit_of(distribution.kind, jnp.asarray(sigma)) if distribution.is_own else sigma
        bits = Seeded(frozen["seed"], options.k, distribution.kind, scale, u.shape, u.dtype, like=u)
        more = (bits.one_by_one(u.dtype)[:2],) if self.initial.shared else ()
        if self.initial.initial == "nearest":
            centre = dataclasses.replace(bits, kind=centre_kind(bits.kind)).numbered(CENTRE)
            score = _nearest(u, a, one_by_one, centre)
        else:
            rate = a * jnp.asarray(self.initial.limit(u.shape, sigma) * SCORE_STEP, u.dtype)
            score = _line(u, one_by_one, rate, lambda bits: unit_score(bits, u.dtype))
        return _candidates(options, one_by_one, score, *more)

    @property
    def _distribution(self) -> Distribution:
        assert isinstance(self.initial.distribution, Distribution), "checked by slot_machine"
        return self.initial.distribution


@dataclasses.dataclass(frozen=True)
class LatentStart:
    """Initial scores `-W^2 / 2`, which the options give; `u` starts at the value to be nearest to.

    So `u / a` is the latent value, and the choice is the option nearest to it.
    """

    initial: InitialScores
    names: ClassVar = frozenset[str]()

    @property
    def made(self) -> dict[str, Any]:
        """Where the latent value started."""
        return {"initial": self.initial.initial}

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Drawn, source: Source) -> dict[str, Array]:
        """Nothing."""
        return {}

    def latent(self, key: PRNGKeyArray, leaf: Any) -> Latent:
        """At the weight that was given, or at one more draw."""
        return self.initial.centre(key, leaf)

    def candidates(self, u: Latent, a: Scale, frozen: Drawn, source: Source) -> Candidates:
        """Pairs of index and what stands for the option."""
        u, frozen = _as_if_new(u, frozen)
        options = source.options(frozen, u)
        one_by_one = options.one_by_one(u.dtype)
        score = _nearest(u, jnp.ones((), u.dtype) if a is None else a, one_by_one, jnp.zeros((), u.dtype))
        candidates = _candidates(options, one_by_one, score)
        if a is not None:
            return candidates
        nearest = one_by_one.nearest
        best = None if nearest is None else lambda: nearest(u)
        return candidates._replace(rank=_nearness(u, one_by_one), best=best)


def _as_if_new(u: Latent, frozen: Drawn) -> tuple[Latent, Drawn]:
    """The same, so that XLA does not see that bits are the same in every step and keep all K n of them."""
    if "seed" not in frozen:
        return u, frozen
    u, seed = jax.lax.optimization_barrier((u, frozen["seed"]))
    return u, frozen.with_more({"seed": seed})


def _candidates(options: Options, one_by_one: OneByOne, score: Any, *more: tuple[Any, Any]) -> Candidates:
    """Tuples of index, what stands for the option, and what `more` makes of further slices."""
    makes = (one_by_one.make, *(make for _, make in more))
    return Candidates(
        (jnp.arange(options.k, dtype=jnp.int32), one_by_one.slices, *(slices for slices, _ in more)),
        candidate=lambda slices: (slices[0], *(make(one) for make, one in zip(makes, slices[1:], strict=True))),
        score=score,
        option=lambda candidate: one_by_one.option(*candidate[:2]),
    )


def _line(u: Latent, one_by_one: OneByOne, rate: Float[Array, ""], initial: Any) -> Any:
    """`rate initial + u W`, with everything that does not depend on the option computed beforehand."""
    latent = u * one_by_one.step
    return lambda candidate: rate * initial(candidate[-1]) + latent * one_by_one.unit(*candidate[:2])


def _nearest(u: Latent, a: Float[Array, ""], one_by_one: OneByOne, centre: Float[Array, "..."]) -> Any:
    """`a (c W - W^2 / 2) + u W`."""
    step = one_by_one.step
    latent, curvature = (u + a * centre) * step, a * step * step / 2

    def score(candidate):
        value = one_by_one.unit(*candidate[:2])
        return value * (latent - curvature * value)

    return score


def _nearness(u: Latent, one_by_one: OneByOne) -> Any:
    """`-|u - W|`, in units of the options: the order of `u W - W^2 / 2`.

    A quotient and a difference, neither of which XLA may round otherwise in another program, so that the choice is the
    same under `jit`, sharded, and in any batch; a product that it fuses with a sum is not.
    """
    place = u / jax.lax.optimization_barrier(one_by_one.step)
    return lambda candidate: -jnp.abs(place - one_by_one.unit(*candidate[:2]))
