"""Reading a ticket: the weights as they were saved, and all else that it holds."""

from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import PyTree

from slotjax.tickets.contents import opened, readable
from slotjax.tickets.names import nested, rebuilt, shaped_like, typed
from slotjax.tickets.reader import Leaf


class Ticket(NamedTuple):
    """What a ticket holds.

    Attributes:
        weights: what the model runs on, as `select` gave it.
        collections: other collections that the model needs, such as `{"batch_stats": ...}`.
        metadata: what `save_ticket` was given.
        selector: the settings of the selector.
        proof: the hash of what is frozen, if `save_ticket` was given one.
    """

    weights: PyTree
    collections: dict[str, PyTree]
    metadata: dict[str, Any]
    selector: dict[str, Any]
    proof: str | None = None


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
    >>> variables = selector.init(jax.random.key(0), [jax.random.normal(jax.random.key(1), (3, 4))])
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
    >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (3, 4))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables, metadata={"epochs": 3})
    ...     ticket = slotjax.read_ticket(f"{directory}/ticket")
    >>> ticket.metadata["epochs"], ticket.selector["k"]
    (3, 2)
    """
    with readable(path):
        _, content, leaves = opened(path)
        return _ticket(content, leaves, like)


def _ticket(content: dict[str, Any], leaves: list[Leaf], like: PyTree) -> Ticket:
    collections: dict[str, dict[str, Any]] = {"params": {}}
    for leaf in leaves:
        collection, _, name = leaf.path.partition("/")
        collections.setdefault(collection, {})[name] = typed(leaf)
    nodes = content.get("trees", {})
    if not set(nodes) <= set(collections):
        raise ValueError(f"it has structures of {sorted(nodes)}, but collections {sorted(collections)}")
    weights = collections["params"] if like is not None else {}
    trees = {
        name: rebuilt(nodes[name], leaves) if name in nodes else nested(leaves) for name, leaves in collections.items()
    }
    tree = trees.pop("params")
    tree = tree if like is None else shaped_like(like, weights)
    return Ticket(tree, trees, content["metadata"], content["selector"], content.get("proof"))
