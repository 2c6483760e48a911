"""Programs that make each weight from its bits where they use it, and hold one at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from slotjax.tickets.packed import is_packed, unpack_leaf


def from_bits(apply: Callable[..., Any]) -> Callable[..., Any]:
    """`run(packed, *inputs)`, which gives what `apply(weights, *inputs)` gives, from bits in place of weights.

    Each weight is made where it is used, after what was computed before, and again wherever it is used again. So a
    program takes no more memory than the largest weight and its activations, if the layers are written out one after
    another: the weights that a `scan`, a loop or a `jax.checkpoint` uses are all made before it, those that stack its
    layers whole. Bits that a compiled program closes over stay bits in it, also when `jax.export` writes it.

    Args:
        apply: a pure function of a pytree of weights and of pytrees of arrays.

    >>> import tempfile
    >>> selector = slotjax.slot_machine(k=8)
    >>> variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (3, 4))})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     slotjax.save_ticket(f"{directory}/ticket", selector, variables)
    ...     packed = slotjax.load_ticket(f"{directory}/ticket").packed
    >>> run = jax.jit(slotjax.tickets.from_bits(lambda weights, x: x @ weights["kernel"]))
    >>> run(packed, jnp.ones((2, 3))).shape
    (2, 4)
    """

    def run(packed: Any, *inputs: Any) -> Any:
        leaves, tree = jax.tree.flatten(packed, is_leaf=is_packed)
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if is_packed(leaf) else leaf for leaf in leaves]
        traced, out = jax.make_jaxpr(apply, return_shape=True)(jax.tree.unflatten(tree, shapes), *inputs)
        outputs, _ = _run(traced, [*leaves, *jax.tree.leaves(inputs)], None)
        return jax.tree.unflatten(jax.tree.structure(out), outputs)

    return run


def _run(traced: Any, arguments: Sequence[Any], last: Any) -> tuple[list[Any], Any]:
    """The outputs of a traced program, some of whose arguments are packed, and what it computed last."""
    values = dict(zip(traced.jaxpr.constvars, traced.consts, strict=True))
    values |= zip(traced.jaxpr.invars, arguments, strict=True)

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in traced.jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        if equation.primitive.name == "jit" and any(map(is_packed, operands)):
            outputs, last = _run(equation.params["jaxpr"], operands, last)
        else:
            outputs = _computed(traced, equation, [_unpacked(operand, last) for operand in operands])
            last = outputs[-1] if outputs else last
        values |= zip(equation.outvars, outputs, strict=True)
    return [_unpacked(read(variable), last) for variable in traced.jaxpr.outvars], last


def _computed(traced: Any, equation: Any, operands: list[Any]) -> list[Any]:
    """The outputs of one equation of a program."""
    pairs = zip(equation.invars, operands, strict=True)
    given = {variable: operand for variable, operand in pairs if not isinstance(variable, Literal)}
    alone = traced.jaxpr.replace(constvars=[], invars=[*given], outvars=equation.outvars, eqns=[equation])
    return jaxpr_as_fun(ClosedJaxpr(alone, []))(*given.values())


def _unpacked(operand: Any, last: Any) -> Any:
    return unpack_leaf(operand, last) if is_packed(operand) else operand
