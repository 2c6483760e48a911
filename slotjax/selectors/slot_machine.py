"""Slot machines: K frozen random options per connection, of which training selects one."""

import dataclasses
import statistics
from numbers import Integral
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from jaxtyping import PRNGKeyArray

from slotjax.distributions import Distribution, glorot_uniform
from slotjax.options import Codebook, FromLayer, Initializer, Source, Storage, check_distribution, own_options
from slotjax.selectors.explicit import ExplicitScores
from slotjax.selectors.factored import FactoredScores, SeededStart, StoredStart
from slotjax.selectors.initial_scores import Initial, InitialScores
from slotjax.selectors.selector import Frozen, Selector, Weight, Where, check_one_of, matrices_and_kernels
from slotjax.selectors.tree import Each, TreeSelector, each_named, make_selector

Selection = Literal["greedy", "probabilistic"]
Scores = Literal["explicit", "factored"]
Share = Literal["connection", "layer", "network"]
_CHOICES = {"selection": Selection, "scores": Scores, "options": Storage, "share": Share, "initial": Initial}


@dataclasses.dataclass(frozen=True)
class SlotMachine:
    """The arguments of `slot_machine`."""

    k: int
    selection: Selection
    scores: Scores
    options: Storage
    distribution: Distribution | Initializer
    score_scale: float | None = None
    share: Share = "connection"
    sparse: bool = False
    initial: Initial = "uniform"
    name: ClassVar = "slot_machine"


def slot_machine(
    k: int = 8,
    selection: Selection = "greedy",
    *,
    scores: Scores = "explicit",
    options: Storage = "stored",
    distribution: Distribution | Initializer | None = None,
    score_scale: float | None = None,
    share: Share = "connection",
    sparse: bool = False,
    initial: Initial = "uniform",
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

    Neither choice changes what is drawn. Per selected weight, `variables` has, in float32 or better and for
    `share="connection"`,

    | | `["params"]` | `["frozen"]` |
    |---|---|---|
    | explicit, stored | scores `(K, *shape)` | `{"options": (K, *shape)}`, in the dtype of the weight |
    | explicit, seeded | scores `(K, *shape)` | `{"seed": uint32 (2,)}` |
    | factored, stored | `{"u": shape, "a": scalar}` | `{"options": (K, *shape), "scores": (K, *shape)}` |
    | factored, seeded | `{"u": shape, "a": scalar}` | `{"seed": uint32 (2,)}` |

    Shared options are always stored, being only K; factored and seeded then needs `"seed"` and `"sigma"` beside them.

    Args:
        k: options per connection, at least 1.
        selection: `"greedy"` or `"probabilistic"`. Both are greedy when `select` gets no key.
        scores: `"explicit"` or `"factored"`.
        options: `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what options are drawn from. Default: `distributions.glorot_uniform()`. Stored options may come
            from any function of `jax.nn.initializers` as well, which is called on the shape of the weight, once per
            option. Kernels of `nn.DenseGeneral` and attention need `slotjax.distributions.flattened`.
        score_scale: lambda; initial scores are `U(0, lambda sigma)`, with sigma the scale of the options. Default:
            0.1 for weights of two dimensions and 1 for more.
        share: which connections have the same options, `(K,)` in all: none (`"connection"`), those of a `"layer"`, or
            all of the `"network"`, with the mean sigma of its layers (section 4.5).
        sparse: whether option 0 of every connection is 0 (section 4.6).
        initial: `"uniform"` scores, or those by which the option `"nearest"` to a random value `c` is the first choice,
            `s_k(0) = c W_k - W_k^2 / 2`; then training moves a latent value `c + u / a`, for which the K options are a
            random codebook. `c` is drawn like an option. Rates are those of learned weights.
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
    k = int(k) if isinstance(k, Integral) and not isinstance(k, bool) else k
    settings = SlotMachine(k, selection, scores, options, distribution, score_scale, share, sparse, initial)
    _check(settings)
    if share == "network":
        return TreeSelector(Network(settings, Each(_method(settings))), where, settings, joint=True)
    return make_selector(_method(settings), where, settings)


class Network(NamedTuple):
    """A slot machine all of whose connections share their options, with the mean sigma of its weights."""

    settings: SlotMachine
    each: Each

    def init(self, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Frozen]]:
        """Draws the options from the network's key, and all else from each weight's own."""
        distribution = self.settings.distribution
        assert isinstance(distribution, Distribution), "checked by slot_machine"
        if leaves:
            scale = distribution.scale
            mean = statistics.fmean(each_named(lambda _, leaf: scale(leaf.shape), leaves).values())
            distribution = Distribution(distribution.kind, lambda _: mean)
        return Each(_method(dataclasses.replace(self.settings, distribution=distribution), key)).init(key, leaves)

    def choose(self, weights: list[Weight], key: PRNGKeyArray | None) -> list[Any]:
        """The choice of every weight."""
        return self.each.choose(weights, key)

    def value(self, weights: list[Weight], key: PRNGKeyArray | None) -> list[Any]:
        """The value of every weight."""
        return self.each.value(weights, key)

    def scores(self, weights: list[Weight]) -> list[Any]:
        """The scores of every weight."""
        return self.each.scores(weights)

    def codebook(self, weight: Weight) -> Codebook | None:
        """The shared options."""
        return self.each.codebook(weight)


def _method(settings: SlotMachine, network_key: PRNGKeyArray | None = None) -> ExplicitScores | FactoredScores:
    """The one place where it is decided how scores and options are held."""
    source = _source(settings, network_key)
    samples, shared = settings.selection == "probabilistic", settings.share != "connection"
    initial = InitialScores(settings.initial, settings.distribution, settings.score_scale, shared, settings.sparse)
    if settings.scores == "explicit":
        return ExplicitScores(settings.k, samples, source, initial)
    start = SeededStart(initial) if settings.options == "seeded" else StoredStart(initial)
    return FactoredScores(settings.k, samples, source, start)


def _source(settings: SlotMachine, network_key: PRNGKeyArray | None) -> Source:
    k, distribution, sparse = settings.k, settings.distribution, settings.sparse
    if isinstance(distribution, Distribution) and settings.share != "connection":
        return FromLayer(k, distribution, sparse, network_key)
    return own_options(settings.options, k, distribution, sparse)


def _check(settings: SlotMachine) -> None:
    k, score_scale = settings.k, settings.score_scale
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: {k!r} was given, but it must be a whole number of options, at least 1")
    for name, choices in _CHOICES.items():
        check_one_of(name, getattr(settings, name), get_args(choices))
    if settings.sparse and k < 2:
        raise ValueError("k: 1 was given, but a sparse slot machine needs an option beside 0, so at least 2")
    if score_scale is not None and not 0 <= score_scale < float("inf"):
        raise ValueError(f"score_scale: {score_scale!r} was given, but it must be finite and not negative")
    check_distribution(settings.distribution, settings.options)
    if settings.share != "connection" and not isinstance(settings.distribution, Distribution):
        raise ValueError(
            "distribution: an initializer was given, but shared options need a slotjax.distributions.Distribution"
        )
