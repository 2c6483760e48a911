"""Tickets: a trained selection as a file of a few bits per connection, from which the weights come back.

A ticket is a safetensors file. Its tensors are the packed indices of every selected weight (`index/NAME`), stored
options (`options/NAME`), and all other arrays that the model needs (`array/NAME`). Its metadata has one entry,
`slotjax`, in JSON: the format's version, the selector, how to draw the options of each weight, and a SHA-256 of all
that and of the tensors.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import PyTree

from slotjax.options.codebook import Codebook, weight_at
from slotjax.selectors.selector import Selector
from slotjax.selectors.tree import leaf_name
from slotjax.tickets.bits import bits_per_index, pack, unpack

FORMAT = 1
_MOST_OPTIONS = 2**24
Tensors = Mapping[str, np.ndarray]


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


def save_ticket(
    path: str | Path,
    selector: Selector,
    variables: dict[str, PyTree],
    collections: dict[str, PyTree] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Writes the selection of a trained network, ceil(log2 K) bits per connection, in a file of its own format.

    With seeded options, 8 bytes stand for all options of a weight; stored ones are written as they are. Leaves that
    are not selected, such as biases, are written whole. The file appears when it is complete.

    Args:
        path: the file; one that is there is replaced.
        selector: the selector that made the variables.
        variables: `{"params": ..., "frozen": ...}`, after training.
        collections: other collections that the model needs, such as `{"batch_stats": ...}`: dictionaries of arrays.
        metadata: anything that JSON can hold, to be read back; its names become strings.

    Raises:
        ValueError: for a name that contains `/`, which could not be read back, or values that JSON or safetensors
            cannot hold.

    >>> selector = slotjax.slot_machine(k=8, scores="factored", options="seeded")
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((784, 300))})
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/dense.ticket", selector, variables)
    ...     weights = slotjax.load_ticket(f"{directory}/dense.ticket")
    >>> bool((weights["kernel"] == selector.select(variables)["kernel"]).all())
    True
    """
    tensors: dict[str, np.ndarray] = {}
    content: dict[str, Any] = {
        "format": FORMAT,
        "selector": _settings(selector.settings),
        "weights": {},
        "arrays": {},
        "metadata": metadata or {},
    }
    rest, books = _named(jax.tree.map(jnp.asarray, selector.select(variables))), selector.codebooks(variables)
    for name, index in _named(selector.selection(variables)).items():
        weight, book = rest.pop(name), books[name]
        tensors[f"index/{name}"] = pack(np.asarray(index, np.int32), bits_per_index(book.k))
        content["weights"][name] = {"shape": list(weight.shape), "dtype": str(weight.dtype), **_described(book)}
        if book.values is not None:
            tensors[f"options/{name}"] = _plain(book.values)
    for collection, leaves in {"params": rest, **_named_collections(collections or {})}.items():
        for name, leaf in leaves.items():
            tensors[f"array/{collection}/{name}"] = _plain(leaf)
            content["arrays"][f"{collection}/{name}"] = str(np.asarray(leaf).dtype)
    _write(Path(path), tensors, content)


def load_ticket(path: str | Path, like: PyTree = None) -> PyTree:
    """The weights of a ticket, bitwise what `select` gave when it was saved.

    Args:
        path: a file that `save_ticket` wrote.
        like: a pytree of weights or shapes whose structure the weights get. Unless given, they are nested
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
        with safetensors.safe_open(path, "np") as file:
            content = _content(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if content.pop("sha256") != _digest(content, tensors):
            raise ValueError("its checksum does not match, so it is damaged")
        return _ticket(content, tensors, like)
    except (ValueError, safetensors.SafetensorError) as error:
        raise ValueError(f"ticket: {path} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"ticket: {path} cannot be read: its parts do not fit together ({error!r})") from error


def _content(metadata: dict[str, str] | None) -> dict[str, Any]:
    if metadata is None or "slotjax" not in metadata:
        raise ValueError("it is no ticket of slotjax")
    content = json.loads(metadata["slotjax"])
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise ValueError("it has no format, so it is damaged")
    if content["format"] > FORMAT:
        raise ValueError(f"its format is {content['format']}, and this version of slotjax reads formats up to {FORMAT}")
    if metadata["slotjax"] != _json(content) or len(metadata) != 1:
        raise ValueError("its metadata are not as they were written, so it is damaged")
    return content


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
        collections.setdefault(collection, {})[name] = _typed(tensors[f"array/{full_name}"], dtype)
    trees = {collection: _nested(leaves) for collection, leaves in collections.items() if collection != "params"}
    tree = _nested(weights) if like is None else _shaped_like(like, weights)
    return Ticket(tree, trees, content["metadata"], selector)


def _weight(entry: dict[str, Any], packed: np.ndarray, options: np.ndarray | None) -> jax.Array:
    shape, dtype, k = tuple(entry["shape"]), _floating(entry["dtype"]), entry["k"]
    count = math.prod(shape)
    if type(k) is not int or not 1 <= k <= _MOST_OPTIONS:
        raise ValueError(f"k is {k}, but it must be from 1 to {_MOST_OPTIONS}")
    bits = bits_per_index(k)
    if packed.dtype != np.uint8 or packed.shape != (math.ceil(count * bits / 8),):
        raise ValueError(f"a weight of shape {shape} has {packed.size} bytes of indices")
    index = unpack(packed, bits, count).reshape(shape)
    if index.max(initial=0) >= k:
        raise ValueError(f"an index is {index.max()}, but k is {k}")
    book = Codebook(k, zero=entry.get("zero") is True, rescaled=entry.get("rescaled") is True)
    if options is None:
        seed = jnp.asarray(np.array(entry["seed"], np.uint32))
        book = book._replace(seed=seed, kind=entry["kind"], scale=float(entry["scale"]))
    else:
        values = k - int(book.zero)
        if options.shape not in ((values, *shape), (values,)):
            raise ValueError(f"a weight of shape {shape} has options of shape {options.shape}")
        book = book._replace(values=_typed(options, entry["dtype"]))
    return weight_at(book, jnp.asarray(index), dtype)


def _described(book: Codebook) -> dict[str, Any]:
    """What a ticket says of a codebook, without the values that it stores."""
    marks = {name: True for name in ("zero", "rescaled") if getattr(book, name)}
    described: dict[str, Any] = {"k": int(book.k), **marks}
    if book.seed is None:
        return described
    scale = None if book.scale is None else float(book.scale)
    return described | {"seed": np.asarray(book.seed).tolist(), "kind": book.kind, "scale": scale}


def _settings(settings: Any) -> Any:
    """The arguments of a selector that JSON can hold and that are not the defaults, by name."""
    if isinstance(settings, dict):
        return {name: _settings(value) for name, value in settings.items()}
    defaults = getattr(settings, "_field_defaults", {})
    named = {name: value for name, value in settings._asdict().items() if isinstance(value, str | int | float)}
    changed = {name: value for name, value in named.items() if name not in defaults or value != defaults[name]}
    return {"method": type(settings).__name__} | changed


def _named_collections(collections: dict[str, PyTree]) -> dict[str, dict[str, Any]]:
    for collection in collections:
        if collection == "params" or "/" in collection:
            raise ValueError(f"collections: {collection!r} was given, but a name must be without '/' and not 'params'")
    return {collection: _named(jax.tree.map(jnp.asarray, tree)) for collection, tree in collections.items()}


def _named(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by name.

    Raises:
        ValueError: if a key contains `/`, so that the tree could not be told from another.
    """
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = leaf_name(path)
        if any("/" in leaf_name((entry,)) for entry in path):
            raise ValueError(f"variables: {name!r} has a key that contains '/', which a ticket cannot tell from a path")
        named[name] = leaf
    return named


def _nested(named: dict[str, Any]) -> PyTree:
    tree: dict[str, Any] = {}
    for name, leaf in named.items():
        if not name:
            return leaf
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def _shaped_like(like: PyTree, named: dict[str, Any]) -> PyTree:
    given = {name: (jnp.shape(leaf), jnp.result_type(leaf)) for name, leaf in _named(like).items()}
    there = {name: (leaf.shape, leaf.dtype) for name, leaf in named.items()}
    differing = sorted(name for name in given | there if given.get(name) != there.get(name))
    if differing:
        raise ValueError(f"`like` has another shape or dtype for {differing}")
    return jax.tree_util.tree_map_with_path(lambda path, _: named[leaf_name(path)], like)


def _plain(array: Any) -> np.ndarray:
    """An array whose dtype safetensors knows: bits for bfloat16 and its like."""
    array = np.asarray(array)
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def _typed(array: np.ndarray, dtype: str) -> jax.Array:
    if np.dtype(dtype).itemsize != array.dtype.itemsize:
        raise ValueError(f"an array of {dtype} is stored as {array.dtype}")
    typed = jnp.asarray(array.view(dtype))
    if typed.dtype != dtype:
        raise ValueError(f"it holds {dtype}, which needs jax_enable_x64")
    return typed


def _floating(dtype: str) -> jnp.dtype:
    if not jnp.issubdtype(np.dtype(dtype), jnp.floating):
        raise ValueError(f"weights of {dtype} are not floating-point numbers")
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f"it holds {dtype}, which needs jax_enable_x64")
    return jnp.dtype(dtype)


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_json(content).encode())
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name], order="C")
        digest.update(_json({"name": name, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}).encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def _write(path: Path, tensors: dict[str, np.ndarray], content: dict[str, Any]) -> None:
    try:
        content = json.loads(_json(content))  # as it will be read: all names are strings
        metadata = {"slotjax": _json(content | {"sha256": _digest(content, tensors)})}
    except (TypeError, ValueError) as error:
        raise ValueError(f"metadata: it must be what JSON can hold ({error})") from error
    data = safetensors.numpy.save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
