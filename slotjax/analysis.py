"""What training selected: pure functions on selections, weights and variables."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from slotjax.options import Codebook, kept_ratio
from slotjax.selectors import Selector, named_leaves

__all__ = [
    "flops",
    "index_counts",
    "offered_and_selected",
    "overlap",
    "parameters_kept",
    "share_changed",
    "share_outermost",
    "sparsity",
]


def share_changed(before: PyTree, after: PyTree) -> Float[Array, ""]:
    """The share of connections whose selection is another than before.

    Args:
        before: what `selector.selection` gave, indices or masks.
        after: the same, later.

    Returns:
        From 0 to 1, `float32`; 0 if nothing is selected at all.

    Figure 7 of Aladago & Torresani (2021).

    >>> before, after = {"w": jnp.array([0, 1, 2, 2])}, {"w": jnp.array([0, 1, 2, 0])}
    >>> print(slotjax.analysis.share_changed(before, after))
    0.25
    """
    pairs = _pairs(before, after)
    if not pairs:
        return jnp.zeros(())
    return _share(sum(jnp.sum(old != new, dtype=jnp.int32) for old, new in pairs), sum(new.size for _, new in pairs))


def overlap(mask: PyTree, other: PyTree) -> Float[Array, ""]:
    """How much two masks have in common: connections kept by both over those kept by any (Jaccard's index).

    Args:
        mask: booleans, as `selection` of an edge-popup or a supermask gives them; or weights, where 0 is not kept.
        other: the same, of another network.

    Returns:
        From 0 to 1, `float32`; 1 if neither keeps anything.

    >>> print(slotjax.analysis.overlap(jnp.array([True, True, False]), jnp.array([True, False, False])))
    0.5
    """
    pairs = [(_kept(one), _kept(two)) for one, two in _pairs(mask, other)]
    both = sum(jnp.sum(one & two, dtype=jnp.int32) for one, two in pairs)
    either = sum(jnp.sum(one | two, dtype=jnp.int32) for one, two in pairs)
    return jnp.where(either == 0, 1.0, _share(both, jnp.maximum(either, 1)))


def sparsity(weights: PyTree) -> Float[Array, ""]:
    """The share of entries that are 0.

    Args:
        weights: what `selector.select` gave, or a mask.

    Returns:
        From 0 to 1, `float32`; 0 if there are no entries.

    Section 4.6 of Aladago & Torresani (2021).

    >>> print(slotjax.analysis.sparsity({"w": jnp.array([0.0, 1.0, 0.0, 2.0])}))
    0.5
    """
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(weights)]
    zeros = sum(jnp.sum(~_kept(leaf), dtype=jnp.int32) for leaf in leaves)
    return _share(zeros, max(1, sum(leaf.size for leaf in leaves)))


def parameters_kept(weights: PyTree) -> int:
    """The number of entries that are not 0.

    The column "parameters kept" of the ImageNet table of Ramanujan et al. (2020).

    >>> slotjax.analysis.parameters_kept({"w": jnp.array([0.0, 1.0, 0.0, 2.0])})
    2
    """
    return int(sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(weights)))


def index_counts(selection: PyTree, k: int) -> Int[np.ndarray, " k"]:
    """How often each option is selected, over all leaves.

    Args:
        selection: what `selector.selection` gave, indices or masks.
        k: the number of options, 2 for masks.

    Raises:
        ValueError: for fewer options than the selection has.

    >>> slotjax.analysis.index_counts({"w": jnp.array([0, 2, 2])}, k=3).tolist()
    [1, 0, 2]
    """
    counts = [np.bincount(np.asarray(leaf, np.int64).ravel(), minlength=k) for leaf in jax.tree.leaves(selection)]
    most = max(map(len, counts), default=k)
    if most > k:
        raise ValueError(
            f"k: {k} was given, but it must be at least {most}, for the selection has indices up to {most - 1}"
        )
    return np.sum(counts, 0) if counts else np.zeros(k, np.int64)


def offered_and_selected(
    selector: Selector, variables: dict[str, PyTree], bins: int = 50
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Histograms of the values that each weight could have and of those that it has.

    Args:
        selector: what made the variables.
        variables: `{"params": ..., "frozen": ...}`.
        bins: equal intervals from the least to the greatest value offered.

    Returns:
        By name, the counts of all offered values, of the selected ones, and the `bins + 1` edges.

    Figure 11 of Aladago & Torresani (2021).

    >>> selector = slotjax.slot_machine(k=8)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (30, 40))})
    >>> offered, selected, edges = slotjax.analysis.offered_and_selected(selector, variables)["kernel"]
    >>> int(offered.sum()), int(selected.sum()), len(edges)
    (9600, 1200, 51)
    """
    selection = named_leaves(selector.selection(variables))
    weights = named_leaves(selector.select(variables))
    return {
        name: _histograms(codebook, selection[name], np.asarray(weights[name]), bins)
        for name, codebook in selector.codebooks(variables).items()
    }


def share_outermost(selector: Selector, variables: dict[str, PyTree]) -> dict[str, float]:
    """The share of connections of each weight that have the least or the greatest of their options.

    From 2/K to 4/K at the start. Where it is much larger after training, the weights grew to where their options end:
    give them a larger scale, such as `distributions.own_scale("bell", 3.0)`, or let them be learned, as
    `slotjax.partition` does.

    Args:
        selector: what made the variables.
        variables: `{"params": ..., "frozen": ...}`.

    Returns:
        By name, from 0 to 1; of masks, 1.

    >>> selector = slotjax.slot_machine(k=64)
    >>> variables = selector.init(jax.random.key(0), {"kernel": 0.1 * jax.random.normal(jax.random.key(1), (30, 40))})
    >>> grown = jax.tree.map(lambda leaf: 10 * leaf, variables["params"])
    >>> for params in (variables["params"], grown):
    ...     print(round(slotjax.analysis.share_outermost(selector, variables | {"params": params})["kernel"], 2))
    0.06
    0.85
    """
    weights = named_leaves(selector.select(variables))
    return {name: _outermost(book, weights[name]) for name, book in selector.codebooks(variables).items()}


def flops(function: Callable[..., Any], *arguments: Any) -> float:
    """The floating-point operations of one call, as XLA counts them in the program for a TPU.

    That one has whole convolutions where the program for a CPU has loops, and it need not be compiled to be counted.

    Args:
        function: what `jax.jit` takes, such as a training step; loops are counted as one turn.
        arguments: what it is called with, arrays or shapes.

    Raises:
        RuntimeError: where JAX has no CPU, whose compiler is the only one that counts.

    Figure 4 of Aladago & Torresani (2021), with a count instead of an estimate.

    >>> slotjax.analysis.flops(lambda x, w: x @ w, jnp.ones((8, 16)), jnp.ones((16, 4)))
    1024.0
    """
    shapes = jax.eval_shape(lambda *arrays: arrays, *arguments)
    with jax.default_device(_cpu()):
        counted = jax.jit(function).trace(*shapes).lower(lowering_platforms=("tpu",)).cost_analysis()
    if counted is None:
        raise RuntimeError("operations cannot be counted: this version of JAX does not count them")
    return float(counted.get("flops", 0.0))  # 0 of a program that moves arrays only


def _cpu() -> jax.Device:
    try:
        return jax.devices("cpu")[0]
    except RuntimeError as error:
        raise RuntimeError("operations are counted on a CPU, which JAX_PLATFORMS must name too: cuda,cpu") from error


def _pairs(one: PyTree, other: PyTree) -> list[tuple[Any, Any]]:
    """The leaves of two trees, side by side.

    Raises:
        ValueError: if their structures or shapes differ.
    """
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (one, other)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"selections of different networks cannot be compared: {shapes[0]} and {shapes[1]}")
    return list(zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def _kept(leaf: Any) -> Bool[Array, "..."]:
    return jnp.asarray(leaf).astype(bool)


def _share(part: Any, whole: Any) -> Float[Array, ""]:
    return jnp.asarray(part, jnp.float32) / jnp.asarray(whole, jnp.float32)


def _outermost(codebook: Codebook, weight: Any) -> float:
    options, weight = codebook.options, np.asarray(weight)
    values = [np.asarray(options.numbered(k)) for k in range(options.k)]
    return float(((weight <= np.min(values, axis=0)) | (weight >= np.max(values, axis=0))).mean())


def _histograms(
    codebook: Codebook, selection: Array, weight: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # A mask is rescaled by what it keeps, not by what an option would if it were taken everywhere.
    ratio = float(kept_ratio(selection.astype(bool), jnp.float32)) if codebook.rescaled else 1.0
    options = codebook.options
    values = [np.asarray(options.numbered(k), np.float64).ravel() * ratio for k in range(options.k)]
    chosen = np.asarray(weight, np.float64).ravel()
    bounds = min(value.min() for value in (chosen, *values)), max(value.max() for value in (chosen, *values))
    offered = [np.histogram(value, bins, bounds)[0] for value in values]
    selected, edges = np.histogram(chosen, bins, bounds)
    return np.sum(offered, axis=0), selected, edges
