"""Selectors over a pytree: which leaves are selected, their names and keys, and what stands in their place."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path, tree_unflatten
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.options import Codebook, Drawn
from slotjax.selectors.checks import check_init, check_picked, check_select_key, check_variables, check_where
from slotjax.selectors.each import Each
from slotjax.selectors.selector import (
    Frozen,
    JointMethod,
    Method,
    Selector,
    Variables,
    Weight,
    Where,
    drawn_about_zero,
    matrices_and_kernels,
)


@dataclasses.dataclass(frozen=True)
class TreeSelector:
    """The selector of a method, over the leaves that `where` picks; see `Selector`."""

    method: JointMethod
    where: Where
    settings: Any
    joint: bool

    def __post_init__(self) -> None:
        check_where(self.where)

    def __repr__(self) -> str:
        # What made it says all; the rest follows from it and would fill a screen.
        return f"<selector of {self.settings!r}>"

    def init(self, key: PRNGKeyArray, params: PyTree) -> Variables:
        """Random values and scores in place of the leaves that `where` picks."""
        check_init(key, params)
        return init_selected(lambda leaves: self.method.init(key, leaves), self.where, params)

    def select(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The weights."""
        check_select_key(key)
        return with_selected(variables, self.method.value(_some_weights(variables), key))

    def selection(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """Indices or masks."""
        check_select_key(key)
        return with_selected(variables, self.method.choose(_some_weights(variables), key), rest=lambda _: None)

    def scores(self, variables: Variables) -> PyTree:
        """What is compared."""
        return with_selected(variables, self.method.scores(_some_weights(variables)), rest=lambda _: None)

    def codebooks(self, variables: Variables) -> dict[str, Codebook]:
        """What the indices of each weight stand for."""
        books = self.method.codebooks(selected_weights(variables))
        return {name: book for name, book in books.items() if book is not None}


def make_selector(method: Method, where: Where, settings: Any = None) -> Selector:
    """The selector of a method, over the leaves that `where` picks.

    Args:
        method: how one weight is chosen.
        where: `where(name, leaf) -> bool`.
        settings: what the selector says that it was made with. Default: the method.

    >>> method = slotjax.edge_popup(0.5).settings
    >>> selector = slotjax.selectors.make_selector(method, slotjax.selectors.default_where(method.distribution))
    >>> selector == slotjax.edge_popup(0.5)
    True
    """
    return TreeSelector(Each(method), where, method if settings is None else settings, joint=False)


def leaf_namer(tree: PyTree) -> Callable[[tuple], str]:
    """A function from the path of a leaf of `tree` to its name: its keys, joined by `/`.

    A box that holds nothing but one `value`, as NNX states and partitioned Linen variables have, adds nothing to it.

    >>> params = {"dense": {"kernel": 0}}
    >>> (path, _), *_ = jax.tree_util.tree_flatten_with_path(params)[0]
    >>> slotjax.selectors.leaf_namer(params)(path)
    'dense/kernel'
    """
    boxes = set()

    def note(path: tuple, node: Any) -> bool:
        if len(jax.tree.leaves(node, is_leaf=lambda part: part is not node)) == 1:
            boxes.add(path)
        return False

    tree_flatten_with_path(tree, is_leaf=note, is_leaf_takes_path=True)

    def name(path: tuple) -> str:
        boxed = path and path[-1] == GetAttrKey("value") and path[:-1] in boxes
        return keystr(path[:-1] if boxed else path, simple=True, separator="/")

    return name


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by their names.

    >>> slotjax.selectors.named_leaves({"dense": {"kernel": 1, "bias": 2}})
    {'dense/bias': 2, 'dense/kernel': 1}
    """
    name = leaf_namer(tree)
    return {name(path): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


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
    name_of = leaf_namer(params)
    named = [(name_of(path), leaf) for path, leaf in paths_and_leaves]
    _check_names([name for name, _ in named])
    selected = {name: leaf for name, leaf in named if check_picked(name, where(name, leaf))}
    if where is drawn_about_zero:
        check_some_vary(named, selected, instead="the weights that the model's init draws")
    initialized = initialize(selected)
    pairs = [initialized[name] if name in initialized else (_value(name, leaf), {}) for name, leaf in named]
    return {
        "params": tree_unflatten(treedef, [trainable for trainable, _ in pairs]),
        "frozen": tree_unflatten(treedef, [frozen for _, frozen in pairs]),
    }


def check_some_vary(named: Iterable[tuple[str, Any]], varying: Container[str], instead: str) -> None:
    """Raises if weights could be selected, but none of them varies about zero."""
    constant = [name for name, leaf in named if matrices_and_kernels(name, leaf)]
    if constant and not any(name in varying for name in constant):
        raise ValueError(
            f"params: the values of {constant} do not vary about zero, so no weight has a scale of its own; give "
            f"{instead}, or distribution="
        )


def selected_weights(variables: Variables) -> dict[str, Weight]:
    """The selected weights by name, in the order of the tree.

    A weight is selected where `frozen` has random values for it, so the rule is needed only by `init`.

    Raises:
        ValueError: if a collection is missing, or the scores of a weight.
    """
    weights = {name: weight for name, weight in weights_and_leaves(variables)[0] if weight.frozen}
    missing = sorted(set(random_values(variables["frozen"])) - set(weights))
    if missing:
        raise ValueError(f"variables: 'frozen' has random values for {missing}, for which 'params' has no scores")
    return weights


def with_selected(
    variables: Variables, values: Mapping[str, Any], rest: Callable[[Any], Any] = lambda leaf: leaf
) -> PyTree:
    """The tree of weights, with `values` in place of `selected_weights` and `rest(leaf)` of every other leaf."""
    named, treedef = weights_and_leaves(variables)
    return tree_unflatten(
        treedef, [values[name] if weight.frozen else rest(weight.trainable) for name, weight in named]
    )


def weights_and_leaves(variables: Variables) -> tuple[list[tuple[str, Weight]], Any]:
    """All leaves of the tree of weights, those that are not selected without frozen values, and its structure."""
    check_variables(variables)
    frozen = _values_by_path(variables["frozen"])
    named, treedef = tree_flatten_with_path(
        variables["params"], is_leaf=lambda path, _: path in frozen, is_leaf_takes_path=True
    )
    name = leaf_namer(variables["params"])
    return [(name(path), Weight(leaf, frozen.get(path, Drawn({})))) for path, leaf in named], treedef


def _some_weights(variables: Variables) -> dict[str, Weight]:
    weights = selected_weights(variables)
    if not weights:
        raise ValueError("variables: 'frozen' holds no random values, so no weight is selected; see `where`")
    return weights


def random_values(frozen: PyTree) -> dict[str, Drawn]:
    """The random values of every selected weight, by its name.

    >>> variables = slotjax.slot_machine(k=2).init(jax.random.key(0), {"dense": jnp.array([[1.0, -1.0]])})
    >>> sorted(slotjax.selectors.random_values(variables["frozen"])["dense"])
    ['seed', 'sigma']
    """
    name = leaf_namer(frozen)
    return {name(path): values for path, values in _values_by_path(frozen).items()}


def _values_by_path(frozen: PyTree) -> dict[tuple, Drawn]:
    groups: dict[tuple, Drawn] = {}
    lost: dict[tuple, dict[str, Any]] = {}
    for path, leaf in tree_flatten_with_path(frozen, is_leaf=lambda node: isinstance(node, Drawn))[0]:
        if isinstance(leaf, Drawn):
            groups[path] = leaf
        else:  # values in a plain dictionary, which no longer says what made them
            lost.setdefault(path[:-1], {})[path[-1].key] = leaf
    return groups | {path: Drawn(values) for path, values in lost.items()}


def _check_names(names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"params: {twice} name two leaves each, which would have the same random values")


def _value(name: str, leaf: Any) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ValueError(f"params: {name!r} is not selected by `where`, so it needs an array, not only a shape")
    # A copy, so that who donates what trains takes nothing from the caller.
    return leaf.copy() if isinstance(leaf, jax.Array | np.ndarray) else leaf
