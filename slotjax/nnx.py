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

from slotjax._places import Lock, changed, exchanged, nodes_of, places, put
from slotjax.options import Drawn
from slotjax.selectors import Selector, check_selector, kind_of

__all__ = ["Frozen", "Selected"]


Path = tuple[str | int, ...]


class Frozen(nnx.Variable):
    """What the random values of a weight are, or are drawn from; an optimizer of `nnx.Param`s leaves it alone.

    >>> from flax import nnx
    >>> model = slotjax.nnx.Selected(nnx.Linear(30, 20, rngs=nnx.Rngs(0)), slotjax.slot_machine(), jax.random.key(1))
    >>> sorted(nnx.to_pure_dict(nnx.state(model, slotjax.nnx.Frozen))["module"]["kernel"])
    ['seed', 'sigma']
    """


class Slot(nnx.Module):
    """What stands in place of a selected `nnx.Param`: its scores, and its frozen values."""

    def __init__(self, path: Path, trainable: Any, frozen: Drawn, param: nnx.Param) -> None:
        self.path, self.made = path, tuple(frozen.made.items())
        named = trainable if isinstance(trainable, dict) else {"scores": trainable}
        self.is_array, self.trained, self.drawn = named is not trainable, tuple(named), tuple(frozen)
        for one, value in named.items():
            setattr(self, one, _like(param, value))
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
            f"{_name(self.path)}: it has scores, and no values until it is selected; call the "
            "slotjax.nnx.Selected as a whole or one of its methods, or take the part from its weights()"
        )

    def variables(self) -> tuple[Any, Drawn]:
        """What trains, and what is frozen, as the selector made them."""
        trainable = {name: _raw(getattr(self, name)) for name in self.trained}
        frozen = Drawn({name: getattr(self, name)[...] for name in self.drawn}, dict(self.made))
        return trainable["scores"] if self.is_array else trainable, frozen


class TreeSlot(Slot):
    """What stands in place of an `nnx.Param` whose value is a tree: a slot for each weight that is selected."""

    def __init__(self, path: Path, trainable: Any, frozen: Any, param: nnx.Param) -> None:
        structure: Any = jax.tree.structure(frozen, is_leaf=_ends)
        pairs = zip(structure.flatten_up_to(trainable), structure.flatten_up_to(frozen), strict=True)
        self.path, self.structure = path, structure
        self.parts = nnx.List(
            Slot(path, one, drawn, param) if isinstance(drawn, Drawn) else _like(param, one) for one, drawn in pairs
        )

    def variables(self) -> tuple[Any, Any]:
        """What trains, and what is frozen, as trees."""
        pairs = [part.variables() if isinstance(part, Slot) else (_raw(part), {}) for part in self.parts]
        trainable, frozen = (self.structure.unflatten(part) for part in zip(*pairs, strict=True))
        return trainable, frozen


class Selected(nnx.Module):
    """A module with scores in place of the weights that a selector selects, and all else as it was.

    It is called as the module was, has its methods, its train and eval modes, its batch statistics and its dropout.
    Setting one of its attributes sets that of the module. Only `nnx.Param`s are selected: their scores are
    `nnx.Param`s too, so `nnx.Optimizer(model, tx, wrt=nnx.Param)` trains them, and what is random is
    `slotjax.nnx.Frozen`. Those of a subclass, such as `nnx.LoRAParam`, have scores of this class. Weights that are tied
    stay so. The module itself is changed: it belongs to this one from then on. Threads may share it, if either all or
    none of them call it under `nnx.jit`.

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
        if _slots(module):
            raise ValueError("module: its weights are selected already; give the plain module, such as its weights()")
        _check_rngs(rngs)
        variables = selector.init(key, _params(module))
        slots = _made_slots(module, variables)
        put(changed(places(module, slots), slots))
        self.selector, self.rngs, self.deterministic, self._lock = selector, rngs, False, Lock()
        self.module = module

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

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute of the module there; what the module does not have, and its mode, are this one's."""
        module = vars(self).get("module")
        is_its = module is not None and not name.startswith("_pytree__") and _has(module, name)
        if not is_its or name == "deterministic":
            super().__setattr__(name, value)
        if is_its:
            self._check_settable(name)
            setattr(module, name, value)

    def _check_settable(self, name: str) -> None:
        """Raises for what both have, but the mode, and for what holds selected weights."""
        if name != "deterministic" and (name in vars(self) or hasattr(type(self), name)):
            raise ValueError(f"{name}: the slotjax.nnx.Selected has it too; set that of the module, its .module.{name}")
        if any(isinstance(node, Slot) for _, node in nnx.iter_graph(vars(self.module).get(name))):
            raise ValueError(
                f"{name}: its weights are selected, so it cannot be set to anything else; set it on a plain module, "
                "such as weights(), and select that"
            )

    def weights(self) -> nnx.Module:
        """The plain module with the selected weights, a copy."""
        with self._with_weights() as module:
            return nnx.clone(module)

    def variables(self) -> dict[str, PyTree]:
        """`{"params": ..., "frozen": ...}` as the selector made them, for tickets and analysis."""
        with self._lock.held:
            return self._variables(_slots(self.module))

    def _variables(self, slots: dict[Path, Slot]) -> dict[str, PyTree]:
        params = _params(self.module)
        frozen: dict[str, Any] = jax.tree.map(lambda _: {}, params)
        for path, slot in slots.items():
            trainable, drawn = slot.variables()
            params, frozen = _with_value(params, path, trainable), _with_value(frozen, path, drawn)
        return {"params": params, "frozen": frozen}

    @contextmanager
    def _with_weights(self) -> Iterator[nnx.Module]:
        """The module while it has weights in place of slots, in one thread at a time."""
        with self._lock.held:
            slots = _slots(self.module)
            variables = self._variables(slots)
            key = None if self.rngs is None or self.deterministic else self.rngs["select"]()
            weights = self.selector.select(variables, key)
            new = {id(slot): _parameter(slot, _at(weights, path)) for path, slot in slots.items()}
            with exchanged(self.module, new):
                yield self.module

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with self._with_weights() as module:
            return getattr(module, method)(*args, **kwargs)


def _has(module: nnx.Module, name: str) -> bool:
    # Properties are not read, as they may need the weights.
    return name in vars(module) or hasattr(type(module), name) or hasattr(module, name)


def _check_rngs(rngs: Any) -> None:
    if rngs is not None and not (isinstance(rngs, nnx.Rngs) and ("select" in rngs or "default" in rngs)):
        raise ValueError(
            f"rngs: {kind_of(rngs)} was given, but it must be nnx.Rngs with a stream 'select' or a default one"
        )


def _made_slots(module: nnx.Module, variables: dict[str, PyTree]) -> dict[int, Slot]:
    """The slots of what is selected, by the identity of the parameters whose places they take."""
    made: dict[int, Slot] = {}
    paths: list[tuple[Any, Any]] = [one for one in nnx.iter_graph(module) if isinstance(one[1], nnx.Param)]
    for path, node in paths:
        trainable, frozen = (_at(variables[name], path) for name in ("params", "frozen"))
        if any(isinstance(one, Drawn) for one in jax.tree.leaves(frozen, is_leaf=_ends)):
            node.set_raw_value(node.get_raw_value())  # refuses, as NNX does, to change what is of another trace
            kind = Slot if isinstance(frozen, Drawn) else TreeSlot
            made[id(node)] = kind(path, trainable, frozen, node)
    placed = {id(node) for _, _, value in places(module, made) for node in nodes_of(value)}
    for lost in [slot for one, slot in made.items() if one not in placed]:
        raise ValueError(
            f"module: {_name(lost.path)} is held where scores cannot replace it; hold it in an NNX module or a pytree"
        )
    return made


def _parameter(slot: Slot, value: Any) -> nnx.Variable:
    """The selected weight as the parameter that the slot stands for, with the names of its dimensions."""
    one = next(part for part in slot.parts if isinstance(part, Slot)) if isinstance(slot, TreeSlot) else slot
    scores = [getattr(one, name) for name in one.trained]
    return _like(max(scores, key=lambda param: jnp.ndim(_raw(param))), value)


def _like(param: nnx.Param, value: Any) -> nnx.Variable:
    """Another value in the class of a parameter, with its metadata."""
    metadata = _fitted(param.get_metadata(), max(map(jnp.ndim, jax.tree.leaves(value)), default=0))
    # A variable of no class puts it on the devices; what a class or its hooks do to a new value was done to the old.
    plain = nnx.Variable(value, **{name: one for name, one in metadata.items() if not name.startswith("on_")})
    return type(param).from_metadata(plain.get_raw_value(), metadata)


def _fitted(metadata: dict[str, Any], ndim: int) -> dict[str, Any]:
    """The metadata of a parameter for one with other leading dimensions: K scores have one more than a weight."""
    names = metadata.get("out_sharding")
    if names is None:
        return metadata
    return metadata | {"out_sharding": (*(None,) * ndim, *names)[len(names) :]}


def _params(module: nnx.Module) -> dict[str, Any]:
    return nnx.to_pure_dict(nnx.state(module, nnx.Param), _raw)


def _raw(variable: Any) -> Any:
    """What a variable holds, which a class of its own may give in another form."""
    value = variable.get_raw_value()
    return value[...] if variable.get_metadata("ref", False) else value


def _slots(module: nnx.Module) -> dict[Path, Slot]:
    """The slots by the paths of what they stand for."""
    # Those within a TreeSlot have its path; it comes after them, and so takes their place here.
    return {node.path: node for _, node in nnx.iter_graph(module) if isinstance(node, Slot)}


def _ends(value: Any) -> bool:
    """Whether a tree of frozen values ends here: at those of a weight, or at none."""
    return isinstance(value, Drawn) or value == {}


def _name(path: Path) -> str:
    return "/".join(map(str, path))


def _at(tree: Any, path: Path) -> Any:
    return functools.reduce(operator.getitem, path, tree)


def _with_value(tree: Any, path: Path, value: Any) -> Any:
    """The tree with another value at a path."""
    if not path:
        return value
    first, *rest = path
    return {**tree, first: _with_value(tree.get(first, {}), tuple(rest), value)}
