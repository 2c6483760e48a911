"""Linen modules whose weights are selected: any module, and drop-in layers for `nn.Dense` and `nn.Conv`."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import flax.linen as nn
import jax
from flax.core import lift, unfreeze
from flax.core.scope import LazyRng, Scope, subtract_filters
from flax.linen.transforms import lift_transform
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from slotjax.selectors import (
    Selector,
    check_selector,
    decided,
    drawn_names,
    kind_of,
    learned,
    named_leaves,
    names_a_scale,
    needs_values,
    nest,
    slot_machine,
    some_vary,
    unnest,
    varying_names,
    within,
)

__all__ = ["Conv", "Dense", "Selected"]

_OURS = ("params", "frozen")
_MISSING = """frozen: the collection with the random values of selected weights is missing; give `apply` both that \
`init` returned, {'params': ..., 'frozen': ...}, and nn.scan and nn.vmap 'frozen' in variable_axes"""
_WITHIN = "slotjax_within"  # a flag of scopes
_SELECTED = "_slotjax_selected"  # an attribute of classes


def Selected(module: nn.Module, selector: Selector) -> nn.Module:  # noqa: N802
    """A module with scores in place of the weights that a selector selects, and all else as it was.

    It is a module of a subclass of the given one: `init`, `apply` and all methods work as they did, within other
    modules, where it has the name of the given one, `nn.scan`, `nn.remat` and `nn.vmap` too. The collection `params`
    holds scores in place of selected weights, and `frozen` what draws their random values; both are what the selector
    makes of the module's parameters, `selector.init(key, module.init(key, x)["params"])`, bit for bit. An rng stream
    `"select"` samples, where selection is probabilistic. In `nn.scan` and `nn.vmap`, `"frozen"` needs an entry in
    `variable_axes` beside `"params"`.

    The plain module takes `{"params": selector.select(variables)}`, never scores: a mask's would pass for weights.

    Args:
        module: any Linen module that is not bound.
        selector: how its weights are chosen. Under `jax.jit`, where values are not known, a weight varies about zero if
            the module draws it at random.

    Raises:
        ValueError: if nothing varies, so that no weight can be selected; from `apply`, if a collection is missing, or
            if the variables are those of another selector.

    >>> import optax
    >>> model = slotjax.linen.Selected(nn.Sequential([nn.Dense(300), nn.relu, nn.Dense(10)]), slotjax.slot_machine(k=8))
    >>> x = jnp.ones((1, 784))
    >>> variables = model.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables["params"]["layers_0"])
    {'bias': (300,), 'kernel': {'a': (), 'u': (784, 300)}}
    >>> model.apply(variables, x).shape
    (1, 10)
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module: {kind_of(module)} was given, but it must be a Linen module; see slotjax.nnx for NNX")
    check_selector(selector)
    if isinstance(module.parent, Scope):
        raise ValueError("module: it is bound to variables, which `init` would not use; give the module that was bound")
    if hasattr(type(module), _SELECTED):
        raise ValueError(f"module: {type(module).__name__} selects its weights already; give the plain module")
    fields = {name: getattr(module, name) for name, field in module.__dataclass_fields__.items() if field.init}
    del fields["parent"], fields["name"]
    _give_up_name(module)
    return cast(Any, _selected_class)(type(module), selector)(**fields, name=module.name)


class Dense(nn.Dense):
    r"""`nn.Dense` with a selected kernel: $y = x W + b$, where $W_{ij}$ is one of K frozen random options.

    It takes every argument of `nn.Dense`, and `selector`; see `Selected` for its variables. By default `kernel_init`
    gives the kernel its scale. The layer has the same random values as `selector.init` on the whole model with the same
    key, unless `nn.scan` or `nn.vmap` splits the key. Called twice in one forward pass, a layer samples once, because a
    connection has one draw per forward pass.

    Attributes:
        selector: how the kernel is chosen. Default: `slotjax.slot_machine()`.

    Raises:
        ValueError: if the collection `frozen` is missing, and for a selector that draws or ranks all weights of a
            network together.

    See section 3.2 of Aladago & Torresani (2021).

    >>> layer = slotjax.Dense(300, use_bias=False, selector=slotjax.slot_machine(k=2))
    >>> x = jnp.ones((1, 784))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables["params"]), layer.apply(variables, x).shape
    ({'kernel': {'a': (), 'u': (784, 300)}}, (1, 300))
    """

    selector: Selector = slot_machine()

    def __call__(self, inputs: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        """The layer with the selected kernel."""
        return _call_layer(self, nn.Dense.__call__, inputs)


class Conv(nn.Conv):
    r"""`nn.Conv` with a selected kernel: $y = x * W + b$, where each entry of $W$ is one of K frozen random options.

    It takes every argument of `nn.Conv`, and `selector`; all else is as in `slotjax.Dense`.

    Attributes:
        selector: how the kernel is chosen. Default: `slotjax.slot_machine()`.

    >>> layer = slotjax.Conv(64, (3, 3), use_bias=False)
    >>> x = jnp.ones((1, 32, 32, 3))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables["params"]), layer.apply(variables, x).shape
    ({'kernel': {'a': (), 'u': (3, 3, 3, 64)}}, (1, 32, 32, 64))
    """

    selector: Selector = slot_machine()

    def __call__(self, inputs: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
        """The layer with the selected kernel."""
        return _call_layer(self, nn.Conv.__call__, inputs)


def _call_layer(layer: Any, call: Callable[..., Any], inputs: Array) -> Any:
    check_selector(layer.selector)
    if layer.selector.joint:
        raise ValueError(
            f"selector: that of {'/'.join((*layer.path, 'kernel'))} draws or ranks all weights of a network together, "
            "which a layer alone cannot; use slotjax.linen.Selected on the whole module"
        )
    if layer.kernel_init is not type(layer).kernel_init and names_a_scale(layer.selector):
        raise ValueError(
            "kernel_init: the selector's distribution would be drawn in its place; give slot_machine() without "
            "distribution=, which takes the scale of kernel_init, or no kernel_init"
        )
    _is_within(layer.scope)  # which raises
    return lift_transform(_selecting(layer.selector, layer.scope, is_layer=True), call)(layer, inputs)


def _give_up_name(module: Any) -> None:
    """Frees the name that a module took from the one in whose compact method it was made: another takes its place."""
    if isinstance(module.parent, nn.Module) and module.scope is not None:
        del module.parent._state.children[module.name]
        names: Any = module.parent.scope
        names.reservations.pop(module.name)


@functools.lru_cache(maxsize=256)
def _selected_class(module_class: Any, selector: Any) -> Any:
    """The subclass whose methods run on selected weights."""

    def lifted(method):
        @functools.wraps(method)
        def run(self, *args, **kwargs):
            if _is_within(self.scope):  # one method calls another, with the weights that the first selected
                return method(self, *args, **kwargs)
            return lift_transform(_selecting(selector, self.scope), method)(self, *args, **kwargs)

        return run

    methods = {name: lifted(getattr(module_class, name)) for name in _own_methods(module_class)}
    return type(f"Selected{module_class.__name__}", (module_class,), {**methods, _SELECTED: True})


def _own_methods(module_class: type[nn.Module]) -> list[str]:
    """The methods of a module, beside those of all modules and those that are its own business."""
    defined = {name for one in module_class.__mro__ if one not in nn.Module.__mro__ for name in vars(one)}
    public = {name for name in defined if name == "__call__" or not name.startswith("_")} - {"setup"}
    return sorted(name for name in public if inspect.isfunction(inspect.getattr_static(module_class, name)))


def _selecting(selector: Selector, own: Scope | None, is_layer: bool = False) -> Callable[..., Any]:
    """The lifted transformation of a module's method that runs on selected weights."""

    def transform(function):
        def lifted(scopes, *args, **kwargs):
            # Beside the module's own scope, those of modules that it was given and that belong to another.
            packs, _ = lift._dedup_scopes(jax.tree.leaves(scopes))
            parts = [_Part(scope, selector, is_layer, scope is own) for scope in packs]
            run = functools.partial(_run, function, parts)
            filters = (list(_OURS), subtract_filters(True, list(_OURS)))
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
    scopes = _marked(scope_of((weights, others), rngs, mutable_filter=subtract_filters(True, list(_OURS))))
    result = function(scopes, *args, **kw)
    return result, (tuple(ours), repack(scopes)[1])


def _marked(scopes: Any) -> Any:
    """Marks scopes, and through them all scopes below, as those of a module that has its selected weights."""
    for scope in jax.tree.leaves(scopes):
        scope.flags = scope.flags.copy({_WITHIN: scope.root.path})
    return scopes


def _is_within(scope: Scope | None) -> bool:
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


class _Part:
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
        return {name: unnest(self.scope.path, made[name]) for name in _OURS}

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
        tree = {name: nest(self.scope.path, variables.get(name, {})) for name in _OURS}
        if not jax.tree.leaves(tree["frozen"]) and (self.is_layer or self.selector.settings == learned().settings):
            return variables["params"]
        return unnest(self.scope.path, self.selector.select(tree, _root_key(self.scope, "select")))


def _is_plain(params: PyTree) -> bool:
    """Whether all parameters of a layer are arrays, so that none of them is known to be selected."""
    return not any(isinstance(one, Mapping) for one in params.values())


def _root_key(scope: Scope, stream: str) -> PRNGKeyArray | None:
    """The key that the user gave for an rng stream: Flax folds paths into it in its own way, selectors in theirs."""
    return LazyRng.create(scope.rngs[stream]).rng if stream in scope.rngs else None
