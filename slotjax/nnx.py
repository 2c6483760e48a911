"""NNX modules whose weights are selected: scores are `nnx.Param`s, and what is frozen never trains."""

import functools
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.options import Drawn
from slotjax.selectors import Selector, check_selector, kind_of

__all__ = ["Frozen", "Selected"]


class Frozen(nnx.Variable):
    """What the random values of a weight are, or are drawn from; an optimizer of `nnx.Param`s leaves it alone.

    >>> from flax import nnx
    >>> model = slotjax.nnx.Selected(nnx.Linear(30, 20, rngs=nnx.Rngs(0)), slotjax.slot_machine(), jax.random.key(1))
    >>> sorted(nnx.to_pure_dict(nnx.state(model, slotjax.nnx.Frozen))["module"]["kernel"])
    ['seed', 'sigma']
    """


class Slot(nnx.Module):
    """What stands in place of a selected `nnx.Param`: its scores, and its frozen values."""

    def __init__(self, path: tuple[str | int, ...], trainable: Any, frozen: Drawn, metadata: dict[str, Any]) -> None:
        self.path, self.made = path, tuple(frozen.made.items())
        named = trainable if isinstance(trainable, dict) else {"scores": trainable}
        self.is_array, self.trained, self.drawn = named is not trainable, tuple(named), tuple(frozen)
        for one, value in named.items():
            setattr(self, one, nnx.Param(value, **_fitted(metadata, jnp.ndim(value))))
        for one, value in frozen.items():
            setattr(self, one, Frozen(value))

    def __getitem__(self, _: Any) -> Any:
        raise ValueError(self._no_values())

    def __jax_array__(self) -> Any:
        raise ValueError(self._no_values())

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name}: {self._no_values()}" if name in ("value", "shape", "dtype", "T") else name)

    def _no_values(self) -> str:
        return (
            f"{'/'.join(map(str, self.path))}: it has scores, and no values until it is selected; call the "
            "slotjax.nnx.Selected as a whole or one of its methods, or take the part from its weights()"
        )

    def variables(self) -> tuple[Any, Drawn]:
        """What trains, and what is frozen, as the selector made them."""
        trainable = {name: getattr(self, name)[...] for name in self.trained}
        frozen = Drawn({name: getattr(self, name)[...] for name in self.drawn}, dict(self.made))
        return trainable["scores"] if self.is_array else trainable, frozen


class Selected(nnx.Module):
    """A module with scores in place of the weights that a selector selects, and all else as it was.

    It is called as the module was, has its methods, its train and eval modes, its batch statistics and its dropout.
    Only `nnx.Param`s are selected: their scores are `nnx.Param`s too, so `nnx.Optimizer(model, tx, wrt=nnx.Param)`
    trains them, and what is random is `slotjax.nnx.Frozen`. Weights that are tied stay so. The module itself is
    changed: it belongs to this one from then on.

    Args:
        module: any NNX module.
        selector: how its weights are chosen. In a function under `nnx.jit` that makes the module, where values are not
            known, it needs `where=`, which picks its weights by name; else make the module there and select outside.
        key: the source of all random values.
        rngs: with a stream `"select"`, training samples, where selection is probabilistic. Default: it does not.

    Raises:
        ValueError: if nothing varies, so that no weight can be selected, and as `selector.init` does.

    >>> from flax import nnx
    >>> plain = nnx.Linear(784, 10, rngs=nnx.Rngs(0))
    >>> model = slotjax.nnx.Selected(plain, slotjax.slot_machine(k=8), jax.random.key(1))
    >>> model(jnp.ones((1, 784))).shape, model.weights().kernel.shape
    ((1, 10), (784, 10))
    >>> jax.tree.map(jnp.shape, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    {'module': {'bias': (10,), 'kernel': {'a': (), 'u': (784, 10)}}}
    """

    def __init__(self, module: nnx.Module, selector: Selector, key: PRNGKeyArray, rngs: nnx.Rngs | None = None) -> None:
        if not isinstance(module, nnx.Module):
            raise ValueError(
                f"module: {kind_of(module)} was given, but it must be an NNX module; see slotjax.linen for Linen"
            )
        check_selector(selector)
        if any(isinstance(value, Slot) for _, _, value in _attributes(module)):
            raise ValueError("module: its weights are selected already; give the plain module, such as its weights()")
        _check_rngs(rngs)
        variables = selector.init(key, nnx.to_pure_dict(nnx.state(module, nnx.Param)))
        paths: dict[int, Any] = {id(node): path for path, node in nnx.iter_graph(module) if isinstance(node, nnx.Param)}
        slots: dict[Path, Slot] = {}
        for node, name, value in _attributes(module):
            path = paths.get(id(value), ())
            trainable, drawn = (
                functools.reduce(operator.getitem, path, variables[one]) for one in ("params", "frozen")
            )
            if path and isinstance(drawn, Drawn):
                setattr(node, name, slots.setdefault(path, Slot(path, trainable, drawn, value.get_metadata())))
        self.module, self.selector, self.rngs, self.deterministic = module, selector, rngs, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module with the selected weights."""
        with self._with_weights() as module:
            return module(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """The module's own attributes; its methods run on the selected weights."""
        if name.startswith("_") or "module" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        found = getattr(self.module, name)
        return functools.partial(self._call, name) if callable(found) and not isinstance(found, nnx.Module) else found

    def weights(self) -> nnx.Module:
        """The plain module with the selected weights, a copy."""
        with self._with_weights() as module:
            return nnx.clone(module)

    def variables(self) -> dict[str, PyTree]:
        """`{"params": ..., "frozen": ...}` as the selector made them, for tickets and analysis."""
        params = nnx.to_pure_dict(nnx.state(self.module, nnx.Param))
        frozen: dict[str, Any] = jax.tree.map(lambda _: {}, params)
        for path, (_, slot) in _slots(self.module).items():
            trainable, drawn = slot.variables()
            params, frozen = _with_value(params, path, trainable), _with_value(frozen, path, drawn)
        return {"params": params, "frozen": frozen}

    @contextmanager
    def _with_weights(self) -> Iterator[nnx.Module]:
        """The module while it has weights in place of slots."""
        variables, slots = self.variables(), _slots(self.module)
        key = None if self.rngs is None or self.deterministic else self.rngs["select"]()
        weights = self.selector.select(variables, key)
        for path, (places, slot) in slots.items():
            _put(places, _parameter(slot, functools.reduce(operator.getitem, path, weights)))
        try:
            yield self.module
        finally:
            for places, slot in slots.values():
                _put(places, slot)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self._with_weights() as module:
            return getattr(module, method)(*args, **kwargs)


Path = tuple[str | int, ...]
Places = list[tuple[nnx.Module, str]]


def _check_rngs(rngs: Any) -> None:
    if rngs is not None and not (isinstance(rngs, nnx.Rngs) and ("select" in rngs or "default" in rngs)):
        raise ValueError(
            f"rngs: {kind_of(rngs)} was given, but it must be nnx.Rngs with a stream 'select' or a default one"
        )


def _parameter(slot: Slot, value: Any) -> nnx.Param:
    """The selected weight as the parameter that the slot stands for, with the names of its dimensions."""
    widest = max((getattr(slot, name) for name in slot.trained), key=lambda scores: scores.ndim)
    return nnx.Param(value, **_fitted(widest.get_metadata(), jnp.ndim(value)))


def _fitted(metadata: dict[str, Any], ndim: int) -> dict[str, Any]:
    """The metadata of a parameter for one with other leading dimensions: K scores have one more than a weight."""
    names = metadata.get("out_sharding")
    if names is None:
        return metadata
    return metadata | {"out_sharding": (*(None,) * ndim, *names)[len(names) :]}


def _slots(module: nnx.Module) -> dict[Path, tuple[Places, Slot]]:
    """By the path of each selected weight, where its slot stands, several times if it is tied, and the slot."""
    found: dict[Path, tuple[Places, Slot]] = {}
    for node, name, value in _attributes(module):
        if isinstance(value, Slot):
            found.setdefault(value.path, ([], value))[0].append((node, name))
    return found


def _attributes(module: nnx.Module) -> list[tuple[Any, str, Any]]:
    nodes = [node for _, node in nnx.iter_graph(module) if isinstance(node, nnx.Module)]
    return [(node, name, value) for node in nodes for name, value in vars(node).items()]


def _put(places: Places, value: Any) -> None:
    # Past NNX's own bookkeeping, which allows no change within a trace; it is undone before anybody looks.
    for node, name in places:
        vars(node)[name] = value


def _with_value(tree: Any, path: Path, value: Any) -> Any:
    """The tree with another value at a path."""
    if not path:
        return value
    first, *rest = path
    return {**tree, first: _with_value(tree.get(first, {}), tuple(rest), value)}
