"""Curves of cost: what a step of a slot machine takes against options, width and layers, learned weights = 1."""

import statistics
import time
from collections.abc import Callable, Sequence
from operator import truediv
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

import slotjax
from experiments.running.components import Inputs, Network
from experiments.speed.measure import BATCH, DISTRIBUTION, MNIST, Variant, take_turns, turns_of, variant_of
from slotjax import data, models, training
from slotjax.selectors import Selection

WIDTHS = (300, 100)  # of LeNet's hidden layers
KS = (2, 4, 16, 64, 256, 1024)
TIMES, LAYERS, DEVICES = (1, 4, 16), (1, 4, 16), (1, 2, 4, 8, 16)
STEPS = 10  # of a call
TRAFFIC = "what memory traffic alone would allow"


class Curve(NamedTuple):
    """One panel: lines over the same places.

    Attributes:
        places: what is varied, ascending, or the names of networks.
        lines: by what they are, a number for each place.
    """

    places: list[int] | list[str]
    lines: dict[str, list[float]]


def against_options(rounds: int, ks: Sequence[int] = KS, widths: Sequence[int] = WIDTHS) -> Curve:
    """LeNet with more and more options."""
    makers: dict[str, Callable[[int], slotjax.Selector]] = {
        "greedy": machine,
        "probabilistic": lambda k: machine(k, "probabilistic"),
        "nearest, stratified": stratified,
    }
    selectors = {(name, k): make(k) for name, make in makers.items() for k in ks}
    taken = _ratios(widths, selectors, rounds)
    lines: dict[str, list[float]] = {name: [taken[name, k] for k in ks] for name in makers}
    return Curve([*ks], lines | {TRAFFIC: [taken[TRAFFIC]] * len(ks)})


def against_width(rounds: int, times: Sequence[int] = TIMES) -> Curve:
    """LeNet so many times as wide."""
    return _against(times, lambda factor: [factor * width for width in WIDTHS], rounds)


def against_layers(rounds: int, layers: Sequence[int] = LAYERS, width: int = WIDTHS[0]) -> Curve:
    """So many hidden layers of LeNet's first width."""
    return _against(layers, lambda count: [width] * count, rounds)


def machines() -> dict[str, slotjax.Selector]:
    """The slot machines whose cost is shown where K is not varied.

    >>> [*machines()]
    ['greedy, K = 8', 'greedy, K = 64']
    """
    return {f"greedy, K = {k}": machine(k) for k in (8, 64)}


def machine(k: int, selection: Selection = "greedy") -> slotjax.Selector:
    """A slot machine as the papers train it, factored and seeded.

    >>> machine(8).settings.k
    8
    """
    return slotjax.slot_machine(k, selection, initial="uniform", distribution=DISTRIBUTION)


def stratified(k: int) -> slotjax.Selector:
    """A slot machine whose options are in order, from nearest initial scores.

    >>> stratified(8).settings.initial
    'nearest'
    """
    in_order = slotjax.distributions.Distribution("stratified", DISTRIBUTION.scale)
    return slotjax.slot_machine(k, distribution=in_order)


def variant(selector: slotjax.Selector, widths: Sequence[int]) -> Variant:
    """LeNet with these hidden layers in training.

    >>> variant(slotjax.learned(DISTRIBUTION), [4]).state.params["Dense_0"]["kernel"].shape
    (784, 4)
    """
    model = models.LeNet(widths=tuple(widths))

    def init(key: jax.Array) -> PyTree:
        return model.init(key, jnp.zeros((1, *MNIST.image_shape)))["params"]

    shapes = jax.eval_shape(init, jax.random.key(0))
    built = Network(training.linen_apply(model), init, shapes, {})
    return variant_of(built, selector, selector.init(jax.random.key(0), shapes))


def _against(places: Sequence[int], widths_at: Callable[[int], Sequence[int]], rounds: int) -> Curve:
    found = [_ratios(widths_at(place), machines(), rounds) for place in places]
    return Curve([*places], {name: [taken[name] for taken in found] for name in (*machines(), TRAFFIC)})


def ratios(variants: dict[Any, Variant], inputs: Inputs, rounds: int, steps: int = STEPS) -> dict[Any, float]:
    """The time of a step against that of learned weights, all by turns in this process.

    The last one is that of learned weights and of reading and writing each weight once more, which selecting has to do.

    Args:
        variants: one network in training, by what selects its weights; that of `"learned"` ones is what is 1.
        inputs: what it sees.
        rounds: how many turns of each count.
        steps: how many are one compiled call.
    """
    variants = {**variants, "once more": _once_more(variants["learned"])}
    images = jax.random.uniform(jax.random.key(0), (steps, BATCH, *inputs.image_shape))
    examples = data.Split(images, jnp.zeros((steps, BATCH), jnp.int32))
    turns = {}
    for label, one in variants.items():
        compiled = jax.jit(one.loop, donate_argnums=0).lower(one.state, one.frozen, examples).compile()
        turns[label] = turns_of(compiled, one, examples, steps, _clock())
    taken = take_turns(turns, rounds)
    learned = taken.pop("learned")
    # By rounds, because a machine that others share is slower for minutes.
    against = {label: statistics.median(map(truediv, seconds, learned)) for label, seconds in taken.items()}
    more = against.pop("once more")
    return {**against, TRAFFIC: 1 + more}


def _ratios(widths: Sequence[int], selectors: dict[Any, slotjax.Selector], rounds: int) -> dict[Any, float]:
    made = {"learned": slotjax.learned(DISTRIBUTION), **selectors}
    return ratios({label: variant(selector, widths) for label, selector in made.items()}, MNIST, rounds)


def _once_more(learned: Variant) -> Variant:
    def loop(weights: PyTree, frozen: PyTree, examples: data.Split) -> PyTree:
        again = lambda weights, _: (jax.tree.map(jnp.negative, weights), None)  # noqa: E731
        return jax.lax.scan(again, weights, examples.labels)[0]

    return Variant(loop, jax.tree.map(jnp.copy, learned.state.params), {})


def _clock() -> Callable[[], float]:
    """Of this process, where it computes itself: what else a machine does counts less then."""
    return time.process_time if jax.default_backend() == "cpu" else time.perf_counter
