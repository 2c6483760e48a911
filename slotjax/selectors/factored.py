"""Slot machines with factored scores: any K for two numbers per connection in training.

An optimizer that is linear in gradients and parameters moves all K scores of a connection along one line,
`s_k = a s_k(0) + u W_k`, with one `u` per connection and one `a` per weight tensor. `u` is trained exactly as an
ordinary weight would be, with the gradient of the weight itself, and `a` as a parameter whose gradient is 0. Options
`W_k` and initial scores `s_k(0)` are either stored, or recomputed from a seed while the options are compared.
"""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slotjax.distributions import Distribution
from slotjax.options import (
    SCORE_STEP,
    Codebook,
    OneByOne,
    Options,
    Seeded,
    Source,
    draw_seed,
    dtype_of,
    unit_score,
)
from slotjax.selection import Candidates, candidate_at, candidate_values, greedy_candidate, probabilistic_index
from slotjax.selectors.initial_scores import CENTRE, InitialScores, scores_dtype
from slotjax.selectors.layout import check_names, check_options
from slotjax.selectors.selector import Frozen, Weight

Latent = Float[Array, "*shape"]
Scale = Float[Array, ""]


@runtime_checkable
class Start(Protocol):
    """Where the initial scores come from while options are compared: `StoredStart` or `SeededStart`."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the frozen values that `init` makes."""

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Frozen, source: Source) -> Frozen:
        """The frozen values that belong to the initial scores."""

    def candidates(self, u: Latent, a: Scale, frozen: Frozen, source: Source) -> Candidates:
        """Index, option and what the initial score comes from, one option at a time."""


@dataclasses.dataclass(frozen=True)
class FactoredScores:
    """Scores `a s_k(0) + u W_k`, of which one option per connection is the choice; see `Method`.

    Attributes:
        k: options per connection.
        samples: whether a key samples from the softmax of the scores.
        source: where the options come from.
        start: where the initial scores come from.
    """

    k: int
    samples: bool
    source: Source
    start: Start
    name: ClassVar = "slot_machine"

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[dict[str, Array], Frozen]:
        """`u = 0` and `a = 1`: the scores are the initial ones."""
        frozen = self.source.init(key, leaf)
        frozen = frozen | self.start.init(key, leaf, frozen, self.source)
        dtype = scores_dtype(leaf)
        return {"u": jnp.zeros(leaf.shape, dtype), "a": jnp.ones((), dtype)}, frozen

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Int[Array, "*shape"]:
        """The index of the largest score, or one drawn with the softmax of the scores."""
        return self._chosen(weight, key)[0]

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """The chosen options, exactly, with the gradient of the weight for `u` and none for `a`."""
        _, option = self._chosen(weight, key)
        u = weight.trainable["u"]
        return (stop_gradient(option).astype(u.dtype) + (u - stop_gradient(u))).astype(option.dtype)

    def scores(self, weight: Weight) -> Float[Array, "k *shape"]:
        """All scores at once."""
        return candidate_values(self._candidates(weight))

    def codebook(self, weight: Weight) -> Codebook:
        """The options."""
        self._check(weight)
        u = weight.trainable["u"]
        return Codebook(self.source.options(weight.frozen, u.shape, u.dtype))

    def _chosen(self, weight: Weight, key: PRNGKeyArray | None) -> tuple[Array, Array]:
        """Index and option of each connection."""
        candidates = self._candidates(weight)
        if self.samples and key is not None:
            chosen = candidate_at(candidates, probabilistic_index(candidates, key))
        else:
            chosen = greedy_candidate(candidates)
        return chosen[0], candidates.option(chosen)

    def _candidates(self, weight: Weight) -> Candidates:
        self._check(weight)
        u, a = stop_gradient(weight.trainable["u"]), stop_gradient(weight.trainable["a"])
        return self.start.candidates(u, a, weight.frozen, self.source)

    def _check(self, weight: Weight) -> None:
        """Raises for the variables of another selector, and for scores and options that do not fit each other."""
        if isinstance(weight.trainable, dict) and not is_factored(weight.trainable):
            raise ValueError(f"variables: {weight.name!r} has no scores, so it was not a slot machine that made them")
        if not is_factored(weight.trainable):
            raise ValueError(
                f"variables: {weight.name!r} has explicit scores, which cannot be turned into factored ones, because K "
                "trained scores need not lie on the line a s(0) + u W; use slot_machine(scores='explicit'), or `init` "
                "anew"
            )
        check_names(weight, self.source.names | self.start.names)
        shape = weight.trainable["u"].shape
        check_options(weight, self.k, shape, f"u of shape {shape}")


@dataclasses.dataclass(frozen=True)
class StoredStart:
    """Initial scores in an array, `(K, *shape)`."""

    initial: InitialScores
    names: ClassVar = frozenset({"scores"})

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Frozen, source: Source) -> Frozen:
        """Draws them all."""
        options = source.options(frozen, leaf.shape, dtype_of(leaf))
        return {"scores": self.initial.draw(key, leaf, options.values())}

    def candidates(self, u: Latent, a: Scale, frozen: Frozen, source: Source) -> Candidates:
        """Triples of index, option and initial score, read from arrays."""
        options = source.options(frozen, u.shape, u.dtype)
        one_by_one = options.one_by_one(u.dtype)
        score = _line(u, one_by_one, a, lambda initial: initial.astype(u.dtype))
        return _candidates(options, one_by_one, score, (stop_gradient(frozen["scores"]), lambda initial: initial))


@dataclasses.dataclass(frozen=True)
class SeededStart:
    """Initial scores that are recomputed from the bits of the options."""

    initial: InitialScores

    @property
    def names(self) -> frozenset[str]:
        """Options that are shared have no seed, and may have the sigma of the whole network."""
        return frozenset({"seed", "sigma"}) if self.initial.shared else frozenset({"seed"})

    def init(self, key: PRNGKeyArray, leaf: Any, frozen: Frozen, source: Source) -> Frozen:
        """The seed, and of shared options sigma."""
        sigma = jnp.asarray(self._distribution.scale(leaf.shape), scores_dtype(leaf))
        return {"seed": draw_seed(key), "sigma": sigma} if self.initial.shared else {"seed": draw_seed(key)}

    def candidates(self, u: Latent, a: Scale, frozen: Frozen, source: Source) -> Candidates:
        """Pairs of index and random bits, which are option and initial score in one array.

        Shared options stand between.
        """
        # Without the barrier, XLA would see that the bits are the same in every step and keep all K n of them.
        u, seed = jax.lax.optimization_barrier((u, frozen["seed"]))
        options = source.options(frozen | {"seed": seed}, u.shape, u.dtype)
        sigma = frozen["sigma"] if self.initial.shared else self._distribution.scale(u.shape)
        bits = Seeded(seed, options.k, self._distribution.kind, sigma, u.shape, u.dtype)
        one_by_one = options.one_by_one(u.dtype)
        more = (bits.one_by_one(u.dtype)[:2],) if self.initial.shared else ()
        if self.initial.initial == "nearest":
            score = _nearest(u, a, one_by_one, bits.numbered(CENTRE))
        else:
            rate = a * jnp.asarray(self.initial.limit(u.shape, sigma) * SCORE_STEP, u.dtype)
            score = _line(u, one_by_one, rate, lambda bits: unit_score(bits, u.dtype))
        return _candidates(options, one_by_one, score, *more)

    @property
    def _distribution(self) -> Distribution:
        assert isinstance(self.initial.distribution, Distribution), "checked by slot_machine"
        return self.initial.distribution


def is_factored(leaf: Any) -> bool:
    """Whether a node of a pytree of trainable values holds the factored scores of a weight.

    >>> slotjax.selectors.is_factored({"u": jnp.zeros((2, 3)), "a": jnp.ones(())})
    True
    """
    return isinstance(leaf, dict) and set(leaf) == {"u", "a"} and np.shape(leaf["a"]) == ()


def _candidates(options: Options, one_by_one: OneByOne, score: Any, *more: tuple[Any, Any]) -> Candidates:
    """Tuples of index, what stands for the option, and what `more` makes of further slices."""
    makes = (one_by_one.make, *(make for _, make in more))
    return Candidates(
        (jnp.arange(options.k, dtype=jnp.int32), one_by_one.slices, *(slices for slices, _ in more)),
        candidate=lambda slices: (slices[0], *(make(one) for make, one in zip(makes, slices[1:], strict=True))),
        score=score,
        option=lambda candidate: one_by_one.option(*candidate[:2]),
    )


def _line(u: Latent, one_by_one: OneByOne, rate: Scale, initial: Any) -> Any:
    """`rate initial + u W`, with everything that does not depend on the option computed beforehand."""
    latent = u * one_by_one.step
    return lambda candidate: rate * initial(candidate[-1]) + latent * one_by_one.unit(*candidate[:2])


def _nearest(u: Latent, a: Scale, one_by_one: OneByOne, centre: Float[Array, "*shape"]) -> Any:
    """`a (c W - W^2 / 2) + u W`."""
    step = one_by_one.step
    latent, curvature = (u + a * centre) * step, a * step * step / 2

    def score(candidate):
        value = one_by_one.unit(*candidate[:2])
        return value * (latent - curvature * value)

    return score
