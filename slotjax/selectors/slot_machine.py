"""Slot machines: K frozen random options per connection, of which training selects one."""

from numbers import Integral

from slotjax.distributions import Distribution, glorot_uniform
from slotjax.options.options import OPTIONS, Initializer, check_options
from slotjax.selectors.selector import Method, Selector, check_one_of, make_selector
from slotjax.selectors.slot_init import SlotMachine, init_weights
from slotjax.selectors.slots import choose, codebook_of, scores_of, weight_of
from slotjax.selectors.tree import Where, matrices_and_kernels

SELECTIONS = ("greedy", "probabilistic")
SCORES = ("explicit", "factored")
SHARES = ("connection", "layer", "network")
INITIAL = ("uniform", "nearest")


def slot_machine(
    k: int = 8,
    selection: str = "greedy",
    *,
    scores: str = "explicit",
    options: str = "stored",
    distribution: Distribution | Initializer | None = None,
    score_scale: float | None = None,
    share: str = "connection",
    sparse: bool = False,
    initial: str = "uniform",
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
        distribution: what options are drawn from, `distributions.glorot_uniform()` unless given. Stored
            options may come from
            any function of `jax.nn.initializers` as well, which is called on the shape of the weight, once per option.
            Kernels of `nn.DenseGeneral` and attention need `slotjax.distributions.flattened`.
        score_scale: lambda; initial scores are `U(0, lambda sigma)`, with sigma the scale of the options. Unless given,
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
    method = Method(
        init=lambda key, leaves: init_weights(settings, key, leaves),
        choose=lambda weights, key: [choose(settings, weight, key)[0] for weight in weights],
        values=lambda weights, key: [weight_of(settings, weight, key) for weight in weights],
        scores=lambda weights: [scores_of(settings, weight) for weight in weights],
        codebook=lambda weight: codebook_of(settings, weight),
    )
    return make_selector(method, where, settings, joint=share == "network")


def _check(settings: SlotMachine) -> None:
    k, score_scale = settings.k, settings.score_scale
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: {k!r} was given, but it must be a whole number of options, at least 1")
    for name, allowed in _ALLOWED.items():
        check_one_of(name, getattr(settings, name), allowed)
    if settings.sparse and k < 2:
        raise ValueError("k: 1 was given, but a sparse slot machine needs an option beside 0, so at least 2")
    if score_scale is not None and not 0 <= score_scale < float("inf"):
        raise ValueError(f"score_scale: {score_scale!r} was given, but it must be finite and not negative")
    check_options(settings.distribution, settings.options)
    if settings.share != "connection" and not isinstance(settings.distribution, Distribution):
        raise ValueError(
            "distribution: an initializer was given, but shared options need a slotjax.distributions.Distribution"
        )


_ALLOWED = {"selection": SELECTIONS, "scores": SCORES, "options": OPTIONS, "share": SHARES, "initial": INITIAL}
