"""Slot machines with factored scores: any K for two numbers per connection in training.

An optimizer that is linear in gradients and parameters moves all K scores of a connection along one line,
`s_k = a s_k(0) + u W_k`, with one `u` per connection and one `a` per weight tensor. `u` is trained exactly as an
ordinary weight would be, with the gradient of the weight itself, and `a` as a parameter whose gradient is 0. Any other
optimizer trains `u` as well as it trains weights; `a` is then held at 1. Options `W_k` are stored, or recomputed from a
seed while they are compared; `starts.py` says where the initial scores `s_k(0)` come from.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slotjax.options import Codebook, Drawn, MisfitError, Source
from slotjax.selection import Candidates, candidate_at, candidate_values, greedy_candidate, probabilistic_index
from slotjax.selectors.initial_scores import scores_dtype
from slotjax.selectors.layout import check_made, check_names, check_no_weight, check_options
from slotjax.selectors.selector import Weight
from slotjax.selectors.starts import Start


@dataclasses.dataclass(frozen=True)
class FactoredScores:
    """Scores `a s_k(0) + u W_k`, of which one option per connection is the choice; see `Method`.

    Attributes:
        k: options per connection.
        samples: whether a key samples from the softmax of the scores.
        source: where the options come from.
        start: where the initial scores come from.
        exact: whether `a` trains; else it counts as 1, whatever an optimizer makes of it.
    """

    k: int
    samples: bool
    source: Source
    start: Start
    exact: bool
    name: ClassVar = "slot_machine"

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[dict[str, Array], Drawn]:
        """`u` and `a = 1`: the scores are the initial ones."""
        frozen = self.source.init(key, leaf)
        frozen = frozen.with_more(self.start.init(key, leaf, frozen, self.source), self._made)
        u = self.start.latent(key, leaf).astype(scores_dtype(leaf))
        return {"u": u, "a": jnp.ones((), u.dtype)}, frozen

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
        return Codebook(self.source.options(weight.frozen, weight.trainable["u"]))

    @property
    def _made(self) -> dict[str, Any]:
        return self.start.made | {"exact": self.exact}

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
        return self.start.candidates(u, a if self.exact else None, weight.frozen, self.source)

    def _check(self, weight: Weight) -> None:
        """Raises for the variables of another selector, and for scores and options that do not fit each other."""
        if isinstance(weight.trainable, dict) and set(weight.trainable) != {"u", "a"}:
            raise MisfitError("has no scores, so it was not a slot machine that made them")
        check_no_weight(weight)
        if not isinstance(weight.trainable, dict):
            raise MisfitError(
                "has explicit scores, which cannot be turned into factored ones, because K trained scores need not lie "
                "on the line a s(0) + u W; use slot_machine(scores='explicit'), or `init` anew"
            )
        shape = weight.trainable["u"].shape
        check_made(weight, self.source, shape, self._made)
        check_names(weight, self.source.names | self.start.names)
        check_options(weight, self.k, shape, f"u of shape {shape}")


def is_factored(leaf: Any) -> bool:
    """Whether a node of a pytree of trainable values holds the factored scores of a weight.

    >>> slotjax.selectors.is_factored({"u": jnp.zeros((2, 3)), "a": jnp.ones(())})
    True
    """
    return isinstance(leaf, dict) and set(leaf) == {"u", "a"} and np.shape(leaf["a"]) == ()
