"""Selectors: ways of choosing the weights of a network, over any parameter pytree."""

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

from jaxtyping import PyTree

from slotjax._options import Distribution, Initializer, glorot_uniform, unit_option
from slotjax._slots import SlotMachine, choose, init_weight, scores_of, weight_of
from slotjax._tree import Where, init_selected, map_selected, matrices_and_kernels

SELECTIONS = ("greedy", "probabilistic")
SCORES = ("explicit", "factored")
OPTIONS = ("stored", "seeded")


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
        scores: `scores(variables) -> scores`, `(K, *weight.shape)` for every selected leaf, however they are stored,
            and `None` for the others.
        settings: what the selector was made with.
    """

    init: Callable[..., dict[str, PyTree]]
    select: Callable[..., PyTree]
    selection: Callable[..., PyTree]
    scores: Callable[..., PyTree]
    settings: SlotMachine


def slot_machine(
    k: int = 8,
    selection: str = "greedy",
    *,
    scores: str = "explicit",
    options: str = "stored",
    distribution: Distribution | Initializer | None = None,
    score_scale: float | None = None,
    where: Where = matrices_and_kernels,
) -> Selector:
    """K frozen random options per connection, of which training selects one by its score.

    With options `W_k` and scores `s_k`, the weight of a connection is `W_{k*}`, where `k* = argmax_k s_k` (greedy) or
    `k*` is drawn with probability `softmax(s)_k` (probabilistic). The gradient is straight-through,
    `dL/ds_k = dL/dW * W_k`, for every `k`. Only the scores are trained.

    An optimizer that is linear in gradients and parameters, such as SGD with momentum and an L2 penalty, moves all
    scores of a connection along one line, `s_k = a s_k(0) + u W_k`. Factored scores are that line: the same training
    for two numbers per connection instead of 2K, whatever K is. `slotjax.check_factorable` says whether an optimizer
    allows it. With seeded options, the frozen random values take no memory either.

    Neither choice changes what is drawn. Per selected weight, `variables` has, in float32 or better,

    | | `["params"]` | `["frozen"]` |
    |---|---|---|
    | explicit, stored | scores `(K, *shape)` | `{"options": (K, *shape)}`, in the dtype of the weight |
    | explicit, seeded | scores `(K, *shape)` | `{"seed": uint32 (2,)}` |
    | factored, stored | `{"u": shape, "a": scalar}` | `{"options": (K, *shape), "scores": (K, *shape)}` |
    | factored, seeded | `{"u": shape, "a": scalar}` | `{"seed": uint32 (2,)}` |

    Args:
        k: options per connection, at least 1.
        selection: `"greedy"` or `"probabilistic"`. Both are greedy when `select` gets no key.
        scores: `"explicit"` or `"factored"`.
        options: `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what options are drawn from, `slotjax.glorot_uniform()` unless given. Stored options may come from
            any function of `jax.nn.initializers` as well, which is called on the shape of the weight, once per option.
        score_scale: lambda; initial scores are `U(0, lambda sigma)`, with sigma the scale of the options. Unless given,
            0.1 for weights of two dimensions and 1 for more.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf.

    Returns:
        A `Selector`.

    Raises:
        ValueError: for arguments outside these ranges; from `init`, if `where` leaves out a leaf of which only the
            shape is known, or if options of half precision are to be seeded; from `select`, if `where` picked nothing,
            or if the variables are those of another kind of selector. Explicit scores cannot be turned into factored
            ones: once trained, K numbers need not lie on one line.

    Implements sections 3.2 and 4.1 of Aladago & Torresani, "Slot Machines: Discovering Winning Combinations of Random
    Weights in Neural Networks" (ICML 2021).

    >>> selector = slotjax.slot_machine(k=8)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((784, 300))})
    >>> variables["params"]["kernel"].shape, variables["frozen"]["kernel"]["options"].shape
    ((8, 784, 300), (8, 784, 300))
    >>> selector.select(variables)["kernel"].shape
    (784, 300)
    >>> small = slotjax.slot_machine(k=256, scores="factored", options="seeded")
    >>> variables = small.init(jax.random.key(0), {"kernel": jnp.zeros((784, 300))})
    >>> jax.tree.map(jnp.shape, variables["params"]), jax.tree.map(jnp.shape, variables["frozen"])
    ({'kernel': {'a': (), 'u': (784, 300)}}, {'kernel': {'seed': (2,)}})
    """
    distribution = glorot_uniform() if distribution is None else distribution
    settings = SlotMachine(k, selection, scores, options, distribution, score_scale)
    _check(settings)

    def init(key, params):
        return init_selected(lambda name, leaf: init_weight(settings, key, name, leaf), where, params)

    def select(variables, key=None):
        return map_selected(lambda weight: weight_of(settings, weight, key), variables, rest=lambda leaf: leaf)

    def indices(variables, key=None):
        return map_selected(lambda weight: choose(settings, weight, key)[0], variables, rest=lambda _: None)

    def all_scores(variables):
        return map_selected(lambda weight: scores_of(settings, weight), variables, rest=lambda _: None)

    return Selector(init, select, indices, all_scores, settings)


def _check(settings: SlotMachine) -> None:
    k, score_scale = settings.k, settings.score_scale
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: {k!r} was given, but it must be a whole number of options, at least 1")
    for name, allowed in (("selection", SELECTIONS), ("scores", SCORES), ("options", OPTIONS)):
        if getattr(settings, name) not in allowed:
            raise ValueError(
                f"{name}: {getattr(settings, name)!r} was given, but it must be one of {', '.join(allowed)}"
            )
    if score_scale is not None and not 0 <= score_scale < float("inf"):
        raise ValueError(f"score_scale: {score_scale!r} was given, but it must be finite and not negative")
    if isinstance(settings.distribution, Distribution):
        unit_option(settings.distribution.kind)
    elif settings.options == "seeded":
        raise ValueError("distribution: an initializer was given, but seeded options need a slotjax.Distribution")
