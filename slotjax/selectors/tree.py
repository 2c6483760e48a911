"""Selectors over a pytree: which leaves are selected, their names and keys, and what stands in their place."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path, tree_unflatten
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.options import Codebook
from slotjax.selectors.selector import Frozen, JointMethod, Method, Selector, Variables, Weight, Where

Result = TypeVar("Result")


class Each(NamedTuple):
    """A method for each weight by itself."""

    method: Method

    def init(self, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Frozen]]:
        """Draws every weight with a key of its own."""
        return each_named(lambda name, leaf: self.method.init(fold_name(key, name), leaf), leaves)

    def choose(self, weights: list[Weight], key: PRNGKeyArray | None) -> list[Any]:
        """The choice of every weight."""
        return [self.method.choose(weight, key if key is None else fold_name(key, weight.name)) for weight in weights]

    def value(self, weights: list[Weight], key: PRNGKeyArray | None) -> list[Any]:
        """The value of every weight."""
        return [self.method.value(weight, key if key is None else fold_name(key, weight.name)) for weight in weights]

    def scores(self, weights: list[Weight]) -> list[Any]:
        """The scores of every weight."""
        return [self.method.scores(weight) for weight in weights]

    def codebook(self, weight: Weight) -> Codebook | None:
        """The codebook of one weight."""
        return self.method.codebook(weight)


@dataclasses.dataclass(frozen=True)
class TreeSelector:
    """The selector of a method, over the leaves that `where` picks; see `Selector`."""

    method: JointMethod
    where: Where
    settings: Any
    joint: bool

    def __post_init__(self) -> None:
        check_where(self.where)

    def init(self, key: PRNGKeyArray, params: PyTree) -> Variables:
        """Random values and scores in place of the leaves that `where` picks."""
        check_init(key, params)
        return init_selected(lambda leaves: self.method.init(key, leaves), self.where, params)

    def select(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The weights."""
        return with_selected(variables, self.method.value(_some_weights(variables), key))

    def selection(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """Indices or masks."""
        return with_selected(variables, self.method.choose(_some_weights(variables), key), rest=lambda _: None)

    def scores(self, variables: Variables) -> PyTree:
        """What is compared."""
        return with_selected(variables, self.method.scores(_some_weights(variables)), rest=lambda _: None)

    def codebooks(self, variables: Variables) -> dict[str, Codebook]:
        """What the indices of each weight stand for."""
        books = {weight.name: self.method.codebook(weight) for weight in selected_weights(variables)}
        return {name: book for name, book in books.items() if book is not None}


def make_selector(method: Method, where: Where, settings: Any = None) -> Selector:
    """The selector of a method, over the leaves that `where` picks.

    Args:
        method: how one weight is chosen.
        where: `where(name, leaf) -> bool`.
        settings: what the selector says that it was made with. Default: the method.

    >>> method = slotjax.edge_popup(0.5).settings
    >>> selector = slotjax.selectors.make_selector(method, slotjax.selectors.matrices_and_kernels)
    >>> selector == slotjax.edge_popup(0.5)
    True
    """
    return TreeSelector(Each(method), where, method if settings is None else settings, joint=False)


def fold_name(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The key of the weight called `name`: the same for a name in whichever tree it stands."""
    for word in np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], "<u4"):
        key = jax.random.fold_in(key, word)
    return key


def leaf_name(path: tuple) -> str:
    """The name of the leaf at `path`: its keys, joined by `/`.

    >>> (path, _), *_ = jax.tree_util.tree_flatten_with_path({"dense": {"kernel": 0}})[0]
    >>> slotjax.selectors.leaf_name(path)
    'dense/kernel'
    """
    # The boxes around a leaf in NNX states and partitioned Linen variables are no part of its name.
    if path and path[-1] == GetAttrKey("value"):
        path = path[:-1]
    return keystr(path, simple=True, separator="/")


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by their names.

    >>> slotjax.selectors.named_leaves({"dense": {"kernel": 1, "bias": 2}})
    {'dense/bias': 2, 'dense/kernel': 1}
    """
    return {leaf_name(path): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


def nest(path: tuple[str, ...], leaf: Any) -> Any:
    """A tree with a single leaf, at `path`.

    >>> slotjax.selectors.nest(("dense", "kernel"), 1)
    {'dense': {'kernel': 1}}
    """
    for name in reversed(path):
        leaf = {name: leaf}
    return leaf


def unnest(path: tuple[str, ...], tree: Any) -> Any:
    """The subtree at `path`.

    >>> slotjax.selectors.unnest(("dense", "kernel"), {"dense": {"kernel": 1}})
    1
    """
    for name in path:
        tree = tree[name]
    return tree


def init_selected(
    initialize: Callable[[dict[str, Any]], dict[str, tuple[Any, Frozen]]], where: Where, params: PyTree
) -> Variables:
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


def selected_weights(variables: Variables) -> list[Weight]:
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
    variables: Variables, values: Sequence[Any], rest: Callable[[Any], Any] = lambda leaf: leaf
) -> PyTree:
    """The tree of weights, with `values` in place of `selected_weights` and `rest(leaf)` of every other leaf."""
    (weights, treedef), remaining = weights_and_leaves(variables), iter(values)
    return tree_unflatten(treedef, [next(remaining) if one.frozen else rest(one.trainable) for one in weights])


def weights_and_leaves(variables: Variables) -> tuple[list[Weight], Any]:
    """All leaves of the tree of weights, those that are not selected without frozen values, and its structure."""
    if not {"params", "frozen"} <= set(variables):
        raise ValueError("variables: it must have both 'params' and 'frozen', as `init` returned them")
    frozen = _values_by_path(variables["frozen"])
    named, treedef = tree_flatten_with_path(
        variables["params"], is_leaf=lambda path, _: path in frozen, is_leaf_takes_path=True
    )
    return [Weight(leaf_name(path), leaf, frozen.get(path, {})) for path, leaf in named], treedef


def _some_weights(variables: Variables) -> list[Weight]:
    weights = selected_weights(variables)
    if not weights:
        raise ValueError("variables: 'frozen' holds no random values, so no weight is selected; see `where`")
    return weights


def each_named(function: Callable[[str, Any], Result], leaves: dict[str, Any]) -> dict[str, Result]:
    """`function(name, leaf)` for every leaf; its errors name the leaf."""
    return {name: _named_error(function, name, leaf) for name, leaf in leaves.items()}


def _named_error(function: Callable[[str, Any], Result], name: str, leaf: Any) -> Result:
    try:
        return function(name, leaf)
    except ValueError as error:
        raise ValueError(f"params: {name!r}: {error}") from error


def random_values(frozen: PyTree) -> dict[str, Frozen]:
    """The random values of every selected weight, by its name."""
    return {leaf_name(path): values for path, values in _values_by_path(frozen).items()}


def _values_by_path(frozen: PyTree) -> dict[tuple, Frozen]:
    groups: dict[tuple, Frozen] = {}
    for (*path, entry), leaf in tree_flatten_with_path(frozen)[0]:
        groups.setdefault(tuple(path), {})[entry.key] = leaf
    return groups


def _check_names(names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"params: {twice} name two leaves each, which would have the same random values")


def check_where(where: Any) -> None:
    """Raises unless `where` is a function."""
    if not callable(where):
        raise ValueError(
            f"where: {where!r} was given, but it must be a function of a leaf's name and the leaf, such as "
            "lambda name, leaf: name.endswith('kernel')"
        )


def check_init(key: Any, params: PyTree) -> None:
    """Raises for arguments of `init` in the wrong order, and for all variables of a model in place of its weights."""
    if not _is_key(key):
        raise ValueError(f"key: {type(key).__name__} was given, but it must be a PRNG key; call init(key, params)")
    if isinstance(params, Mapping) and "params" in params:
        raise ValueError(
            f"params: the collections {sorted(map(str, params))} of a model were given, but it must be its weights "
            "alone; give variables['params']"
        )


def _is_key(key: Any) -> bool:
    dtype = getattr(key, "dtype", None)
    is_raw = dtype == np.uint32 and np.ndim(key) == 1
    return dtype is not None and (is_raw or jnp.issubdtype(dtype, jax.dtypes.prng_key))


def _value(name: str, leaf: Any) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ValueError(f"params: {name!r} is not selected by `where`, so it needs an array, not only a shape")
    # A copy, so that who donates what trains takes nothing from the caller.
    return leaf.copy() if isinstance(leaf, jax.Array | np.ndarray) else leaf
