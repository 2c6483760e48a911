"""Weights in a parameter pytree: their names, their keys, and the random values that belong to each."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path, tree_unflatten
from jaxtyping import PRNGKeyArray, PyTree

Where = Callable[[str, Any], bool]
Result = TypeVar("Result")


class Weight(NamedTuple):
    """One selected weight as `map_selected` hands it out: its name, its scores and its frozen random values."""

    name: str
    trainable: Any
    frozen: dict[str, Any]


def matrices_and_kernels(name: str, leaf: Any) -> bool:
    """The default rule for `where=`: two or more floating-point dimensions, and not called `bias` or `scale`.

    >>> slotjax.selectors.matrices_and_kernels("Dense_0/kernel", jnp.zeros((3, 4)))
    True
    >>> slotjax.selectors.matrices_and_kernels("BatchNorm_0/scale", jnp.zeros(4))
    False
    """
    last, shape = name.rsplit("/", 1)[-1], getattr(leaf, "shape", ())
    if len(shape) < 2 or 0 in shape or last in ("bias", "scale"):
        return False
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def fold_name(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The key of the weight called `name`: the same for a name in whichever tree it stands."""
    for word in np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], "<u4"):
        key = jax.random.fold_in(key, word)
    return key


def leaf_name(path: tuple) -> str:
    """The name of the leaf at `path`: its keys, joined by `/`."""
    # The boxes around a leaf in NNX states and partitioned Linen variables are no part of its name.
    if path and path[-1] == GetAttrKey("value"):
        path = path[:-1]
    return keystr(path, simple=True, separator="/")


def nest(path: tuple[str, ...], leaf: Any) -> Any:
    """A tree with a single leaf, at `path`."""
    for name in reversed(path):
        leaf = {name: leaf}
    return leaf


def unnest(path: tuple[str, ...], tree: Any) -> Any:
    """The subtree at `path`."""
    for name in path:
        tree = tree[name]
    return tree


def init_selected(
    initialize: Callable[[dict[str, Any]], dict[str, tuple[Any, dict[str, Any]]]], where: Where, params: PyTree
) -> dict[str, PyTree]:
    """Collections `params` and `frozen`, with what `initialize` makes of the leaves that `where` picks in their place.

    `initialize` takes all of them at once, by name, and gives the trainable and the frozen part of each.
    """
    paths_and_leaves, treedef = tree_flatten_with_path(params)
    named = [(leaf_name(path), leaf) for path, leaf in paths_and_leaves]
    _check_names([name for name, _ in named])
    initialized = initialize({name: leaf for name, leaf in named if where(name, leaf)})
    pairs = [initialized[name] if name in initialized else (_value(name, leaf), {}) for name, leaf in named]
    return {
        "params": tree_unflatten(treedef, [trainable for trainable, _ in pairs]),
        "frozen": tree_unflatten(treedef, [frozen for _, frozen in pairs]),
    }


def selected_weights(variables: dict[str, PyTree]) -> list[Weight]:
    """The selected weights, in the order of the tree.

    A weight is selected where `frozen` has random values for it, so the rule is needed only by `init`.

    Raises:
        ValueError: if a collection is missing, or the scores of a weight.
    """
    weights = [weight for weight in weights_and_leaves(variables)[0] if weight.frozen]
    missing = sorted(set(random_values(variables["frozen"])) - {weight.name for weight in weights})
    if missing:
        raise ValueError(f"variables: 'frozen' has random values for {missing}, for which 'params' has no scores")
    return weights


def with_selected(
    variables: dict[str, PyTree], values: Sequence[Any], rest: Callable[[Any], Any] = lambda leaf: leaf
) -> PyTree:
    """The tree of weights, with `values` in place of `selected_weights` and `rest(leaf)` of every other leaf."""
    (weights, treedef), remaining = weights_and_leaves(variables), iter(values)
    return tree_unflatten(treedef, [next(remaining) if one.frozen else rest(one.trainable) for one in weights])


def weights_and_leaves(variables: dict[str, PyTree]) -> tuple[list[Weight], Any]:
    """All leaves of the tree of weights, those that are not selected without frozen values, and its structure."""
    if not {"params", "frozen"} <= set(variables):
        raise ValueError("variables: it must have both 'params' and 'frozen', as `init` returned them")
    frozen = _values_by_path(variables["frozen"])
    named, treedef = tree_flatten_with_path(
        variables["params"], is_leaf=lambda path, _: path in frozen, is_leaf_takes_path=True
    )
    return [Weight(leaf_name(path), leaf, frozen.get(path, {})) for path, leaf in named], treedef


def each_named(function: Callable[[str, Any], Result], leaves: dict[str, Any]) -> dict[str, Result]:
    """`function(name, leaf)` for every leaf; its errors name the leaf."""
    return {name: _named_error(function, name, leaf) for name, leaf in leaves.items()}


def _named_error(function: Callable[[str, Any], Result], name: str, leaf: Any) -> Result:
    try:
        return function(name, leaf)
    except ValueError as error:
        raise ValueError(f"params: {name!r}: {error}") from error


def random_values(frozen: PyTree) -> dict[str, dict[str, Any]]:
    """The random values of every selected weight, by its name."""
    return {leaf_name(path): values for path, values in _values_by_path(frozen).items()}


def _values_by_path(frozen: PyTree) -> dict[tuple, dict[str, Any]]:
    groups: dict[tuple, dict[str, Any]] = {}
    for (*path, entry), leaf in tree_flatten_with_path(frozen)[0]:
        groups.setdefault(tuple(path), {})[entry.key] = leaf
    return groups


def _check_names(names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"params: {twice} name two leaves each, which would have the same random values")


def _value(name: str, leaf: Any) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ValueError(f"params: {name!r} is not selected by `where`, so it needs an array, not only a shape")
    return leaf
