"""A method for each weight by itself: one traced function for all weights of a shape, a key for each name."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PRNGKeyArray

from slotjax.options import Codebook, Drawn, MisfitError, explicit_sharding, placed_like, widened
from slotjax.selectors.selector import Frozen, Method, Weight

Result = TypeVar("Result")


class Each(NamedTuple):
    """A method for each weight by itself; see `JointMethod`."""

    method: Method

    def init(self, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Frozen]]:
        """Draws every weight with a key of its own."""
        return each_named(lambda name, leaf: self._init(fold_name(key, name), leaf), leaves)

    def choose(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """The choice of every weight."""
        return self._of_all(_choose, weights, key)

    def value(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """The value of every weight."""
        return self._of_all(_value, weights, key)

    def scores(self, weights: dict[str, Weight]) -> dict[str, Any]:
        """The scores of every weight."""
        return self._of_all(lambda method, weight, key: method.scores(weight), weights, None)

    def codebooks(self, weights: dict[str, Weight]) -> dict[str, Codebook | None]:
        """The codebook of every weight."""
        return self._of_all(lambda method, weight, key: method.codebook(weight), weights, None)

    def _init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Any, Frozen]:
        trainable, frozen = init_placed(self.method.init, key, leaf)
        if not jax.tree.leaves(frozen):
            return trainable, {}
        dtype = getattr(leaf, "dtype", None)
        dtype = jax.dtypes.canonicalize_dtype(dtype) if isinstance(dtype, np.dtype) else dtype
        drawn = frozen if isinstance(frozen, Drawn) else Drawn(frozen, {"shape": np.shape(leaf)})
        return trainable, drawn.with_more(made={"method": self.method.name, "dtype": str(dtype)})

    def _of_all(self, function: Callable[..., Any], weights: dict[str, Weight], key: Any) -> dict[str, Any]:
        def one(name, weight):
            weight.frozen.check({"method": self.method.name})
            return function(self.method, weight, key if key is None else fold_name(key, name))

        return each_weight(one, weights)


def each_named(function: Callable[[str, Any], Result], leaves: dict[str, Any]) -> dict[str, Result]:
    """`function(name, leaf)` for every leaf; its errors name the leaf."""
    return {name: _named_error(function, name, leaf) for name, leaf in leaves.items()}


def each_weight(function: Callable[[str, Weight], Result], weights: dict[str, Weight]) -> dict[str, Result]:
    """`function(name, weight)` for every selected weight; the error of variables that do not fit names it."""
    return {name: _named_misfit(function, name, weight) for name, weight in weights.items()}


def fold_name(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """The key of the weight called `name`: the same for a name in whichever tree it stands."""
    for word in np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], "<u4"):
        key = jax.random.fold_in(key, word)
    return key


def init_placed(init: Callable[..., Any], key: PRNGKeyArray, leaf: Any) -> Any:
    """`init(key, leaf)`, whose arrays are sharded as the leaf is."""
    if isinstance(leaf, jax.core.Tracer):
        return jax.tree.map(lambda array: _alike(array, leaf), init(key, leaf))
    sharding = getattr(leaf, "sharding", None)
    if isinstance(leaf, jax.Array) and explicit_sharding(leaf) is None and not leaf.committed:
        sharding = None
    made = init(key, leaf)
    return made if sharding is None else jax.tree.map(lambda array: _placed(array, leaf, sharding), made)


def _placed(array: Any, leaf: Any, sharding: Any) -> Any:
    if not isinstance(sharding, NamedSharding):
        return jax.device_put(array, sharding)
    if array.shape[array.ndim - leaf.ndim :] != leaf.shape or array.ndim < leaf.ndim:
        return jax.device_put(array, NamedSharding(sharding.mesh, PartitionSpec()))
    return jax.device_put(array, widened(sharding, array.ndim - leaf.ndim))


def _alike(array: Any, leaf: Any) -> Any:
    if array.ndim < leaf.ndim or array.shape[array.ndim - leaf.ndim :] != leaf.shape:
        return array
    if explicit_sharding(leaf) is not None:
        return placed_like(array, leaf)
    # The compiler shards the operands of a selection alike. It takes equal values, which the barrier keeps from it.
    nowhere = lax.broadcast(lax.ne(leaf, leaf), array.shape[: array.ndim - leaf.ndim])
    return lax.select(nowhere, lax.optimization_barrier(array), array)


@functools.partial(jax.jit, static_argnums=0)
def _choose(method: Method, weight: Weight, key: PRNGKeyArray | None) -> Any:
    return method.choose(weight, key)


@functools.partial(jax.jit, static_argnums=0)
def _value(method: Method, weight: Weight, key: PRNGKeyArray | None) -> Any:
    return method.value(weight, key)


def _named_error(function: Callable[[str, Any], Result], name: str, leaf: Any) -> Result:
    try:
        return function(name, leaf)
    except ValueError as error:
        raise ValueError(f"params: {name!r}: {error}") from error


def _named_misfit(function: Callable[[str, Weight], Result], name: str, weight: Weight) -> Result:
    try:
        return function(name, weight)
    except MisfitError as error:
        raise ValueError(f"variables: {name!r} {error}") from None
