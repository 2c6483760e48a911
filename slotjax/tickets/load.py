"""Reading a ticket: the weights as they were saved, and all else that it holds."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from jaxtyping import PyTree

from slotjax.options import Codebook, Options, Seeded, Shared, Stored
from slotjax.tickets.bits import bits_per_index, unpack
from slotjax.tickets.container import Tensors, read
from slotjax.tickets.names import floating, nested, shaped_like, typed

_MOST_OPTIONS = 2**24


class Ticket(NamedTuple):
    """What a ticket holds.

    Attributes:
        weights: what the model runs on, as `select` gave it.
        collections: other collections that the model needs, such as `{"batch_stats": ...}`.
        metadata: what `save_ticket` was given.
        selector: the settings of the selector.
    """

    weights: PyTree
    collections: dict[str, PyTree]
    metadata: dict[str, Any]
    selector: dict[str, Any]


def load_ticket(path: str | Path, like: PyTree = None) -> PyTree:
    """The weights of a ticket, bitwise what `select` gave when it was saved.

    Args:
        path: a file that `save_ticket` wrote.
        like: a pytree of weights or shapes whose structure the weights get. Default: nested
            dictionaries, as Flax has them.

    Returns:
        The pytree of weights for the unmodified model.

    Raises:
        ValueError: for a file that is damaged, cut off, foreign or of a later format, before anything larger than the
            file is allocated, and for one that does not fit `like`.
        OSError: for a file that cannot be read.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=2)
    >>> variables = selector.init(jax.random.key(0), [jnp.zeros((3, 4))])
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables)
    ...     weights = slotjax.load_ticket(f"{directory}/ticket", like=[jnp.zeros((3, 4))])
    >>> weights[0].shape
    (3, 4)
    """
    return read_ticket(path, like).weights


def read_ticket(path: str | Path, like: PyTree = None) -> Ticket:
    """Everything that a ticket holds; arguments and errors are those of `load_ticket`.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=2)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((3, 4))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables, metadata={"epochs": 3})
    ...     ticket = slotjax.read_ticket(f"{directory}/ticket")
    >>> ticket.metadata["epochs"], ticket.selector["k"]
    (3, 2)
    """
    try:
        return _ticket(*read(path), like)
    except (ValueError, safetensors.SafetensorError) as error:
        raise ValueError(f"ticket: {path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"ticket: {path} cannot be read: its parts do not fit together ({error!r})") from error


def _ticket(content: dict[str, Any], tensors: Tensors, like: PyTree) -> Ticket:
    selector, weights = content["selector"], {}
    expected = {f"index/{name}" for name in content["weights"]} | {f"array/{name}" for name in content["arrays"]}
    expected |= {f"options/{name}" for name, entry in content["weights"].items() if "seed" not in entry}
    if set(tensors) != expected:
        raise ValueError(f"its tensors are {sorted(tensors)}, but they must be {sorted(expected)}")
    for name, entry in content["weights"].items():
        weights[name] = _weight(entry, tensors[f"index/{name}"], tensors.get(f"options/{name}"))
    collections: dict[str, dict[str, Any]] = {"params": weights}
    for full_name, dtype in content["arrays"].items():
        collection, _, name = full_name.partition("/")
        collections.setdefault(collection, {})[name] = typed(tensors[f"array/{full_name}"], dtype)
    trees = {collection: nested(leaves) for collection, leaves in collections.items() if collection != "params"}
    tree = nested(weights) if like is None else shaped_like(like, weights)
    return Ticket(tree, trees, content["metadata"], selector)


def _weight(entry: dict[str, Any], packed: np.ndarray, options: np.ndarray | None) -> jax.Array:
    shape, dtype, k = tuple(entry["shape"]), floating(entry["dtype"]), entry["k"]
    count = math.prod(shape)
    if type(k) is not int or not 1 <= k <= _MOST_OPTIONS:
        raise ValueError(f"k is {k}, but it must be from 1 to {_MOST_OPTIONS}")
    bits = bits_per_index(k)
    if packed.dtype != np.uint8 or packed.shape != (math.ceil(count * bits / 8),):
        raise ValueError(f"a weight of shape {shape} has {packed.size} bytes of indices")
    index = unpack(packed, bits, count).reshape(shape)
    if index.max(initial=0) >= k:
        raise ValueError(f"an index is {index.max()}, but k is {k}")
    choices = _options(entry, shape, dtype, k, options)
    return Codebook(choices, entry.get("rescaled") is True).weight_at(jnp.asarray(index)).astype(dtype)


def _options(entry: dict[str, Any], shape: tuple[int, ...], dtype: jnp.dtype, k: int, stored: Any) -> Options:
    zero = entry.get("zero") is True
    if stored is None:
        seed = jnp.asarray(np.array(entry["seed"], np.uint32))
        if seed.shape != (2,):
            raise ValueError(f"a seed is {entry['seed']!r}, but it must be two numbers")
        return Seeded(seed, k, entry["kind"], float(entry["scale"]), shape, dtype, zero)
    if stored.shape not in ((k - zero, *shape), (k - zero,)):
        raise ValueError(f"a weight of shape {shape} has options of shape {stored.shape}")
    array = typed(stored, entry["dtype"])
    return Stored(array, zero) if array.shape == (k - zero, *shape) else Shared(array, shape)
