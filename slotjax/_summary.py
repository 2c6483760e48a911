"""A table of a network: what is selected of it, at which scale, and what that weighs."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from slotjax.options import Drawn, limit_of, varies_about_zero
from slotjax.selectors import (
    Selector,
    check_selector,
    decided,
    is_array,
    kind_of,
    matrices_and_kernels,
    named_leaves,
    needs_values,
    varying_names,
)

_FAR = 1.5  # times the own deviation, from which on a scale is marked


class Row(NamedTuple):
    """One leaf of a network.

    Attributes:
        name: of the leaf.
        shape: of the leaf.
        method: how it is selected, or None.
        reason: why it is not selected, or `""`.
        k: options per connection, 0 if it is not selected.
        sigma: deviation of the random values that are drawn; None if it is not selected or not known.
        own: deviation of the values that were given; None for a shape.
        start: where scores start, `"given"` if from the weights themselves.
        bits: of a connection in a ticket, on the average.
        frozen: bytes of random values, or of what draws them.
        trainable: bytes that an optimizer updates.
    """

    name: str
    shape: tuple[int, ...]
    method: str | None
    reason: str
    k: int
    sigma: float | None
    own: float | None
    start: str
    bits: float
    frozen: int
    trainable: int

    @property
    def size(self) -> int:
        """Entries of the leaf."""
        return math.prod(self.shape)

    @property
    def is_far(self) -> bool:
        """Whether what is drawn has a deviation more than 1.5 times, or less than 1 / 1.5 times, its own."""
        if not self.sigma or self.own is None:
            return False
        return not self.own / _FAR <= self.sigma <= self.own * _FAR


class Summary(NamedTuple):
    """The rows of a network; it prints as a table.

    Attributes:
        rows: one per leaf.
    """

    rows: tuple[Row, ...]

    @property
    def learned_share(self) -> float:
        """The share of all parameters that is learned as it stands, because it is not selected."""
        learned = sum(row.size for row in self.rows if row.method is None)
        return learned / max(1, sum(row.size for row in self.rows))

    @property
    def ticket_bytes(self) -> int:
        """About what a ticket weighs, without names and seeds."""
        return math.ceil(sum(row.size * row.bits for row in self.rows) / 8)

    def __str__(self) -> str:
        head = ("name", "shape", "selected", "sigma", "own", "start", "bits", "frozen", "trainable")
        rows = [head, *map(_cells, self.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        frozen, trainable = (sum(getattr(row, name) for row in self.rows) for name in ("frozen", "trainable"))
        total = f"{sum(row.size for row in self.rows):,} parameters, {100 * self.learned_share:.2f} % of them learned"
        size = f"ticket about {self.ticket_bytes:,} bytes and its header"
        weighs = f"{size}; {frozen:,} bytes frozen, {trainable:,} trainable"
        return "\n".join([*lines, f"{total}; {weighs}", *_warnings(self.rows)])


def summary(selector: Selector, params: PyTree) -> Summary:
    """What a selector would make of a network, leaf by leaf.

    Args:
        selector: any selector.
        params: the weights of a model, or their shapes if a distribution is named.

    Returns:
        A `Summary`, which prints as a table: of each leaf its name and shape, how it is selected or why it is not, the
        deviation of its random values against its own (marked `!` past 1.5 times), where its scores start, bits of a
        connection in a ticket, and bytes that are frozen and that train.

    Raises:
        ValueError: as `selector.init` does.

    >>> params = {"kernel": 0.1 * jax.random.normal(jax.random.key(0), (30, 20)), "bias": jnp.zeros(20)}
    >>> print(slotjax.summary(slotjax.slot_machine(k=8), params))
    name    shape    selected                     sigma  own    start    bits  frozen  trainable
    bias    (20,)    no: fewer than 2 dimensions         0               32    0       80
    kernel  (30,20)  slot_machine, K = 8          0.098  0.098  nearest  3     12      2404
    620 parameters, 3.23 % of them learned; ticket about 305 bytes and its header; 12 bytes frozen, 2,484 trainable
    """
    check_selector(selector)
    leaves = named_leaves(params)
    others = [name for name, leaf in leaves.items() if not is_array(leaf)]
    if others:
        raise ValueError(
            f"params: {others[0] or 'it'!r} is {kind_of(leaves[others[0]])}, but a summary needs arrays or "
            "shapes; give the weights alone, of an Equinox model eqx.filter(model, eqx.is_array)"
        )
    if needs_values(selector) and not any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves.values()):
        selector = decided(selector, varying_names(params))
    made = jax.eval_shape(lambda params: selector.init(jax.random.key(0), params), params)
    structure: Any = jax.tree.structure(params)
    frozen, trainable = (structure.flatten_up_to(made[part]) for part in ("frozen", "params"))
    rows = tuple(map(_row, leaves, leaves.values(), frozen, trainable))
    return Summary(_with_mean_sigma(rows) if getattr(selector.settings, "share", None) == "network" else rows)


def _with_mean_sigma(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Of options that all weights share, which have the mean sigma of them."""
    known = [row.sigma for row in rows if row.sigma is not None]
    mean = sum(known) / len(known) if known else None
    return tuple(row if row.sigma is None else row._replace(sigma=mean) for row in rows)


def _row(name: str, leaf: Any, frozen: Any, trainable: Any) -> Row:
    known = not isinstance(leaf, jax.ShapeDtypeStruct)
    own = float(np.std(np.asarray(leaf, np.float64))) if known and leaf.size else None
    made = frozen.made if isinstance(frozen, Drawn) else {}
    # A mask counts 0 among its options.
    k = made["coats"] + 1 if "coats" in made else made.get("k", 0) + made.get("number", 0)
    return Row(
        name=name,
        shape=tuple(leaf.shape),
        method=made.get("method"),
        reason="" if made else _reason(name, leaf, known),
        k=k,
        sigma=_deviation(made, own) if made else None,
        own=own,
        start=made.get("initial", ""),
        bits=max(1, (k - 1).bit_length()) * _free(made) if k else 8 * leaf.dtype.itemsize,
        frozen=_bytes(jax.tree.leaves(frozen)),
        trainable=_bytes(jax.tree.leaves(trainable)),
    )


def _reason(name: str, leaf: Any, known: bool) -> str:
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return f"is {leaf.dtype}"
    if len(leaf.shape) < 2:
        return "fewer than 2 dimensions"
    if not matrices_and_kernels(name, leaf):
        return "empty" if 0 in leaf.shape else f"called {name.rsplit('/', 1)[-1]}"
    if known and not varies_about_zero(leaf):
        return "does not vary about zero"
    return "left out"


def _deviation(made: dict[str, Any], own: float | None) -> float | None:
    """Of what is drawn: the own one, or that of a named distribution, whose scale may be a limit."""
    if made.get("scale") == "own":
        return None if own is None else own * made.get("factor", 1.0)
    scale = made.get("scale")
    return None if scale is None else scale / float(limit_of(made["kind"], jnp.float32(1)))


def _free(made: dict[str, Any]) -> float:
    """The share of connections that is not frozen."""
    return 1 - (made["pruned"] + made["kept"]) / 2**32 if "pruned" in made else 1


def _bytes(leaves: list[Any]) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _cells(row: Row) -> tuple[str, ...]:
    chosen = f"{row.method}, K = {row.k}" if row.method else f"no: {row.reason}"
    sigma = "" if row.sigma is None else f"{row.sigma:.3g}{'!' if row.is_far else ''}"
    own = "" if row.own is None else f"{row.own:.3g}"
    shape = str(row.shape).replace(" ", "")
    return row.name, shape, chosen, sigma, own, row.start, f"{row.bits:g}", str(row.frozen), str(row.trainable)


def _warnings(rows: tuple[Row, ...]) -> list[str]:
    far = [row.name for row in rows if row.is_far]
    return [f"! not within {_FAR} times the deviation that the model's own initializer gives"] if far else []
