"""Selectors: ways of choosing the weights of a network, over any parameter pytree."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from slotjax._options import Distribution, Initializer, draw_options, glorot_uniform, initial_scores, options_scale
from slotjax._selection import greedy, probabilistic, straight_through
from slotjax._tree import Weight, Where, fold_name, init_selected, map_selected, matrices_and_kernels

SELECTIONS = ("greedy", "probabilistic")


class Selector(NamedTuple):
    """One way of choosing the weights of a network, as pure functions.

    Attributes:
        init: `init(key, params) -> variables`, where `params` are the weights of a model or just their shapes
            (`jax.ShapeDtypeStruct`), and `variables` is `{"params": trainable, "frozen": fixed}`. Both mirror the
            tree of `params`; a leaf that is not selected stays in `"params"` as it is. The same key and names give the
            same random values in any tree.
        select: `select(variables, key=None) -> weights`, a pytree shaped like `params`, for the unmodified model. A
            key samples, in training, where the selection is probabilistic; without one it is deterministic, as at
            evaluation.
        selection: `selection(variables, key=None) -> indices`, what `select` chooses: per connection the index of the
            option, `int32`, and `None` for leaves that are not selected.
    """

    init: Callable[..., dict[str, PyTree]]
    select: Callable[..., PyTree]
    selection: Callable[..., PyTree]


def slot_machine(
    k: int = 8,
    selection: str = "greedy",
    *,
    distribution: Distribution | Initializer | None = None,
    score_scale: float | None = None,
    where: Where = matrices_and_kernels,
) -> Selector:
    """K frozen random options per connection, of which training selects one by its score.

    With options `W_k` and scores `s_k`, the weight of a connection is `W_{k*}`, where `k* = argmax_k s_k` (greedy) or
    `k*` is drawn with probability `softmax(s)_k` (probabilistic). The gradient is straight-through,
    `dL/ds_k = dL/dW * W_k`, for every `k`. Only the scores are trained.

    Per selected weight, `variables["params"]` has the scores `(K, *weight.shape)` in float32 or better, and
    `variables["frozen"]` has `{"options": (K, *weight.shape)}` in the dtype of the weight.

    Args:
        k: options per connection, at least 1.
        selection: `"greedy"` or `"probabilistic"`. Both are greedy when `select` gets no key.
        distribution: what options are drawn from, `slotjax.glorot_uniform()` unless given; any function from
            `jax.nn.initializers` is taken as well. It is called on the shape of the weight, once per option.
        score_scale: lambda; initial scores are `U(0, lambda sigma)`, with sigma the scale of the options. Unless given,
            0.1 for weights of two dimensions and 1 for more.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf.

    Returns:
        A `Selector`.

    Raises:
        ValueError: for arguments outside these ranges; from `init`, if `where` leaves out a leaf of which only the
            shape is known; from `select`, if `where` picked nothing.

    Implements sections 3.2 and 4.1 of Aladago & Torresani, "Slot Machines: Discovering Winning Combinations of Random
    Weights in Neural Networks" (ICML 2021).

    >>> selector = slotjax.slot_machine(k=8)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((784, 300))})
    >>> variables["params"]["kernel"].shape, variables["frozen"]["kernel"]["options"].shape
    ((8, 784, 300), (8, 784, 300))
    >>> selector.select(variables)["kernel"].shape
    (784, 300)
    """
    _check_slot_machine(k, selection, score_scale)
    distribution = glorot_uniform() if distribution is None else distribution
    draw = distribution.draw if isinstance(distribution, Distribution) else distribution

    def init(key, params):
        def one(name, leaf):
            options_key, scores_key = jax.random.split(fold_name(key, name))
            dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
            scores_dtype = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
            options = draw_options(options_key, k, leaf.shape, dtype, draw)
            scale = (0.1 if len(leaf.shape) <= 2 else 1.0) if score_scale is None else score_scale
            limit = scale * options_scale(distribution, options)
            return initial_scores(scores_key, k, leaf.shape, scores_dtype, limit), {"options": options}

        return init_selected(one, where, params)

    def choose(weight: Weight, key):
        scores = jax.lax.stop_gradient(weight.trainable)
        if key is None or selection == "greedy":
            return greedy(scores)
        return probabilistic(scores, fold_name(key, weight.name))

    def select(variables, key=None):
        def one(weight):
            options = weight.frozen["options"]
            _check_shapes(weight.name, weight.trainable.shape, options.shape)
            return straight_through(weight.trainable, options, choose(weight, key))

        return map_selected(one, variables, rest=lambda leaf: leaf)

    def indices(variables, key=None):
        return map_selected(lambda weight: choose(weight, key), variables, rest=lambda _: None)

    return Selector(init, select, indices)


def _check_shapes(name: str, scores: tuple[int, ...], options: tuple[int, ...]) -> None:
    if scores != options:
        raise ValueError(f"variables: {name!r} has scores of shape {scores}, but options of shape {options}")


def _check_slot_machine(k: Any, selection: Any, score_scale: Any) -> None:
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: {k!r} was given, but it must be a whole number of options, at least 1")
    if selection not in SELECTIONS:
        raise ValueError(f"selection: {selection!r} was given, but it must be one of {', '.join(SELECTIONS)}")
    if score_scale is not None and not 0 <= score_scale < float("inf"):
        raise ValueError(f"score_scale: {score_scale!r} was given, but it must be finite and not negative")
