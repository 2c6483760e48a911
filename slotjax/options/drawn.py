"""The frozen values of a weight, together with what made them."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import DictKey

Made = Mapping[str, Any]
GENERATOR = 1  # of `generator.py`; another number means other random values


@jax.tree_util.register_pytree_with_keys_class
class Drawn(Mapping[str, Any]):
    """The frozen values of a weight by name, and, statically, what made them.

    It reads like a dictionary of arrays, and is one to JAX; `made` is part of the structure, so it is known under `jit`
    and `vmap` too, and a selector that does not fit is refused there.

    Attributes:
        made: method, K, kind of distribution and its scale, shape and dtype of the weight, version of the generator:
            what it takes to draw the values again. Empty if it was lost, as in a checkpoint that was read without the
            variables of `init` as a pattern.

    >>> drawn = slotjax.options.Drawn({"seed": jnp.zeros(2, jnp.uint32)}, {"k": 8})
    >>> drawn["seed"].shape, drawn.made["k"], jax.tree.map(jnp.shape, drawn).made["k"]
    ((2,), 8, 8)
    """

    def __init__(self, values: Mapping[str, Any], made: Made | None = None) -> None:
        self._values = dict(values)
        self._made = tuple(sorted((made or {}).items()))

    @property
    def made(self) -> dict[str, Any]:
        """What made the values."""
        return dict(self._made)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        made = ", ".join(f"{name}={value!r}" for name, value in self._made)
        return f"Drawn({self._values!r}, {made})"

    def with_more(self, values: Mapping[str, Any] | None = None, made: Made | None = None) -> "Drawn":
        """The same with more values, and more of what made them."""
        return Drawn(self._values | dict(values or {}), self.made | dict(made or {}))

    def check(self, expected: Made) -> None:
        """Raises unless they were made like this, as far as it is known.

        Raises:
            MisfitError: with both, in words.
        """
        made = self.made
        if "shape" in expected and made.get("shape", expected["shape"]) != expected["shape"]:
            raise MisfitError(
                f"was made for a weight of shape {made['shape']}, but is of shape {expected['shape']}: of stacked "
                "variables `select` is jax.vmap(selector.select), and a part of a weight, as in jax.shard_map, has to "
                "be selected as a whole first or needs options='stored'; a method of your own gives source.options() "
                "a `like` of the weight's shape"
            )
        differing = [name for name, value in expected.items() if name in made and made[name] != value]
        if differing:
            name = differing[0]
            raise MisfitError(
                f"was made with {name}={made[name]!r}, but this selector has {name}={expected[name]!r}; use the "
                "selector that made the variables"
            )

    def dtype(self, default: Any) -> jnp.dtype:
        """The dtype of the weight."""
        return jnp.dtype(self.made.get("dtype", default))

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[DictKey, Any], ...], tuple]:
        """The values in the order of their names, as of a dictionary."""
        names = tuple(sorted(self._values))
        return tuple((DictKey(name), self._values[name]) for name in names), (names, self._made)

    @classmethod
    def tree_unflatten(cls, structure: tuple, values: Any) -> "Drawn":
        """The same with other values."""
        names, made = structure
        drawn = object.__new__(cls)
        drawn._values, drawn._made = dict(zip(names, values, strict=True)), made
        return drawn


class MisfitError(ValueError):
    """Variables that another selector made.

    >>> slotjax.options.Drawn({}, {"k": 8}).check({"k": 4})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    slotjax.options.drawn.MisfitError: was made with k=8, but this selector has k=4...
    """
