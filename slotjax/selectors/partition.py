"""Several selectors in one network, each for the leaves whose names match its pattern."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.tree_util import tree_flatten_with_path, tree_unflatten
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.options import Codebook
from slotjax.selectors.checks import check_init, kind_of
from slotjax.selectors.selector import Selector, Variables
from slotjax.selectors.tree import leaf_namer, weights_and_leaves

Rules = tuple[tuple[re.Pattern[str], Selector], ...]


def partition(selectors: Mapping[str, Selector]) -> Selector:
    """Each leaf by the first selector whose pattern matches its whole name.

    Args:
        selectors: regular expressions, as of `re.fullmatch`, and the selectors of the leaves whose names they match, in
            the order in which they are tried. Within its leaves, a selector's own `where` still decides which are
            selected. `slotjax.learned()` leaves its leaves as they are, to be trained.

    Returns:
        A `Selector`; its `settings` are those of all, by pattern.

    Raises:
        ValueError: for a pattern that is not a regular expression; from `init`, for patterns that match no leaf; from
            its functions, if no pattern matches a leaf, with all the names that are not covered.

    >>> mixed = slotjax.partition({"Dense_0/.*": slotjax.slot_machine(k=2), ".*": slotjax.edge_popup(0.5)})
    >>> draw = jax.nn.initializers.he_normal()
    >>> key = jax.random.key(0)
    >>> params = {"Dense_0": {"kernel": draw(key, (3, 4))}, "Dense_1": {"kernel": draw(key, (4, 2))}}
    >>> jax.tree.map(jnp.shape, mixed.init(key, params)["params"])
    {'Dense_0': {'kernel': {'a': (), 'u': (3, 4)}}, 'Dense_1': {'kernel': (4, 2)}}
    """
    if not isinstance(selectors, Mapping):
        given = kind_of(selectors)
        raise ValueError(f"selectors: {given} was given, but it must be a dictionary of patterns and their selectors")
    for pattern, selector in selectors.items():
        if not isinstance(pattern, str):
            raise ValueError(
                f"selectors: the pattern {pattern!r} was given, but it must be a string, such as 'Dense_0/.*'"
            )
        if not isinstance(selector, Selector):
            raise ValueError(
                f"selectors: {pattern!r} has {selector!r}, but it must be a Selector, as slot_machine() makes"
            )
    return Partition(tuple((_compiled(pattern), selector) for pattern, selector in selectors.items()))


@dataclasses.dataclass(frozen=True)
class Partition:
    """Each leaf by the first selector whose pattern matches its name; see `Selector`.

    >>> isinstance(slotjax.partition({".*": slotjax.learned()}), slotjax.selectors.Partition)
    True
    """

    rules: Rules

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of all selectors, by pattern."""
        return {pattern.pattern: selector.settings for pattern, selector in self.rules}

    @property
    def joint(self) -> bool:
        """Whether any of them draws or chooses leaves together."""
        return any(selector.joint for _, selector in self.rules)

    def init(self, key: PRNGKeyArray, params: PyTree) -> Variables:
        """What each selector makes of its leaves."""
        check_init(key, params)
        paths_and_leaves, treedef = tree_flatten_with_path(params)
        leaves = [leaf for _, leaf in paths_and_leaves]
        names = list(map(leaf_namer(params), [path for path, _ in paths_and_leaves]))
        owners = _owners(self.rules, names)
        idle = [pattern.pattern for rule, (pattern, _) in enumerate(self.rules) if rule not in owners]
        if idle and len(names) > 1:  # a layer has no other leaf than its own
            raise ValueError(
                f"selectors: {idle} match no leaf that an earlier pattern has left; the leaves are {names}"
            )
        parts = [
            selector.init(key, _part(treedef, leaves, owners, rule)) for rule, (_, selector) in enumerate(self.rules)
        ]
        return {name: _merged(treedef, owners, [part[name] for part in parts]) for name in ("params", "frozen")}

    def select(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The weights of all selectors."""
        return self._over_tree(variables, lambda selector, part: selector.select(part, key), rest=lambda leaf: leaf)

    def selection(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The selections of all selectors."""
        return self._over_tree(variables, lambda selector, part: selector.selection(part, key))

    def scores(self, variables: Variables) -> PyTree:
        """The scores of all selectors."""
        return self._over_tree(variables, lambda selector, part: selector.scores(part))

    def codebooks(self, variables: Variables) -> dict[str, Codebook]:
        """The codebooks of all selectors."""
        pairs = zip(self.rules, _parts(self.rules, variables)[0], strict=True)
        return {name: book for (_, selector), part in pairs for name, book in selector.codebooks(part).items()}

    def _over_tree(
        self,
        variables: Variables,
        function: Callable[[Selector, Variables], PyTree],
        rest: Callable[[Any], Any] = lambda _: None,
    ) -> PyTree:
        parts, merge = _parts(self.rules, variables)
        # A selector whose `where` picked none of its leaves has nothing to do.
        return merge(
            [
                function(selector, part) if jax.tree.leaves(part["frozen"]) else jax.tree.map(rest, part["params"])
                for (_, selector), part in zip(self.rules, parts, strict=True)
            ]
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"selectors: {pattern!r} is not a regular expression ({error})") from error


def _owners(rules: Rules, names: list[str]) -> list[int]:
    """The number of the rule of every name."""
    matching = [[number for number, (pattern, _) in enumerate(rules) if pattern.fullmatch(name)] for name in names]
    uncovered = [name for name, numbers in zip(names, matching, strict=True) if not numbers]
    if uncovered:
        patterns = [pattern.pattern for pattern, _ in rules]
        raise ValueError(f"selectors: none of {patterns} matches {uncovered}; slotjax.learned() takes what is left")
    return [numbers[0] for numbers in matching]


def _part(treedef: Any, leaves: list[Any], owners: list[int], rule: int) -> PyTree:
    """The tree with None in place of the leaves of other rules."""
    kept = [leaf if owner == rule else None for leaf, owner in zip(leaves, owners, strict=True)]
    return tree_unflatten(treedef, kept)


def _parts(rules: Rules, variables: Variables) -> tuple[list[Variables], Callable[[list], PyTree]]:
    """The variables of each rule, and what puts the trees that come of them together."""
    named, treedef = weights_and_leaves(variables)
    owners = _owners(rules, [name for name, _ in named])
    try:
        treedef.flatten_up_to(variables["frozen"])
    except ValueError as error:
        raise ValueError("variables: 'frozen' must have the structure of 'params', as `init` returned it") from error
    leaves = {
        "params": [weight.trainable for _, weight in named],
        "frozen": [weight.frozen if weight.frozen else {} for _, weight in named],
    }
    parts = [
        {name: _part(treedef, values, owners, rule) for name, values in leaves.items()} for rule in range(len(rules))
    ]
    return parts, lambda trees: _merged(treedef, owners, trees)


def _merged(treedef: Any, owners: list[int], trees: list[PyTree]) -> PyTree:
    """Every leaf from the tree of its rule."""
    parts = [treedef.flatten_up_to(tree) for tree in trees]
    return tree_unflatten(treedef, [parts[owner][place] for place, owner in enumerate(owners)])
