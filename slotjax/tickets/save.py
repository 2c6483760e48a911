"""Writing a ticket: a trained selection as a file of a few bits per connection.

FORMAT.md in this folder says what each byte of it is.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from slotjax.options import STRATIFIED, Codebook, kept_ratio
from slotjax.selectors import Selector, check_selector, check_variables, kind_of, named_leaves
from slotjax.tickets.container import write
from slotjax.tickets.contents import advice_on
from slotjax.tickets.indices import deflated, pack
from slotjax.tickets.names import arrays_of, checked_leaves, plain
from slotjax.tickets.reader import bits_per_index
from slotjax.tickets.settings import described
from slotjax.tickets.structure import keys_lost, metadata_of, structure

_LARGE = 2**16  # bytes of stored options; a toy is small whatever it stores


class LargeTicket(UserWarning):
    """A ticket holds random values that a seed could draw again.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", slotjax.tickets.LargeTicket)  # here, save_ticket does not say so
    """


def save_ticket(
    path: str | Path,
    selector: Selector,
    variables: dict[str, PyTree],
    collections: dict[str, PyTree] | None = None,
    metadata: dict[str, Any] | None = None,
    proof: str | None = None,
) -> None:
    """Writes the selection of a trained network, ceil(log2 K) bits per connection, in a file of its own format.

    With seeded options, 8 bytes stand for all options of a weight; stored ones are written as they are. Leaves that
    are not selected, such as biases, are written whole. The file appears when it is complete.

    Args:
        path: the file; one that is there is replaced.
        selector: the selector that made the variables.
        variables: `{"params": ..., "frozen": ...}`, after training.
        collections: other collections that the model needs, such as `{"batch_stats": ...}`: pytrees of arrays. One
            without arrays is left out.
        metadata: anything that JSON can hold, to be read back; its names become strings.
        proof: `slotjax.proof(variables["frozen"])`, to be read back.

    Raises:
        ValueError: for names that could not be read back, such as those with `/` of an Equinox module, for selected
            weights that are infinite or NaN, or values that JSON or the format cannot hold, such as options of 1e38.

    Warns:
        UserWarning: if NNX variables have metadata, such as the names of dimensions, which a ticket does not hold, or
            if a dictionary has keys that are neither strings nor integers.
        LargeTicket: if stored options, of which a seed could stand in place, take 64 KiB or more.

    >>> selector = slotjax.slot_machine(k=8)
    >>> draw = jax.nn.initializers.he_normal()
    >>> variables = selector.init(jax.random.key(0), {"kernel": draw(jax.random.key(1), (784, 300))})
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/dense.ticket", selector, variables)
    ...     weights = slotjax.load_ticket(f"{directory}/dense.ticket").weights
    >>> bool((weights["kernel"] == selector.select(variables)["kernel"]).all())
    True
    """
    _check(selector, variables, {} if collections is None else collections, metadata, proof)
    tensors: dict[str, np.ndarray] = {}
    selected = arrays_of(selector.select(variables), "variables")
    trees = {"params": selected, **(collections or {})}
    # A collection without arrays is not there, so nothing can be said of it.
    nodes = {name: structure(tree) for name, tree in trees.items() if jax.tree.leaves(tree)}
    nodes = {name: node for name, node in nodes.items() if node is not None}
    content: dict[str, Any] = {
        "format": 2,  # raised below if a weight needs a later one
        "selector": described(selector),
        "weights": {},
        "arrays": {},
        "metadata": metadata or {},
        **({} if proof is None else {"proof": proof}),
        **({"trees": nodes} if nodes else {}),
    }
    rest, books = checked_leaves(selected), selector.codebooks(variables)
    for name, index in named_leaves(selector.selection(variables)).items():
        weight, book = rest.pop(name), books[name]
        if not bool(jnp.isfinite(weight).all()):
            raise ValueError(f"variables: the weights of {name!r} must be finite, but some are infinite or NaN")
        index_array = _free(book, np.asarray(index, np.int32))
        tensors[f"index/{name}"], packing = _packed(index_array, bits_per_index(book.options.k))
        content["weights"][name] = {"shape": list(weight.shape), **_described(book, index, weight.dtype), **packing}
        if book.options.stored is not None:
            tensors[f"options/{name}"] = plain(book.options.stored)
    for collection, leaves in {"params": rest, **_named_collections(collections or {})}.items():
        for name, leaf in leaves.items():
            tensors[f"array/{collection}/{name}"] = plain(leaf)
            content["arrays"][f"{collection}/{name}"] = str(np.asarray(leaf).dtype)
    needed = max([content["format"], *(_format(entry) for entry in content["weights"].values())])
    write(Path(path), tensors, content | {"format": needed})
    if others := keys_lost(trees):
        warnings.warn(
            f"variables, collections: the keys {others} are neither strings nor integers, so they come back as "
            "strings; give load_ticket like=, which has them",
            stacklevel=2,
        )
    if lost := metadata_of(trees):
        warnings.warn(
            f"ticket: it does not hold the metadata {lost} of NNX variables; load_ticket gives them those of its "
            "like=, such as nnx.state(model, nnx.Param)",
            stacklevel=2,
        )
    # Shared options, which have one dimension, are few.
    own = [tensor for name, tensor in tensors.items() if name.startswith("options/") and tensor.ndim > 1]
    stored = sum(options.nbytes for options in own)
    if stored >= _LARGE:
        size = Path(path).stat().st_size
        warnings.warn(f"ticket: {path} takes {size:,} bytes. {advice_on(stored, size)}", LargeTicket, stacklevel=2)


def _check(selector: Any, variables: Any, collections: Any, metadata: Any, proof: Any) -> None:
    """Raises for arguments of other kinds, and for collections that would be lost."""
    check_selector(selector)
    check_variables(variables)
    if not isinstance(collections, Mapping):
        given = kind_of(collections)
        raise ValueError(f"collections: {given} was given, but it must be a dictionary, such as {{'batch_stats': ...}}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ValueError(f"metadata: {kind_of(metadata)} was given, but it must be a dictionary")
    if proof is not None and not isinstance(proof, str):
        raise ValueError(f"proof: {kind_of(proof)} was given, but it must be a string, as slotjax.proof gives")
    more = {name: tree for name, tree in variables.items() if name not in ("params", "frozen", *collections)}
    lost = [name for name, tree in more.items() if jax.tree.leaves(tree)]
    if lost:
        raise ValueError(f"variables: {lost} would not be in the ticket; give them as collections=, or leave them out")


def _format(entry: dict[str, Any]) -> int:
    """The first format that has words for a weight."""
    kind = entry.get("kind")
    is_of_3 = not {"multiples", "frozen"}.isdisjoint(entry) or kind in ("uniform_sign", "bell")
    return 4 if kind == STRATIFIED else 3 if is_of_3 else 2


def _free(book: Codebook, index: np.ndarray) -> np.ndarray:
    """The indices of connections that are not frozen."""
    return index if book.frozen is None else index[~np.logical_or(*map(np.asarray, book.frozen.masks(index.shape)))]


def _packed(index: np.ndarray, bits: int) -> tuple[np.ndarray, dict[str, str]]:
    """Indices, deflated if that makes them clearly smaller, and what the ticket says of that."""
    packed = pack(index, bits)
    smaller = deflated(packed)
    return (packed, {}) if smaller is None else (smaller, {"packing": "deflate"})


def _described(book: Codebook, index: Any, dtype: jnp.dtype) -> dict[str, Any]:
    """What a ticket says of a codebook, without the values that it stores."""
    zero = {"zero": True} if book.options.zero else {}
    # As a number, because other devices may round the quotient otherwise.
    factor = {"factor": float(kept_ratio(jnp.asarray(index, jnp.int32) > 0, dtype))} if book.rescaled else {}
    frozen = {} if book.frozen is None else {"frozen": book.frozen.description()}
    return {"dtype": dtype.name, "k": int(book.options.k), **zero, **factor, **frozen, **book.options.description()}


def _named_collections(collections: dict[str, PyTree]) -> dict[str, dict[str, Any]]:
    for collection in collections:
        if not isinstance(collection, str) or collection == "params" or "/" in collection:
            raise ValueError(
                f"collections: {collection!r} was given, but a name must be a string without '/' and not 'params'"
            )
    return {name: checked_leaves(arrays_of(tree, "collections")) for name, tree in collections.items()}
