"""Slot machines with explicit scores: K numbers per connection train, as in the paper."""

import dataclasses
from typing import Any, ClassVar

from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slotjax.options import Codebook, Drawn, MisfitError, Options, Source
from slotjax.selection import greedy, probabilistic, straight_through
from slotjax.selectors.initial_scores import InitialScores
from slotjax.selectors.layout import check_made, check_names, check_no_weight, check_options
from slotjax.selectors.selector import Weight


@dataclasses.dataclass(frozen=True)
class ExplicitScores:
    """Scores `(K, *shape)`, of which one option per connection is the choice; see `Method`.

    Attributes:
        k: options per connection.
        samples: whether a key samples from the softmax of the scores.
        source: where the options come from.
        initial: how the scores start.
    """

    k: int
    samples: bool
    source: Source
    initial: InitialScores
    name: ClassVar = "slot_machine"

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Float[Array, "k *shape"], Drawn]:
        """Initial scores, and what the options are drawn from."""
        frozen = self.source.init(key, leaf)
        return self.initial.draw(key, leaf, self.source.options(frozen, leaf).values()), frozen

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Int[Array, "*shape"]:
        """The index of the largest score, or one drawn with the softmax of the scores."""
        self._check(weight)
        scores = stop_gradient(weight.trainable)
        return probabilistic(scores, key) if self.samples and key is not None else greedy(scores)

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """The chosen options, with the gradient `dL/ds_k = dL/dW W_k`."""
        index = self.choose(weight, key)
        return straight_through(weight.trainable, self._options(weight).values(), index)

    def scores(self, weight: Weight) -> Float[Array, "k *shape"]:
        """The scores themselves."""
        self._check(weight)
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """The options."""
        return Codebook(self._options(weight))

    def _options(self, weight: Weight) -> Options:
        return self.source.options(weight.frozen, weight.trainable[0])

    def _check(self, weight: Weight) -> None:
        """Raises for the variables of another selector, and for scores and options that do not fit each other."""
        if isinstance(weight.trainable, dict):
            raise MisfitError(
                "has factored scores, but the selector was made with scores='explicit'; `scores` of the selector that "
                "made them gives explicit ones"
                if set(weight.trainable) == {"u", "a"}
                else "has no scores, so it was not a slot machine that made them"
            )
        check_no_weight(weight)
        given = weight.trainable.shape
        check_made(weight, self.source, given[1:])
        check_names(weight, self.source.names)
        if given[:1] != (self.k,):
            raise MisfitError(f"has scores of shape {given}, but the selector has k={self.k}")
        check_options(weight, self.k, given[1:], f"scores of shape {given}")
