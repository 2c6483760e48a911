"""Any selector, of which a random share of the connections is decided for ever."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, PRNGKeyArray

from slotjax._numbers import is_number
from slotjax.options import STRATIFIED, Codebook, Drawn, FrozenShare, MisfitError, draw_seed
from slotjax.selectors.each import Each
from slotjax.selectors.selector import Frozen, Method, Selector, Weight
from slotjax.selectors.tree import TreeSelector, make_selector

MOST_FROZEN = 31 / 32  # of the connections that can be frozen, so that a ticket's size bounds that of its network
_FOLD = 2**31 - 2  # into the key; no option has that number


def partly_frozen(selector: Selector, pruned: float = 0.25, kept: float = 0.25) -> Selector:
    """Another selector, of whose connections a random share is 0 for ever, and another has its random value for ever.

    A seed says which; they are never chosen again and have no gradient, and a ticket has no bits for them. Where
    scores are ranked, as in `slotjax.edge_popup`, pruned connections have the least and kept ones the largest: a
    fraction counts all connections of the layer, so that the sparsity of the network does not depend on what is frozen.

    Per selected weight, `variables["frozen"]` has `"freeze"`, a seed, `uint32 (2,)`, beside what the selector has.

    Args:
        selector: one that chooses each weight by itself: `edge_popup`, `biprop`, `multicoat`, `supermask` without
            rescaling, `slot_machine`, or a method of your own.
        pruned: share of the connections that are 0, each with this probability.
        kept: share of those that are kept: the random weight itself, of slot machines the first option that is not 0.
            Together with `pruned` at most 31/32.

    Returns:
        A `Selector`; `selection` is as the selector's, for pruned connections 0 or False, whatever else.

    Raises:
        ValueError: for shares that are not allowed, and for selectors that choose weights together, change with what
            others choose, or choose nothing.

    Implements section 3 of Otsuka et al., "Partially Frozen Random Networks Contain Compact Strong Lottery Tickets"
    (2024), with a share of each weight.

    >>> signed = slotjax.distributions.signed_kaiming_constant()
    >>> selector = slotjax.partly_frozen(slotjax.edge_popup(0.5, distribution=signed), pruned=0.4, kept=0.3)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((40, 50))})
    >>> int(jnp.count_nonzero(selector.select(variables)["kernel"]))
    1000
    """
    are_numbers = is_number(pruned) and is_number(kept)
    if not are_numbers or not (min(pruned, kept) >= 0 and pruned + kept <= MOST_FROZEN):
        raise ValueError(
            f"pruned, kept: {pruned!r} and {kept!r} were given, but they must be numbers, together from 0 to 31/32"
        )
    settings = getattr(selector, "settings", None)
    is_taken = getattr(settings, "name", None) not in ("fixed", "partly_frozen")
    if not isinstance(selector, TreeSelector) or not isinstance(selector.method, Each) or not is_taken:
        raise ValueError("selector: it must choose each weight by itself, and not be frozen in part already")
    if getattr(settings, "rescale", False) or getattr(settings, "evaluation", None) == "expected":
        raise ValueError("selector: a supermask must be without rescaling, and not of expected weights")
    if kept and getattr(getattr(settings, "distribution", None), "kind", None) == STRATIFIED:
        raise ValueError(
            f"kept: {kept!r} was given, but with stratified options it must be 0, because all kept connections would "
            "have their least option"
        )
    return make_selector(PartlyFrozen(selector, float(pruned), float(kept)), selector.where)


@dataclasses.dataclass(frozen=True)
class PartlyFrozen:
    """What another method chooses where a seed has not decided; see `Method`."""

    selector: Any
    pruned: float
    kept: float
    name: ClassVar = "partly_frozen"

    @property
    def method(self) -> Method:
        """What chooses the rest."""
        return self.selector.method.method

    @property
    def distribution(self) -> Any:
        """What the selector draws from."""
        return getattr(self.selector.settings, "distribution", None)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Any, Frozen]:
        """What the method makes, and the seed of the frozen share."""
        trainable, frozen = self.method.init(key, leaf)
        drawn = frozen if isinstance(frozen, Drawn) else Drawn(frozen, {"shape": tuple(leaf.shape)})
        seed = draw_seed(jax.random.fold_in(key, _FOLD))
        return trainable, drawn.with_more({"freeze": seed}, self._made)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Array:
        """What the method chooses, but where it is decided."""
        rest, share = self._rest(weight)
        index = self.method.choose(rest, key)
        pruned, kept = share.masks(index.shape, index)
        first = jnp.asarray(int(self._book(rest).options.zero), index.dtype)
        return jnp.where(pruned, jnp.zeros_like(index), jnp.where(kept, first, index))

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Array:
        """What the method makes of the rest, with its gradient; what is decided has none."""
        rest, share = self._rest(weight)
        value, book = self.method.value(rest, key), self._book(rest)
        pruned, kept = share.masks(value.shape, value)
        locked = stop_gradient(book.options.numbered(int(book.options.zero)))
        return jnp.where(pruned, jnp.zeros_like(value), jnp.where(kept, locked, value))

    def scores(self, weight: Weight) -> Any:
        """The scores of the method, those without effect too."""
        return self.method.scores(self._split(weight)[0])

    def codebook(self, weight: Weight) -> Codebook:
        """The codebook of the method, and which connections are decided."""
        rest, share = self._rest(weight)
        return self._book(rest)._replace(frozen=share)

    def _book(self, rest: Weight) -> Codebook:
        book = self.method.codebook(rest)
        assert book is not None, "checked by partly_frozen"
        return book

    @property
    def _made(self) -> dict[str, Any]:
        share = {"pruned": int(self.pruned * 2**32), "kept": int(self.kept * 2**32)}
        return {"rest": self.method.name, **share}

    def _split(self, weight: Weight) -> tuple[Weight, FrozenShare]:
        """The weight as the method knows it, and the frozen share."""
        if "freeze" not in weight.frozen:
            raise MisfitError("has no frozen share; use the selector that made the variables")
        weight.frozen.check(self._made)
        others = {name: value for name, value in weight.frozen.items() if name != "freeze"}
        share = FrozenShare(weight.frozen["freeze"], self._made["pruned"], self._made["kept"])
        return Weight(weight.trainable, Drawn(others, weight.frozen.made)), share

    def _rest(self, weight: Weight) -> tuple[Weight, FrozenShare]:
        """The same with the scores of what is decided last and first in any ranking."""
        rest, share = self._split(weight)
        scores = rest.trainable
        if getattr(scores, "shape", None) != weight.frozen.made.get("shape", None):
            return rest, share
        pruned, kept = share.masks(scores.shape, scores)
        largest = jnp.full_like(scores, jnp.finfo(scores.dtype).max)
        return Weight(jnp.where(pruned, jnp.zeros_like(scores), jnp.where(kept, largest, scores)), rest.frozen), share
