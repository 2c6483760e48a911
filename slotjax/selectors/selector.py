"""What a selector is: a way of choosing the weights of a network, over any parameter pytree."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import PyTree

from slotjax.options.codebook import Codebook
from slotjax.selectors.tree import Weight, Where, init_selected, selected_weights, with_selected


class Selector(NamedTuple):
    """One way of choosing the weights of a network, as pure functions.

    Attributes:
        init: `init(key, params) -> variables`, where `params` are the weights of a model or just their shapes
            (`jax.ShapeDtypeStruct`), and `variables` is `{"params": trainable, "frozen": fixed}`. Both mirror the
            tree of `params`; a leaf that is not selected stays in `"params"` as it is. The same key and names give the
            same random values in any tree.
        select: `select(variables, key=None) -> weights`, a pytree shaped like `params`, for the unmodified model. A
            key samples, in training, where the selection is probabilistic; without one it is deterministic, as at
            evaluation.
        selection: `selection(variables, key=None) -> indices`, what `select` chooses: per connection the index of the
            option, `int32`, or for a mask whether it is kept, and `None` for leaves that are not selected.
        scores: `scores(variables) -> scores` of every selected leaf, however they are stored, `(K, *weight.shape)` for
            a slot machine and `weight.shape` for a mask, and `None` for leaves without.
        codebooks: `codebooks(variables) -> {name: codebook}`, what the indices of each selected leaf stand for; what
            a ticket is made of.
        joint: whether leaves are drawn or chosen together, so that they cannot be taken one at a time.
        settings: what the selector was made with.
    """

    init: Callable[..., dict[str, PyTree]]
    select: Callable[..., PyTree]
    selection: Callable[..., PyTree]
    scores: Callable[..., PyTree]
    codebooks: Callable[..., dict[str, Codebook]]
    joint: bool
    settings: Any


class Method(NamedTuple):
    """What tells one selector from another: functions of all its weights at once, in the order of the tree.

    Attributes:
        init: `init(key, leaves)`, by name the trainable and the frozen part of every leaf that is to be selected.
        choose: `choose(weights, key)`, the index per connection, or the mask, of each weight.
        values: `values(weights, key)`, each weight with its gradient.
        scores: `scores(weights)`, what is compared.
        codebook: `codebook(weight)` of one weight, or None if it has no indices.
    """

    init: Callable[..., dict[str, tuple[Any, dict[str, Any]]]]
    choose: Callable[..., list[Any]]
    values: Callable[..., list[Any]]
    scores: Callable[[list[Weight]], list[Any]]
    codebook: Callable[[Weight], Codebook | None]


def make_selector(method: Method, where: Where, settings: Any, joint: bool = False) -> Selector:
    """The selector of a method, over the leaves that `where` picks."""

    def init(key, params):
        return init_selected(lambda leaves: method.init(key, leaves), where, params)

    def mapped(function: Callable[..., list[Any]], **rest):
        def over_tree(variables, *key):
            weights = selected_weights(variables)
            if not weights:
                raise ValueError("variables: 'frozen' holds no random values, so no weight is selected; see `where`")
            return with_selected(variables, function(weights, *key), **rest)

        return over_tree

    def codebooks(variables):
        books = {weight.name: method.codebook(weight) for weight in selected_weights(variables)}
        return {name: book for name, book in books.items() if book is not None}

    select, selection = mapped(method.values), mapped(method.choose, rest=lambda _: None)
    scores = mapped(method.scores, rest=lambda _: None)
    return Selector(
        init,
        lambda variables, key=None: select(variables, key),
        lambda variables, key=None: selection(variables, key),
        scores,
        codebooks,
        joint,
        settings,
    )


def check_one_of(name: str, given: str, allowed: tuple[str, ...]) -> None:
    """Refuses an argument that is none of the allowed names."""
    if given not in allowed:
        raise ValueError(f"{name}: {given!r} was given, but it must be one of {', '.join(allowed)}")
