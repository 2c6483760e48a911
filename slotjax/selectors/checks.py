"""Bad arguments of a selector's functions, each refused in one sentence."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from slotjax.selectors.selector import Selector


def kind_of(value: Any) -> str:
    """What somebody gave, in a word or two.

    >>> slotjax.selectors.kind_of(3), slotjax.selectors.kind_of(int)
    ('int', 'the class int')
    """
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def check_selector(selector: Any) -> None:
    """Raises unless it is a selector.

    >>> slotjax.selectors.check_selector(slotjax.slot_machine)
    Traceback (most recent call last):
    ValueError: selector: function was given, but it must be a Selector, as slot_machine() makes
    """
    if not isinstance(selector, Selector):
        raise ValueError(f"selector: {kind_of(selector)} was given, but it must be a Selector, as slot_machine() makes")


def check_where(where: Any) -> None:
    """Raises unless `where` is a function."""
    if not callable(where):
        raise ValueError(
            f"where: {where!r} was given, but it must be a function of a leaf's name and the leaf, such as "
            "lambda name, leaf: name.endswith('kernel')"
        )


def check_picked(name: str, picked: Any) -> bool:
    """What `where` says of a leaf; raises for an array of several values."""
    if np.ndim(picked):
        raise ValueError(f"where: it gave an array of shape {np.shape(picked)} for {name!r}, not True or False")
    return bool(picked)


def check_init(key: Any, params: PyTree) -> None:
    """Raises for arguments of `init` in the wrong order, and for what is not the weights of a model."""
    if not _is_key(key):
        raise ValueError(f"key: {kind_of(key)} was given, but it must be a PRNG key; call init(key, params)")
    if isinstance(params, Mapping) and "params" in params:
        raise ValueError(
            f"params: the collections {sorted(map(str, params))} of a model were given, but it must be its weights "
            "alone; give variables['params']"
        )
    is_leaf = any(leaf is params for leaf in jax.tree.leaves(params))
    if is_leaf and not is_array(params):
        raise ValueError(
            f"params: {kind_of(params)} was given, but it must be a pytree of weights, as a model's init gives"
        )


def check_variables(variables: Any) -> None:
    """Raises unless both collections are there.

    >>> slotjax.selectors.check_variables({"params": {}, "frozen": {}})
    """
    if not isinstance(variables, Mapping) or not {"params", "frozen"} <= set(variables):
        raise ValueError("variables: it must have both 'params' and 'frozen', as `init` returned them")


def check_select_key(key: Any) -> None:
    """Raises unless it is a PRNG key or None."""
    if key is not None and not _is_key(key):
        raise ValueError(f"key: {kind_of(key)} was given, but it must be a PRNG key, such as jax.random.key(0)")


def is_array(leaf: Any) -> bool:
    """Whether it is an array, or the shape of one; Linen's layers have a `dtype` too.

    >>> slotjax.selectors.is_array(jnp.ones(2)), slotjax.selectors.is_array(jnp.ones)
    (True, False)
    """
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape")


def _is_key(key: Any) -> bool:
    dtype: Any = getattr(key, "dtype", None)
    if not hasattr(dtype, "itemsize"):  # the attributes of nnx.Rngs, of any name, are streams
        return False
    return (dtype == np.uint32 and np.ndim(key) == 1) or jnp.issubdtype(dtype, jax.dtypes.prng_key)
