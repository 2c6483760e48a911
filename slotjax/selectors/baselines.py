"""The baselines of both papers as selectors: learned weights, random ones, and leaves that stay as they are."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from slotjax.distributions import Distribution, glorot_uniform
from slotjax.options.codebook import Codebook
from slotjax.options.options import Initializer, draw_options
from slotjax.selectors.selector import Method, Selector, make_selector
from slotjax.selectors.tree import Weight, Where, each_named, fold_name, init_selected, matrices_and_kernels


class Learned(NamedTuple):
    """The arguments of `learned`."""

    distribution: Distribution | Initializer | None


class Fixed(NamedTuple):
    """No argument of `fixed` decides a value."""


class RandomSelection(NamedTuple):
    """The arguments of `random_selection`."""

    distribution: Distribution | Initializer


def learned(distribution: Distribution | Initializer | None = None, *, where: Where = matrices_and_kernels) -> Selector:
    """Ordinary training: the weights themselves are trained.

    It lets the baseline, and the finetuning of a selection, take the same path as every other selector: to finetune,
    give `init` the weights that `select` returned. `variables["params"]` are the weights; nothing is frozen.

    Args:
        distribution: what the weights that `where` picks start from. Unless given, `init` keeps the weights that it
            is given.
        where: `where(name, leaf) -> bool` picks the weights that are drawn, by their name and leaf.

    Returns:
        A `Selector`; its `selection` and `scores` are `None` everywhere.

    Raises:
        ValueError: from `init`, if the weights should be kept and only their shapes are known.

    >>> machine = slotjax.slot_machine(k=8)
    >>> chosen = machine.select(machine.init(jax.random.key(0), {"kernel": jnp.zeros((3, 4))}))
    >>> variables = slotjax.learned().init(jax.random.key(0), chosen)
    >>> bool((slotjax.learned().select(variables)["kernel"] == chosen["kernel"]).all())
    True
    """

    def init(key, params):
        if distribution is None:
            return init_selected(lambda leaves: {}, lambda *_: False, params)
        return init_selected(
            lambda leaves: each_named(lambda name, leaf: (_draw(distribution, key, name, leaf), {}), leaves),
            where,
            params,
        )

    def weights(variables, key=None):
        if jax.tree.leaves(variables["frozen"]):
            raise ValueError("variables: 'frozen' holds random values, but learned weights have none")
        return variables["params"]

    def nothing(variables, key=None):
        return jax.tree.map(lambda _: None, weights(variables))

    return Selector(init, weights, nothing, nothing, lambda variables: {}, False, Learned(distribution))


def fixed(*, where: Where = lambda name, leaf: True) -> Selector:
    """Leaves that stay as `init` is given them: neither chosen nor trained.

    A batch norm whose scale is fixed at 1 and whose bias is fixed at 0 is one without them; otherwise selectors leave
    such parameters to be trained. `variables["params"]` has `{}` in place of a fixed leaf, and `variables["frozen"]`
    has `{"value": shape}`.

    Args:
        where: `where(name, leaf) -> bool` picks the leaves, by their name and leaf; all unless given.

    Returns:
        A `Selector`; its `selection` and `scores` are `None`.

    Raises:
        ValueError: from `init`, for a leaf of which only the shape is known.

    >>> params = {"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)}
    >>> selector = slotjax.partition({"bias": slotjax.fixed(), ".*": slotjax.slot_machine(k=2)})
    >>> jax.tree.map(jnp.shape, selector.init(jax.random.key(0), params)["params"])
    {'bias': {}, 'kernel': (2, 3, 4)}
    """

    def keep(name, leaf):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise ValueError("it is to be fixed, so it needs an array, not only a shape")
        return {}, {"value": jnp.asarray(leaf)}

    method = Method(
        init=lambda key, leaves: each_named(keep, leaves),
        choose=lambda weights, key: [None for _ in weights],
        values=lambda weights, key: [_value(weight) for weight in weights],
        scores=lambda weights: [None for _ in weights],
        codebook=lambda weight: None,
    )
    return make_selector(method, where, Fixed())


def random_selection(
    distribution: Distribution | Initializer | None = None, *, where: Where = matrices_and_kernels
) -> Selector:
    """The untrained network: every connection has one frozen random value, and nothing of it is trained.

    To pick one of K independent options at random is to draw one, so there is no K. `variables["params"]` has `{}` in
    place of a selected weight, and `variables["frozen"]` has `{"weight": shape}`.

    Args:
        distribution: what weights are drawn from, `slotjax.distributions.glorot_uniform()` unless given.
        where: `where(name, leaf) -> bool` picks the weights, by their name and leaf.

    Returns:
        A `Selector`; its `selection` is 0 everywhere, and its `scores` are `None`.

    Raises:
        ValueError: from its functions, as with `slotjax.slot_machine`.

    The baseline "random weights" of Figure 2 of Aladago & Torresani (2021).

    >>> selector = slotjax.random_selection()
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((3, 4))})
    >>> variables["params"], selector.select(variables)["kernel"].shape
    ({'kernel': {}}, (3, 4))
    """
    distribution = glorot_uniform() if distribution is None else distribution

    def init(key, leaves):
        return each_named(lambda name, leaf: ({}, {"weight": _draw(distribution, key, name, leaf)}), leaves)

    method = Method(
        init=init,
        choose=lambda weights, key: [jnp.zeros(_weight(weight).shape, jnp.int32) for weight in weights],
        values=lambda weights, key: [_weight(weight) for weight in weights],
        scores=lambda weights: [None for _ in weights],
        codebook=lambda weight: Codebook(1, _weight(weight)[None]),
    )
    return make_selector(method, where, RandomSelection(distribution))


def _weight(weight: Weight) -> Array:
    if set(weight.frozen) != {"weight"} or jax.tree.leaves(weight.trainable):
        raise ValueError(f"variables: {weight.name!r} was made by another kind of selector than a random selection")
    return weight.frozen["weight"]


def _value(weight: Weight) -> Array:
    if set(weight.frozen) != {"value"}:
        raise ValueError(f"variables: {weight.name!r} was made by another kind of selector than fixed()")
    return jax.lax.stop_gradient(weight.frozen["value"])


def _draw(distribution: Distribution | Initializer, key: PRNGKeyArray, name: str, leaf: Any) -> Array:
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return draw_options(fold_name(key, name), 1, leaf.shape, dtype, distribution)[0]
