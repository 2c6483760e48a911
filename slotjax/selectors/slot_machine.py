"""Slot machines: K frozen random options per connection, of which training selects one."""

import dataclasses
import statistics
from numbers import Integral
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slotjax._numbers import is_number
from slotjax.distributions import Distribution, OwnScale, own_scale
from slotjax.options import (
    STRATIFIED,
    Codebook,
    FromLayer,
    Initializer,
    Source,
    Storage,
    check_distribution,
    check_flag,
    check_one_of,
    limit_of,
    own_options,
    own_sigma,
)
from slotjax.selectors.each import Each, each_named
from slotjax.selectors.explicit import ExplicitScores
from slotjax.selectors.factored import FactoredScores
from slotjax.selectors.initial_scores import Initial, InitialScores
from slotjax.selectors.selector import Frozen, Selector, Weight, Where, default_where
from slotjax.selectors.starts import LatentStart, SeededStart, Start, StoredStart
from slotjax.selectors.tree import TreeSelector, make_selector

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
    score_scale: float | None
    share: Share
    sparse: bool
    initial: Initial
    exact: bool
    name: ClassVar = "slot_machine"


def slot_machine(
    k: int = 8,
    selection: Selection = "greedy",
    *,
    scores: Scores = "factored",
    options: Storage = "seeded",
    distribution: Distribution | Initializer | None = None,
    score_scale: float | None = None,
    share: Share = "connection",
    sparse: bool = False,
    initial: Initial = "nearest",
    exact: bool | None = None,
    where: Where | None = None,
) -> Selector:
    """K frozen random options per connection, of which training selects one by its score.

    With options `W_k` and scores `s_k`, the weight of a connection is `W_{k*}`, where `k* = argmax_k s_k` (greedy) or
    `k*` is drawn with probability `softmax(s)_k` (probabilistic). The gradient is straight-through,
    `dL/ds_k = dL/dW * W_k`, for every `k`. Only the scores are trained.

    **By default** one number per connection trains: a latent value `u`, which starts at a random value like an option,
    has the gradient of the weight, and is rounded to the nearest of the K options, `s_k = u W_k - W_k^2 / 2`. Any
    optimizer may train it, at the rates of learned weights, and weight decay acts on it as on a weight. Options are
    drawn at the deviation of the weights that `init` is given, again from a seed wherever they are used.

    **The paper's method** has `initial="uniform"` and a distribution of the paper's. An optimizer that is linear in
    gradients and parameters, such as SGD with momentum and an L2 penalty, moves all K scores of a connection along one
    line, `s_k = a s_k(0) + u W_k`. Factored scores are that line: exactly the training of K explicit scores, for two
    numbers per connection. `slotjax.check_factorable` says whether an optimizer allows it. With another optimizer `a`
    is to stay 1; `slotjax.training` sees to it, and `exact=False` does in a loop of your own.

    Per selected weight, `variables` has, in float32 or better and for `share="connection"`,

    | | `["params"]` | `["frozen"]` |
    |---|---|---|
    | factored, seeded | `{"u": shape, "a": scalar}` | `{"seed": uint32 (2,)}` |
    | factored, stored | `{"u": shape, "a": scalar}` | `{"options": (K, *shape)}`, in the dtype of the weight |
    | explicit, seeded | scores `(K, *shape)` | `{"seed": uint32 (2,)}` |
    | explicit, stored | scores `(K, *shape)` | `{"options": (K, *shape)}` |

    A weight's own scale is there too, as `"sigma"`. Stored initial scores that are not given by the options are
    `"scores"`, `(K, *shape)`. Shared options are always stored, being only K; factored and seeded, with uniform or
    exact scores, then needs `"seed"` and `"sigma"` beside them.

    Args:
        k: options per connection, at least 1.
        selection: `"greedy"` or `"probabilistic"`. Both are greedy when `select` gets no key.
        scores: `"factored"` or `"explicit"`.
        options: `"seeded"` to recompute them wherever they are used, or `"stored"`; both are the same values.
        distribution: what options are drawn from. Default: `distributions.own_scale("bell")`. From
            `own_scale("stratified")`, greedy selection by factored scores takes the same time for every K, if options
            are seeded. Stored ones may come from any function of `jax.nn.initializers` as well, which is called on the
            shape of the weight, once per option.
        score_scale: lambda; uniform initial scores are `U(0, lambda sigma)`, with sigma the scale of the options.
            Default: 0.1 for weights of two dimensions and 1 for more, and 1 for all at their own scale.
        share: which connections have the same options, `(K,)` in all: none (`"connection"`), those of a `"layer"`, or
            all of the `"network"`, with the mean sigma of its layers (section 4.5).
        sparse: whether option 0 of every connection is 0 (section 4.6).
        initial: `"nearest"`, as above; `"given"`, the same from the weights that `init` is given, fresh or trained; or
            `"uniform"` scores.
        exact: whether factored scores are those K scores that a linear optimizer would train, weight decay included,
            so that `a` trains. Default: only if `initial` is `"uniform"`; otherwise `a` counts as 1.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf. Default:
            floating-point leaves of two or more dimensions not called `bias`, `b` or `scale`, and at their own scale
            only if they vary about zero. Leave out what starts tiny and is added to activations, such as positions of
            deviation 0.02, by `partition`: their options would end before training does (83.9 % in place of 91.7 on
            digits, in slotjax/README.md).

    Returns:
        A `Selector`.

    Raises:
        ValueError: for arguments outside these ranges; from `init`, if values are needed and only shapes are known, for
            a weight of its own scale that is constant, and if nothing varies; from `select`, if `where` picked nothing,
            or for variables that another selector made. Explicit scores cannot be turned into factored ones: once
            trained, K numbers need not lie on one line.

    Implements sections 3.2 and 4.1 of Aladago & Torresani, "Slot Machines: Discovering Winning Combinations of Random
    Weights in Neural Networks" (ICML 2021).

    >>> params = {"kernel": 0.05 * jax.random.normal(jax.random.key(1), (784, 300))}
    >>> selector = slotjax.slot_machine(k=64)
    >>> variables = selector.init(jax.random.key(0), params)
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'kernel': {'a': (), 'u': (784, 300)}}
    >>> selector.select(variables)["kernel"].shape
    (784, 300)
    >>> glorot = slotjax.distributions.glorot_uniform()
    >>> paper = slotjax.slot_machine(8, scores="explicit", options="stored", initial="uniform", distribution=glorot)
    >>> variables = paper.init(jax.random.key(0), {"kernel": jnp.zeros((784, 300))})
    >>> variables["params"]["kernel"].shape, variables["frozen"]["kernel"]["options"].shape
    ((8, 784, 300), (8, 784, 300))
    """
    distribution = own_scale("bell") if distribution is None else distribution
    k = int(k) if isinstance(k, Integral) and not isinstance(k, bool) else k
    exact = initial == "uniform" if exact is None else exact
    settings = SlotMachine(k, selection, scores, options, distribution, score_scale, share, sparse, initial, exact)
    _check(settings)
    where = default_where(distribution) if where is None else where
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
        if not leaves:
            return {}
        scale = distribution.scale
        if isinstance(scale, OwnScale):
            sigmas = each_named(lambda _, leaf: own_sigma(leaf, scale.factor), leaves)
            sigma: Any = jnp.stack(list(sigmas.values())).mean()
        else:
            sigma = statistics.fmean(each_named(lambda _, leaf: scale(leaf.shape), leaves).values())
        return Each(_method(self.settings, key, sigma)).init(key, leaves)

    def choose(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """The choice of every weight."""
        return self.each.choose(weights, key)

    def value(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """The value of every weight."""
        return self.each.value(weights, key)

    def scores(self, weights: dict[str, Weight]) -> dict[str, Any]:
        """The scores of every weight."""
        return self.each.scores(weights)

    def codebooks(self, weights: dict[str, Weight]) -> dict[str, Codebook | None]:
        """The shared options."""
        return self.each.codebooks(weights)


def _method(settings: SlotMachine, network_key: Any = None, sigma: Any = None) -> ExplicitScores | FactoredScores:
    """The one place where it is decided how scores and options are held."""
    source = _source(settings, network_key, sigma)
    samples, shared = settings.selection == "probabilistic", settings.share != "connection"
    initial = InitialScores(
        settings.initial, settings.distribution, settings.score_scale, shared, settings.sparse, sigma
    )
    if settings.scores == "explicit":
        return ExplicitScores(settings.k, samples, source, initial)
    return FactoredScores(settings.k, samples, source, _start(settings, initial), settings.exact)


def _start(settings: SlotMachine, initial: InitialScores) -> Start:
    if settings.initial == "given" or (settings.initial == "nearest" and not settings.exact):
        return LatentStart(initial)
    return SeededStart(initial) if settings.options == "seeded" else StoredStart(initial)


def _source(settings: SlotMachine, network_key: Any, sigma: Any) -> Source:
    k, distribution, sparse = settings.k, settings.distribution, settings.sparse
    if isinstance(distribution, Distribution) and settings.share != "connection":
        scale = limit_of(distribution.kind, sigma) if sigma is not None and distribution.is_own else sigma
        return FromLayer(k, distribution, sparse, network_key, scale)
    return own_options(settings.options, k, distribution, sparse)


def _check(settings: SlotMachine) -> None:
    k, score_scale = settings.k, settings.score_scale
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: {k!r} was given, but it must be a whole number of options, at least 1")
    for name, choices in _CHOICES.items():
        check_one_of(name, getattr(settings, name), get_args(choices))
    check_flag("sparse", settings.sparse)
    if settings.sparse and k < 2:
        raise ValueError("k: 1 was given, but a sparse slot machine needs an option beside 0, so at least 2")
    if score_scale is not None and not (is_number(score_scale) and 0 <= score_scale < float("inf")):
        raise ValueError(f"score_scale: {score_scale!r} was given, but it must be a number, finite and not negative")
    if not isinstance(settings.exact, bool):
        raise ValueError(f"exact: {settings.exact!r} was given, but it must be True, False or None")
    if settings.share != "connection" and not isinstance(settings.distribution, Distribution):
        raise ValueError(
            "distribution: an initializer was given, but shared options need a slotjax.distributions.Distribution"
        )
    check_distribution(settings.distribution, settings.options, k)
    if isinstance(settings.distribution, Distribution) and settings.distribution.kind == STRATIFIED:
        _check_stratified(settings)


def _check_stratified(settings: SlotMachine) -> None:
    """Raises for what stratified options, which are spread over a whole range and in order, do not go with."""
    if settings.initial == "uniform":  # a random choice among them would be twice too wide
        raise ValueError("initial: 'uniform' was given, but with stratified options it must be 'nearest' or 'given'")
    if settings.sparse:
        raise ValueError("sparse: True was given, but with stratified options it must be False")
