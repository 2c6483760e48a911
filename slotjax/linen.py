"""Linen modules whose weights are selected: any module, and drop-in layers for `nn.Dense` and `nn.Conv`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
from flax import core
from flax.core.scope import Scope
from flax.linen.transforms import lift_transform
from jaxtyping import Array, Float

from slotjax._lifted import OURS, Part, is_within, selecting
from slotjax.selectors import Selector, check_selector, kind_of, names_a_scale, slot_machine

__all__ = ["Conv", "Dense", "Selected"]

_SELECTED, _ENTERED = "_slotjax_selected", "_slotjax_entered"  # attributes of classes and of instances


def Selected(module: nn.Module, selector: Selector) -> nn.Module:  # noqa: N802
    """A module with scores in place of the weights that a selector selects, and all else as it was.

    It is a module of a subclass of the given one: `init`, `apply` and all methods work as they did, within other
    modules, where it has the name of the given one, `nn.scan`, `nn.remat` and `nn.vmap` too. The collection `params`
    holds scores in place of selected weights, and `frozen` what draws their random values; both are what the selector
    makes of the module's parameters, `selector.init(key, module.init(key, x)["params"])`, bit for bit if both run under
    `jax.jit` or neither. An rng stream `"select"` samples, where selection is probabilistic. In `nn.scan` and
    `nn.vmap`, `"frozen"` needs an entry in `variable_axes` beside `"params"`.

    The plain module takes `{"params": selector.select(variables)}`, never scores: a mask's would pass for weights. So
    `bind` gives the plain module, with its selected weights.

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
    fields = _fields(module)
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
    is_within(layer.scope)  # which raises
    return lift_transform(selecting(layer.selector, layer.scope, is_layer=True), call)(layer, inputs)


def _give_up_name(module: Any) -> None:
    """Frees the name that a module took from the one in whose compact method it was made: another takes its place."""
    if isinstance(module.parent, nn.Module) and module.scope is not None:
        del module.parent._state.children[module.name]
        names: Any = module.parent.scope
        names.reservations.pop(module.name)


@functools.lru_cache(maxsize=256)
def _selected_class(plain: Any, selector: Any) -> Any:
    """The subclass whose methods run on selected weights."""

    @nn.nowrap
    def clone(self, *, parent=None, **kwargs):
        if isinstance(parent, Scope) and _ENTERED in vars(self):  # `hasattr` would make Flax call `setup`
            parent.flags = parent.flags.copy({_ENTERED: True})
        _check_entered(parent)
        return plain.clone(self, parent=parent, **kwargs)

    @nn.nowrap
    def bind(self, variables, *_, rngs=None, mutable=False):
        return _bound(self, plain, selector, variables, rngs, mutable)

    def setup(self):
        # Outside of its methods it has scores. So what `setup` makes is not there, and Flax says so to who asks for it.
        if not _has_variables(self.scope) or is_within(self.scope):
            plain.setup(self)

    @nn.nowrap
    def reduce(self):  # because pickle finds no class that is made here
        return Selected, (plain(**_fields(self), name=self.name), selector)

    methods = {name: _lifted(selector, getattr(plain, name)) for name in _own_methods(plain)}
    methods |= {name: _entered(selector, getattr(plain, name)) for name in ("apply", "init_with_output")}
    methods |= {"bind": bind, "clone": clone, "setup": setup, "__reduce__": reduce}
    return type(f"Selected{plain.__name__}", (plain,), {**methods, _SELECTED: True})


def _lifted(selector: Selector, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that runs on selected weights."""

    @nn.nowrap  # so that Flax does not call `setup` beforehand, with scores
    @functools.wraps(method)
    def run(self, *args, **kwargs):
        # Outside of `apply`, or where one method calls another, with the weights that the first selected.
        if self.scope is None or is_within(self.scope):
            return method(self, *args, **kwargs)
        return lift_transform(selecting(selector, self.scope), method)(self, *args, **kwargs)

    return run


def _entered(selector: Selector, enter: Callable[..., Any]) -> Callable[..., Any]:
    """`apply` or `init`, which run any method, function of the user's, or part of the module on selected weights."""

    @nn.nowrap
    @functools.wraps(enter)
    def run(self, *args, method=None, **kwargs):
        part = method if isinstance(method, str) and isinstance(getattr(self, method, None), nn.Module) else None
        if part is not None:
            method = _lifted(selector, lambda module, *args, **kwargs: getattr(module, part)(*args, **kwargs))
        elif callable(method):  # of the plain class, or the user's, which no subclass overrides
            method = _lifted(selector, getattr(method, "__func__", method))
        marked = self.clone()
        object.__setattr__(marked, _ENTERED, True)
        return enter(marked, *args, method=method, **kwargs)

    return run


def _check_entered(scope: Any) -> None:
    """Raises for the scope of a whole network if a function of Flax's, and no method of the module, is to run in it."""
    is_root = isinstance(scope, Scope) and scope.path == ()
    if is_root and _has_variables(scope) and not (scope.get_flag(_ENTERED, False) or is_within(scope)):
        raise ValueError(
            "module: nn.apply and nn.init would run it on scores; use its own `apply` and `init`, whose method= takes "
            "any function of the module"
        )


def _has_variables(scope: Scope | None) -> bool:
    """Whether something can run in a scope, or Flax only looks at what `setup` makes."""
    return scope is not None and bool(scope.root._variables or scope.root.rngs)


def _bound(module: Any, plain: Any, selector: Selector, variables: Any, rngs: Any, mutable: Any) -> nn.Module:
    """The plain module, bound to the weights that variables select."""
    scope = core.bind(variables, rngs=rngs, mutable=mutable)
    ours = {name: variables[name] for name in OURS if name in variables}
    weights = Part(scope, selector, is_layer=False, is_own=True).select(ours)
    others = {name: value for name, value in variables.items() if name not in OURS}
    return plain(**_fields(module), name=module.name).bind(others | {"params": weights}, rngs=rngs, mutable=mutable)


def _fields(module: Any) -> dict[str, Any]:
    """What a module was made with, beside its name and the module that it is part of."""
    fields = {name for name, field in module.__dataclass_fields__.items() if field.init} - {"parent", "name"}
    return {name: getattr(module, name) for name in fields}


def _own_methods(plain: type[nn.Module]) -> list[str]:
    """The methods of a module, beside those of all modules."""
    defined = {name for one in plain.__mro__ if one not in nn.Module.__mro__ for name in vars(one)}
    named = {name for name in defined if name == "__call__" or not name.startswith("__")} - {"setup"}
    return sorted(name for name in named if inspect.isfunction(inspect.getattr_static(plain, name)))
