"""Weights that stay packed, a few bits per connection, until a program needs them."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from slotjax.options import FrozenShare, Seeded, Shared, Stored, at_least_float32, explicit_sharding, rounded
from slotjax.tickets.indices import planes, unpack_planes
from slotjax.tickets.reader import Leaf, bits_per_index

_DRAWN = ("kind", "scale", "zero", "factor", "multiples")
_KNOWN = {"shape", "dtype", "k", "seed", "packing", "frozen", *_DRAWN}


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["bits", "seed", "options", "freeze"],
    meta_fields=["shape", "dtype", "k", "kind", "scale", "zero", "factor", "multiples", "pruned"],
)
@dataclasses.dataclass(frozen=True)
class Packed:
    """One selected weight as a ticket holds it, a pytree of arrays; FORMAT.md says what each of them means.

    Attributes:
        bits: of the indices, `uint32 (ceil(log2 K), ceil(n / 32))` for n connections; `tickets.indices` says in what
            order.
        seed: of its options, `uint32 (2,)`; None if they are stored.
        options: stored ones, `(m, *shape)`, or `(K,)` if all connections share them; None if they are drawn.
        shape: of the weight.
        dtype: of the weight.
        k: options per connection.
        kind: of the distribution of drawn options.
        scale: of the distribution of drawn options.
        zero: whether option 0 is 0.
        factor: what every chosen value is multiplied by.
        multiples: whether the options are 0, 1, 2, ... times option 1.
        freeze: seed of the share that is frozen, `uint32 (2,)`; None if none is.
        pruned: below how many of 2^32 the random bits of `freeze` make a connection 0, whatever its index.

    >>> bits = jnp.array([[0b10]], jnp.uint32)  # of connections 0 and 1, of which the second has option 1
    >>> options = jnp.array([0.5, 2.0])  # of both
    >>> packed = slotjax.tickets.Packed(bits, None, options, shape=(2,), dtype=jnp.dtype("float32"), k=2)
    >>> print(slotjax.tickets.unpack(packed))
    [0.5 2. ]
    """

    bits: Any
    seed: Any
    options: Any
    shape: tuple[int, ...]
    dtype: jnp.dtype
    k: int
    kind: str = ""
    scale: float = 0.0
    zero: bool = False
    factor: float = 1.0
    multiples: bool = False
    freeze: Any = None
    pruned: int = 0


def packed_leaf(leaf: Leaf, weight: Array) -> Packed | Array:
    """A weight with its indices inflated; the weight itself if it is made in a way that is not known here."""
    entry, dtype = leaf.entry, jnp.dtype(leaf.dtype)
    if not entry.keys() <= _KNOWN:
        return weight
    drawn = {name: entry[name] for name in _DRAWN if name in entry}
    if "frozen" in entry:
        drawn |= {"freeze": _seed(entry["frozen"]), "pruned": entry["frozen"]["pruned"]}
    options = None if leaf.options is None else jax.device_put(leaf.options.copy().view(dtype))
    index = np.concatenate([np.zeros(0, np.uint32), *(index for _, index in leaf.tiles())])
    bits = jax.device_put(planes(index, bits_per_index(entry["k"])))
    seed = _seed(entry) if options is None else None
    return Packed(bits, seed, options, leaf.shape, dtype, entry["k"], **drawn)


def _seed(entry: dict[str, Any]) -> Array:
    return jax.device_put(np.array(entry["seed"], np.uint32))


def unpack(packed: PyTree) -> PyTree:
    """The weights that packed ones stand for, bitwise those of the ticket: a pure function for use under `jit`.

    Bits that a compiled program closes over stay bits in it. When each weight is made is up to XLA; `from_bits` makes
    each where it is used.

    Args:
        packed: `ticket.packed`, or any pytree of such leaves; other arrays stay as they are.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=8)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (3, 4))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables)
    ...     ticket = slotjax.load_ticket(f"{directory}/ticket")
    >>> product = jax.jit(lambda packed, x: x @ slotjax.tickets.unpack(packed)["kernel"])
    >>> product(ticket.packed, jnp.ones((2, 3))).shape, ticket.packed["kernel"].bits.size
    ((2, 4), 3)
    """
    return jax.tree.map(unpack_leaf, packed, is_leaf=is_packed)


def is_packed(leaf: Any) -> bool:
    """Whether it is bits in place of a weight."""
    return isinstance(leaf, Packed)


def unpack_leaf(leaf: Any, after: Array | None = None) -> Array:
    """The weight of one leaf, made after another array. An array keeps its values, but is not a constant for XLA."""
    # Behind the first barrier, constant bits are not folded into weights; behind the second, making a weight is fused
    # with no use of it, so that the use rounds as it does with given weights.
    leaf = jax.lax.optimization_barrier(leaf)
    return jax.lax.optimization_barrier(_later(_weight(leaf), after)) if is_packed(leaf) else leaf


def _weight(leaf: Packed) -> Array:
    index = unpack_planes(leaf.bits, math.prod(leaf.shape)).reshape(leaf.shape)
    values = _chosen(leaf, jnp.minimum(index, 1) if leaf.multiples else index)
    if leaf.multiples or leaf.factor != 1:
        values = _times(values, index if leaf.multiples else jnp.asarray(leaf.factor))
    if leaf.freeze is None:
        return values
    pruned, _ = FrozenShare(leaf.freeze, leaf.pruned, 0).masks(leaf.shape)
    return jnp.where(pruned, jnp.zeros_like(values), values)


def _chosen(leaf: Packed, index: Array) -> Array:
    if leaf.options is None:
        return _drawn(leaf, index)
    if leaf.options.ndim <= len(leaf.shape):
        return Shared(leaf.options, leaf.shape).at(index)
    return Stored(leaf.options, leaf.zero).at(index)


def _drawn(leaf: Packed, index: Array) -> Array:
    scale = leaf.scale if jnp.finfo(leaf.dtype).bits < 32 else leaf.scale / 2
    values = Seeded(leaf.seed, leaf.k, leaf.kind, scale, leaf.shape, leaf.dtype, leaf.zero).at(index)
    return values if scale == leaf.scale else _doubled(values, 2 * values)


def _times(values: Array, factor: Array) -> Array:
    """Multiplied in float32 or float64, and rounded to the dtype once."""
    wide = values.astype(at_least_float32(values.dtype))
    factor = factor.astype(wide.dtype)
    half, product = wide * (factor / 2), wide * factor
    return rounded(_doubled(half, product), values.dtype).astype(values.dtype)


def _doubled(half: Array, otherwise: Array) -> Array:
    """Twice a product, by its exponent; where that is not it, another array.

    A compiler may make one instruction of a product and an addition that uses it, and round once where a given weight
    was rounded before. It does not if what it adds are bits.
    """
    info = jnp.finfo(half.dtype)
    bits = jax.lax.bitcast_convert_type(half, f"uint{info.bits}")
    doubled = jax.lax.bitcast_convert_type(bits + jnp.asarray(1 << info.nmant, bits.dtype), half.dtype)
    is_ordinary = (jnp.abs(half) >= float(info.tiny)) & (jnp.abs(half) <= float(info.max) / 4)
    return jnp.where(is_ordinary, doubled, otherwise)


def _later(weight: Array, after: Array | None) -> Array:
    """The same weight, which needs a value of another array; XLA does not know that the value changes nothing."""
    if after is None or not after.size or jnp.issubdtype(after.dtype, jax.dtypes.extended):
        return weight
    if explicit_sharding(after) is not None:
        return weight
    hidden = jax.lax.optimization_barrier(jnp.zeros((), bool))
    first = jax.lax.slice(after, (0,) * after.ndim, (1,) * after.ndim).reshape(())
    return jnp.where((first != 0) & hidden, jnp.zeros_like(weight), weight)
