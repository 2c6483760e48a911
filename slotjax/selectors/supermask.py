"""Supermasks: one frozen random weight per connection, kept with a probability that is trained."""

import dataclasses
from typing import Any, ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slotjax.distributions import Distribution, own_scale
from slotjax.options import (
    Codebook,
    Drawn,
    Initializer,
    Seed,
    Source,
    Storage,
    check_distribution,
    check_flag,
    check_one_of,
    draw_seed,
    kept_ratio,
    uniform_numbers,
)
from slotjax.selectors.masks import check_mask_layout, mask_codebook, mask_scores, mask_source, masked, random_weight
from slotjax.selectors.selector import Selector, Weight, Where, default_where
from slotjax.selectors.tree import make_selector

Evaluation = Literal["thresholded", "expected", "sampled"]


def supermask(
    *,
    evaluation: Evaluation = "thresholded",
    rescale: bool = False,
    options: Storage = "stored",
    distribution: Distribution | Initializer | None = None,
    where: Where | None = None,
) -> Selector:
    """One frozen random weight per connection, kept with the probability `sigmoid(score)`.

    In training, with a key, the weight of a connection is `w` with probability `p = sigmoid(s)`, else 0, drawn anew in
    every forward pass. The gradient is straight-through, `dL/dp = dL/dW * w`. Only the scores are trained.

    Per selected weight, `variables["params"]` has scores of the weight's shape in float32 or better, and
    `variables["frozen"]` has `{"weight": shape}`, or `{"seed": uint32 (2,)}` if it is seeded, and with
    `evaluation="sampled"` a second seed, `"sample"`.

    Args:
        evaluation: what a connection is when `select` gets no key: `w` if `p >= 1/2` (`"thresholded"`), `p w`
            (`"expected"`, which selects nothing, so that it has no ticket), or one draw that is the same every
            time (`"sampled"`).
        rescale: whether each weight is multiplied by the number of its connections over the number of those that are
            kept; as a constant, without a gradient.
        options: random weights are `"stored"`, or `"seeded"` to recompute them wherever they are used.
        distribution: what random weights are drawn from. Default: `distributions.own_scale("signed_constant")`; the
            papers' are `distributions.signed_kaiming_constant()`. Stored ones may come from any function of
            `jax.nn.initializers` as well.
        where: `where(name, leaf) -> bool` picks the weights, by their name (`"Dense_0/kernel"`) and leaf. Default: as
            in `slotjax.slot_machine`.

    Returns:
        A `Selector`; `selection` gives boolean masks, for expected weights the most probable ones.

    Raises:
        ValueError: for arguments outside these ranges; from its functions, as with `slotjax.slot_machine`; from
            `codebooks`, for expected weights.

    Implements section 4 of Zhou et al., "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask" (NeurIPS
    2019); the baseline of both papers. Scores start from `U(-1, 1) / sqrt(fan_in)`, or from `U(-sigma, sigma)` at the
    own scale.

    >>> signed = slotjax.distributions.signed_kaiming_constant()
    >>> selector = slotjax.supermask(evaluation="expected", distribution=signed)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jnp.zeros((8, 4))})
    >>> mask = selector.selection(variables, jax.random.key(1))["kernel"]
    >>> mask.dtype, selector.select(variables, jax.random.key(1))["kernel"].shape
    (dtype('bool'), (8, 4))
    """
    distribution = own_scale("signed_constant") if distribution is None else distribution
    where = default_where(distribution) if where is None else where
    check_one_of("evaluation", evaluation, get_args(Evaluation))
    check_one_of("options", options, get_args(Storage))
    check_flag("rescale", rescale)
    check_distribution(distribution, options)
    return make_selector(Supermask(evaluation, rescale, options, distribution), where)


@dataclasses.dataclass(frozen=True)
class Supermask:
    """The weights that a trained probability keeps; see `Method`."""

    evaluation: Evaluation
    rescale: bool
    options: Storage
    distribution: Distribution | Initializer
    name: ClassVar = "supermask"

    @property
    def source(self) -> Source:
        """Where the random weights come from."""
        return mask_source(self.options, self.distribution)

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Float[Array, "*shape"], Drawn]:
        """Scores, the random weight or its seed, and the seed of the one sample that evaluation may use."""
        sample = {"sample": draw_seed(jax.random.fold_in(key, 0))} if self.evaluation == "sampled" else {}
        return mask_scores(key, leaf, self.distribution), self.source.init(key, leaf).with_more(sample)

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Bool[Array, "*shape"]:
        """What is kept."""
        scores = stop_gradient(self.scores(weight))
        if key is not None:
            return _drawn(scores, draw_seed(key))
        return _drawn(scores, weight.frozen["sample"]) if self.evaluation == "sampled" else scores >= 0

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Float[Array, "*shape"]:
        """What is kept of the random weight, with the gradient `dL/dp = dL/dW w`, or all of it times p."""
        probability = jax.nn.sigmoid(self.scores(weight))
        random = random_weight(self.source, weight)
        if key is None and self.evaluation == "expected":
            ratio = probability.size / jnp.sum(stop_gradient(probability)) if self.rescale else 1.0
            return (random.astype(probability.dtype) * probability * ratio).astype(random.dtype)
        mask = self.choose(weight, key)
        chosen = masked(random, mask, probability)
        return chosen * kept_ratio(mask, chosen.dtype) if self.rescale else chosen

    def scores(self, weight: Weight) -> Float[Array, "*shape"]:
        """The logits of the probabilities."""
        sample = frozenset({"sample"} if self.evaluation == "sampled" else ())
        check_mask_layout(weight, self.source, sample)
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """Zero and the random weight."""
        if self.evaluation == "expected":
            raise ValueError(
                "selector: expected weights are weighted by their probabilities, so that no mask stands for them; use "
                "supermask(evaluation='thresholded') or 'sampled'"
            )
        return mask_codebook(self.source, weight, self.rescale)


def _drawn(scores: Float[Array, "*shape"], seed: Seed) -> Bool[Array, "*shape"]:
    probability = jax.nn.sigmoid(scores)
    return uniform_numbers(seed, probability.shape, probability.dtype, like=probability) < probability
