"""Which weights are selected where their values are not known: those that a model draws at random.

By default values decide whether a weight is selected, and under `jax.jit` there are none. The traced program of the
model's own init says as much: a leaf that depends on the key varies, and one that does not is a constant.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jaxtyping import PyTree

from slotjax.distributions import Distribution
from slotjax.selectors.partition import Partition
from slotjax.selectors.selector import Selector, drawn_about_zero, matrices_and_kernels
from slotjax.selectors.tree import check_some_vary, named_leaves


@dataclasses.dataclass(frozen=True)
class AmongDrawn:
    """The rule of `drawn_about_zero`, with the names of the leaves that vary in place of their values."""

    names: frozenset[str]

    def __call__(self, name: str, leaf: Any) -> bool:
        """Whether a leaf is selected."""
        return name in self.names and matrices_and_kernels(name, leaf)


def decided(selector: Any, names: Iterable[str]) -> Selector:
    """The same selector, which takes the leaves of these names for those that vary about zero.

    >>> chosen = slotjax.selectors.decided(slotjax.slot_machine(k=8), ["kernel"])
    >>> shapes = jax.eval_shape(lambda: chosen.init(jax.random.key(0), {"kernel": jnp.ones((3, 4))}))
    >>> shapes["params"]["kernel"]["u"].shape
    (3, 4)
    """
    if isinstance(selector, Partition):
        rules = tuple((pattern, decided(one, names)) for pattern, one in selector.rules)
        return dataclasses.replace(selector, rules=rules)
    if getattr(selector, "where", None) is not drawn_about_zero:
        return selector
    return dataclasses.replace(selector, where=AmongDrawn(frozenset(names)))


def needs_values(selector: Any) -> bool:
    """Whether values decide what is selected.

    >>> slotjax.selectors.needs_values(slotjax.slot_machine(where=lambda name, leaf: True))
    False
    """
    if isinstance(selector, Partition):
        return any(needs_values(one) for _, one in selector.rules)
    return getattr(selector, "where", None) is drawn_about_zero


def names_a_scale(selector: Any) -> bool:
    """Whether a selector draws from a distribution of its own choice, and not at the scale that weights have.

    >>> slotjax.selectors.names_a_scale(slotjax.slot_machine())
    False
    """
    distribution = getattr(selector.settings, "distribution", None)
    return distribution is not None and not (isinstance(distribution, Distribution) and distribution.is_own)


def within(selector: Any, names: Iterable[str]) -> Selector:
    """The same selector for a part of a network, without the patterns of a partition that match nothing there.

    >>> mixed = slotjax.partition({"head/.*": slotjax.edge_popup(0.5), ".*": slotjax.learned()})
    >>> list(slotjax.selectors.within(mixed, ["body/kernel"]).settings)
    ['.*']
    """
    if not isinstance(selector, Partition):
        return selector
    rules = tuple((pattern, one) for pattern, one in selector.rules if any(map(pattern.fullmatch, names)))
    return dataclasses.replace(selector, rules=rules)


def varying_names(tree: PyTree) -> set[str]:
    """The names of leaves that vary about zero, of a tree of values.

    >>> slotjax.selectors.varying_names({"kernel": jnp.array([[1.0, -1.0]]), "scale": jnp.ones((1, 2))})
    {'kernel'}
    """
    return {name for name, leaf in named_leaves(tree).items() if drawn_about_zero(name, leaf)}


def some_vary(names: set[str], tree: PyTree) -> set[str]:
    """The names of leaves that vary, of which some must be among those that could be selected.

    Raises:
        ValueError: if none is.

    >>> slotjax.selectors.some_vary({"kernel"}, {"kernel": jnp.array([[1.0, -1.0]])})
    {'kernel'}
    """
    check_some_vary(named_leaves(tree).items(), names, instead="the module an initializer that draws them")
    return names


def drawn_names(init: Callable[[Any], PyTree], keys: PyTree) -> set[str]:
    """The names of the leaves of `init(keys)` that depend on the keys.

    >>> from slotjax.selectors.deciding import drawn_names
    >>> draw = lambda key: {"kernel": jax.random.normal(key, (3, 4)), "scale": jnp.ones((3, 4))}
    >>> drawn_names(draw, jax.random.key(0))
    {'kernel'}
    """
    program, shapes = jax.make_jaxpr(init, return_shape=True)(keys)
    drawn = _depend(program.jaxpr, [True] * len(program.jaxpr.invars))
    return {name for name, is_drawn in zip(named_leaves(shapes), drawn, strict=True) if is_drawn}


def _depend(program: Jaxpr, inputs: list[bool]) -> list[bool]:
    """Which results of a program depend on these of its inputs."""
    reached = {one for one, is_in in zip(program.invars, inputs, strict=True) if is_in}
    depends = lambda values: [not isinstance(one, Literal) and one in reached for one in values]  # noqa: E731
    for step in program.eqns:
        given = depends(step.invars)
        if any(given):
            reached.update(one for one, is_out in zip(step.outvars, _through(step, given), strict=True) if is_out)
    return depends(program.outvars)


def _through(step: JaxprEqn, given: list[bool]) -> list[bool]:
    """Which results of a step depend on these of its inputs; all, of one that is not the call or scan of a program."""
    inner: list[Any] = [
        getattr(value, "jaxpr", value) for value in step.params.values() if isinstance(value, ClosedJaxpr | Jaxpr)
    ]
    if len(inner) != 1 or len(inner[0].invars) != len(given):
        return [True] * len(step.outvars)
    results = _depend(inner[0], given)
    first, carried = step.params.get("num_consts", 0), step.params.get("num_carry", 0)
    again = [*given]
    for number in range(carried):
        again[first + number] |= results[number]
    return results if again == given else _through(step, again)
