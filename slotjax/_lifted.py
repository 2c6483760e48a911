"""Methods of Linen modules on selected weights: a lifted transformation, as Flax's own `nn.map_variables` is one."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax.core import lift, unfreeze
from flax.core.scope import LazyRng, Scope, subtract_filters
from flax.errors import ScopeCollectionNotFound
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.selectors import (
    Selector,
    decided,
    drawn_names,
    learned,
    named_leaves,
    needs_values,
    nest,
    some_vary,
    unnest,
    varying_names,
    within,
)

OURS = ("params", "frozen")
_MISSING = """frozen: the collection with the random values of selected weights is missing; give `apply` both that \
`init` returned, {'params': ..., 'frozen': ...}, and nn.scan and nn.vmap 'frozen' in variable_axes"""
_WITHIN = "slotjax_within"  # a flag of scopes


def selecting(selector: Selector, own: Scope | None, is_layer: bool = False) -> Callable[..., Any]:
    """The lifted transformation of a module's method that runs on selected weights."""

    def transform(function):
        def lifted(scopes, *args, **kwargs):
            # Beside the module's own scope, those of modules that it was given and that belong to another.
            packs, _ = lift._dedup_scopes(jax.tree.leaves(scopes))
            parts = [Part(scope, selector, is_layer, scope is own) for scope in packs]
            run = functools.partial(_run, function, parts)
            filters = (list(OURS), subtract_filters(True, list(OURS)))
            packed = lift.pack(run, filters, filters, (True,), name="selected", enable_kwargs=True)
            return packed(scopes, *args, **kwargs)

        return lifted

    return transform


def _run(function: Any, parts: Any, scope_of: Any, repack: Any, groups: Any, rngs: Any, *args: Any, **kw: Any) -> Any:
    """Calls a method in scopes with selected weights; see `flax.core.lift.pack` for the functions and groups."""
    groups, others = groups
    ours = [unfreeze(group) for group in groups]

    def plain(rngs):
        counters = [dict(part.scope.rng_counters) for part in parts]
        scopes = _marked(scope_of((tuple({} for _ in ours), others), rngs))
        function(scopes, *args, **kw)
        params = [unfreeze(group).get("params", {}) for group in repack(scopes)[0]]
        for part, counter in zip(parts, counters, strict=True):
            part.scope.rng_counters.update(counter)
        return params

    if any(part.initializes for part in parts):
        drawn = plain(rngs)
        ours = [
            part.init(params, lambda rngs, n=n: plain(rngs)[n], rngs) if part.initializes else mine
            for n, (part, params, mine) in enumerate(zip(parts, drawn, ours, strict=True))
        ]
    weights = tuple({"params": part.select(mine)} for part, mine in zip(parts, ours, strict=True))
    scopes = _marked(scope_of((weights, others), rngs, mutable_filter=subtract_filters(True, list(OURS))))
    try:
        result = function(scopes, *args, **kw)
    except ScopeCollectionNotFound as error:
        if not any(f'collection "{name}"' in str(error) for name in OURS):
            raise
        raise ValueError(
            f"module: a part of it has a collection of the name 'frozen', or maps its own variables, as nn.WeightNorm "
            f"does ({error}); use the selector's own `init` and `select` on its parameters"
        ) from error
    return result, (tuple(ours), repack(scopes)[1])


def _marked(scopes: Any) -> Any:
    """Marks scopes, and through them all scopes below, as those of a module that has its selected weights."""
    for scope in jax.tree.leaves(scopes):
        scope.flags = scope.flags.copy({_WITHIN: scope.root.path})
    return scopes


def is_within(scope: Scope | None) -> bool:
    """Whether a module has its selected weights already.

    Raises:
        ValueError: if it is part of a module that has them.
    """
    path = None if scope is None else scope.get_flag(_WITHIN, None)
    if scope is not None and path not in (None, scope.path):
        raise ValueError(
            f"module: {'/'.join(scope.path)} selects its weights, but so does the module that it is part of; use "
            "slotjax.linen.Selected and slotjax's layers on one of them alone"
        )
    return path is not None


class Part:
    """A scope whose weights are selected: its place in the tree of the whole model, and the keys of the user."""

    def __init__(self, scope: Scope, selector: Selector, is_layer: bool, is_own: bool) -> None:
        self.scope, self.selector, self.is_layer, self.is_own = scope, selector, is_layer, is_own
        there = "params" in scope.root._variables and scope._collection("params")
        self.initializes = scope.is_mutable_collection("params") and not there

    def init(self, params: PyTree, plain: Callable[..., PyTree], rngs: PyTree) -> dict[str, PyTree]:
        """The variables that the selector makes of what the module drew."""
        tree = nest(self.scope.path, params)
        selector = within(self.selector, named_leaves(tree)) if self.is_layer else self.selector
        known = not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
        if needs_values(selector) and not (known and not self.is_layer):
            names = varying_names(tree) if known else drawn_names(lambda rngs: nest(self.scope.path, plain(rngs)), rngs)
            selector = decided(selector, some_vary(names, tree))
        key = _root_key(self.scope, "params")
        made = selector.init(jax.random.key(0) if key is None else key, tree)
        if jax.tree.leaves(made["frozen"]) and not self.scope.is_mutable_collection("frozen"):
            raise ValueError(
                "frozen: this collection, with the random values of selected weights, is lost; nn.scan and nn.vmap "
                "need 'frozen' in variable_axes beside 'params'"
            )
        return {name: unnest(self.scope.path, made[name]) for name in OURS}

    def select(self, variables: dict[str, PyTree]) -> PyTree:
        """The weights of variables."""
        if not variables.get("params") and jax.tree.leaves(variables.get("frozen", {})):
            raise ValueError(_MISSING.replace("frozen", "params", 1).replace("random values", "scores", 1))
        if not variables.get("params"):
            return {}
        if "frozen" not in variables and not self.is_own:
            return variables["params"]
        if "frozen" not in variables and not (self.is_layer and _is_plain(variables["params"])):
            raise ValueError(_MISSING)
        tree = {name: nest(self.scope.path, variables.get(name, {})) for name in OURS}
        if not jax.tree.leaves(tree["frozen"]) and (self.is_layer or self.selector.settings == learned().settings):
            return variables["params"]
        return unnest(self.scope.path, self.selector.select(tree, _root_key(self.scope, "select")))


def _is_plain(params: PyTree) -> bool:
    """Whether all parameters of a layer are arrays, so that none of them is known to be selected."""
    return not any(isinstance(one, Mapping) for one in params.values())


def _root_key(scope: Scope, stream: str) -> PRNGKeyArray | None:
    """The key that the user gave for an rng stream: Flax folds paths into it in its own way, selectors in theirs."""
    return LazyRng.create(scope.rngs[stream]).rng if stream in scope.rngs else None
