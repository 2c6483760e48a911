"""Reading a ticket: the weights as they were saved, and all else that it holds."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from slotjax.selectors import Selector, kind_of, leaf_namer
from slotjax.tickets.contents import opened, readable
from slotjax.tickets.from_bits import from_bits
from slotjax.tickets.names import shaped_like, typed
from slotjax.tickets.packed import packed_leaf
from slotjax.tickets.reader import Leaf
from slotjax.tickets.rebuilt import rebuilt
from slotjax.tickets.settings import remade
from slotjax.tickets.structure import nested


class Ticket(NamedTuple):
    """What a ticket holds.

    Attributes:
        weights: what the model runs on, as `select` gave it.
        collections: other collections that the model needs, such as `{"batch_stats": ...}`.
        selector: equal to the one that made the ticket; None if the ticket cannot say all of it: a method, a `where` or
            an initializer that is a function of your own, and tickets written before `selector` could be read back.
        metadata: what `save_ticket` was given.
        proof: the hash of what is frozen, if `save_ticket` was given one.
        settings: what the ticket says of the selector in words, always.
        packed: the weights, with the bits of each selected one in its place, for `tickets.from_bits`.
    """

    weights: PyTree
    collections: dict[str, PyTree]
    selector: Selector | None
    metadata: dict[str, Any]
    proof: str | None
    settings: dict[str, Any]
    packed: PyTree

    def apply(self, apply: Callable[..., Any], *inputs: Any) -> Any:
        """What `apply(weights, *inputs)` gives, from bits in place of weights; see `tickets.from_bits`.

        It is compiled once for each `apply` and each shape of the inputs.

        Args:
            apply: a pure function of weights and of pytrees of arrays; it must be hashable, as functions are.
            inputs: its other arguments.

        >>> import tempfile
        >>> selector = slotjax.edge_popup(0.5)
        >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (3, 4))})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables)
        ...     ticket = slotjax.load_ticket(f"{directory}/ticket")
        >>> ticket.apply(lambda weights, x: x @ weights["kernel"], jnp.ones((2, 3))).shape
        (2, 4)
        """
        if not _is_function(apply):
            raise ValueError(
                f"apply: {kind_of(apply)} was given, but it must be a function of weights and inputs, such as "
                "lambda weights, x: model.apply({'params': weights}, x)"
            )
        return _applied(apply, self.packed, *inputs)


def _is_function(apply: Any) -> bool:
    """Whether it is a function, and not a module, which may be called but not with weights."""
    try:
        hash(apply)
    except TypeError:
        return False
    return callable(apply) and not hasattr(apply, "apply")


@functools.partial(jax.jit, static_argnums=0)
def _applied(apply: Callable[..., Any], packed: PyTree, *inputs: Any) -> Any:
    return from_bits(apply)(packed, *inputs)


def load_ticket(path: str | Path, like: PyTree = None) -> Ticket:
    """All that a ticket holds; its weights are bitwise what `select` gave when it was saved.

    Args:
        path: a file that `save_ticket` wrote.
        like: a pytree of weights or shapes whose structure the weights get. Default: their own, of dictionaries, lists,
            tuples, named tuples, and NNX states and variables, without metadata; nested dictionaries in place of
            anything else, such as an Equinox module.

    Raises:
        ValueError: for a file that is damaged, cut off, foreign or of a later format, before anything larger than the
            file is allocated, and for one that does not fit `like`.
        OSError: for a file that cannot be read.

    Warns:
        UserWarning: if the class of a named tuple or a variable is not imported, or no longer what the ticket says, so
            that a dictionary of its fields or an `nnx.Variable` stands in its place. Nothing is imported for a ticket.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=2)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (3, 4))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables, metadata={"epochs": 3})
    ...     ticket = slotjax.load_ticket(f"{directory}/ticket")
    >>> ticket.weights["kernel"].shape, ticket.metadata, ticket.selector == selector
    ((3, 4), {'epochs': 3}, True)
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
    weights = collections.pop("params")
    tree = _tree(nodes.get("params"), weights) if like is None else shaped_like(like, weights)
    trees = {name: _tree(nodes.get(name), named) for name, named in collections.items()}
    named, name_of = {leaf.path.removeprefix("params/"): leaf for leaf in leaves if leaf.entry}, leaf_namer(tree)

    def bits(path: Any, weight: Any) -> Any:
        return packed_leaf(named[name], weight) if (name := name_of(path)) in named else weight

    packed = jax.tree_util.tree_map_with_path(bits, tree)
    told = content["selector"]
    return Ticket(tree, trees, remade(told), content["metadata"], content.get("proof"), told, packed)


def _tree(node: Any, named: dict[str, Any]) -> PyTree:
    return nested(named) if node is None else rebuilt(node, named)
