"""Mistakes of a first hour with modules, tickets and tables: each with a pattern of the sentence that it raises."""

import functools
import tempfile
from pathlib import Path

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import slotjax

KEY, X = jax.random.key(0), jnp.ones((3, 4))
KERNEL = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
PARAMS = {"kernel": KERNEL, "bias": jnp.zeros(2)}
MACHINE, SAMPLED = slotjax.slot_machine(4), slotjax.slot_machine(4, "probabilistic")
LINEN = nn.Dense(2, kernel_init=lambda *_: KERNEL)
LISTED = nn.Sequential([LINEN])


def _nnx():
    return nnx.Linear(4, 2, kernel_init=lambda *_: KERNEL, rngs=nnx.Rngs(0))


def _drawn():
    return nnx.Linear(4, 2, rngs=nnx.Rngs(0))


def _selected(module=None, selector=MACHINE, key=KEY, **more):
    return slotjax.nnx.Selected(_nnx() if module is None else module, selector, key, **more)


def _twice():
    plain = _nnx()
    return _selected(plain), _selected(plain)


@functools.cache
def _variables(selector=MACHINE):
    return selector.init(KEY, PARAMS)


def _applied(params=None, frozen=None):
    """What a selected Linen module gives of some of its collections."""
    given = {"params": params, "frozen": frozen}
    model = slotjax.linen.Selected(LINEN, MACHINE)
    return model.apply({name: tree for name, tree in given.items() if tree is not None}, X)


def _saved(selector=MACHINE, variables=None, collections=None):
    with tempfile.TemporaryDirectory() as folder:
        variables = _variables() if variables is None else variables
        slotjax.save_ticket(Path(folder) / "ticket", selector, variables, collections)


def _loaded(like=None):
    with tempfile.TemporaryDirectory() as folder:
        slotjax.save_ticket(Path(folder) / "ticket", MACHINE, _variables())
        return slotjax.load_ticket(Path(folder) / "ticket", like=like)


class Mlp(eqx.Module):
    """With a function among its leaves."""

    weight: jax.Array
    activation: object = jax.nn.relu


SCORES, FROZEN = (lambda: _variables()["params"]), (lambda: _variables()["frozen"])
NOT_A_SELECTOR = "^selector: (function|int|NoneType) was given, but it must be a Selector, as slot_machine"
A_WEIGHT = "^variables: 'kernel' has a weight in 'params', but it must have scores, as `init` returned them$"
FIRST_HOUR = {
    "linen: a function as selector": (
        lambda: slotjax.linen.Selected(LINEN, slotjax.slot_machine),
        NOT_A_SELECTOR,
    ),
    "linen: no selector": (lambda: slotjax.linen.Selected(LINEN, None), NOT_A_SELECTOR),
    "linen: k as the selector of a layer": (lambda: slotjax.Dense(2, selector=8).init(KEY, X), NOT_A_SELECTOR),
    "linen: selected twice": (
        lambda: slotjax.linen.Selected(slotjax.linen.Selected(LINEN, MACHINE), MACHINE),
        "^module: SelectedDense selects its weights already; give the plain module$",
    ),
    "linen: bound": (
        lambda: slotjax.linen.Selected(LINEN.bind({"params": PARAMS}), MACHINE),
        "^module: it is bound to variables, which `init` would not use",
    ),
    "linen: an NNX module": (
        lambda: slotjax.linen.Selected(_nnx(), MACHINE),
        r"^module: Linear.*but it must be a Linen module; see slotjax\.nnx",
    ),
    "linen: no frozen": (lambda: _applied(SCORES()), "^frozen: the collection with the random values .* is missing"),
    "linen: no params": (lambda: _applied(None, FROZEN()), "^params: the collection with the scores .* is missing"),
    "linen: plain weights": (lambda: _applied(PARAMS, FROZEN()), A_WEIGHT),
    "linen: a pattern for nothing": (
        lambda: slotjax.linen.Selected(LINEN, slotjax.partition({"Dense.*": MACHINE, ".*": MACHINE})).init(KEY, X),
        r"^selectors: \['Dense.\*'\] match no leaf",
    ),
    "nnx: a function as selector": (lambda: _selected(selector=slotjax.slot_machine), NOT_A_SELECTOR),
    "nnx: rngs as key": (lambda: _selected(key=nnx.Rngs(0)), "^key: Rngs was given, but it must be a PRNG key"),
    "nnx: selected twice": (_twice, "^module: its weights are selected already; give the plain module"),
    "nnx: selected again": (lambda: _selected(_selected()), "^module: its weights are selected already"),
    "nnx: no stream": (
        lambda: _selected(selector=SAMPLED, rngs=nnx.Rngs(params=0)),
        "^rngs: Rngs was given, but it must be nnx.Rngs with a stream 'select' or a default one$",
    ),
    "nnx: a key as rngs": (lambda: _selected(selector=SAMPLED, rngs=KEY), "^rngs: .* was given, but it must be nnx"),
    "nnx: arithmetic with scores": (
        lambda: jnp.sum(_selected().module.kernel),
        "^kernel: it has scores, and no values until it is selected; call",
    ),
    "nnx: a Linen module": (lambda: _selected(LINEN), r"must be an NNX module; see slotjax\.linen"),
    "nnx: under jit": (
        nnx.jit(lambda: _selected(nnx.Linear(4, 2, rngs=nnx.Rngs(0)))),
        r"or give where= \(under jax.jit or nnx.jit\)",
    ),
    "explicit: plain weights": (
        lambda: slotjax.slot_machine(4, scores="explicit").select(
            {"params": PARAMS, "frozen": _variables(slotjax.slot_machine(4, scores="explicit"))["frozen"]}
        ),
        A_WEIGHT,
    ),
    "init: a module": (
        lambda: MACHINE.init(KEY, LINEN),
        "^params: Dense was given, but it must be a pytree of w",
    ),
    "init: where gives an array": (
        lambda: slotjax.slot_machine(where=lambda _, leaf: leaf > 0).init(KEY, PARAMS),
        r"^where: it gave an array of shape \(2,\) for 'bias', not True or False$",
    ),
    "select: a key in place of variables": (lambda: MACHINE.select(KEY), "^variables: it must have both"),
    "select: a module": (lambda: MACHINE.select(_selected()), "^variables: it must have both"),
    "select: no key": (
        lambda: SAMPLED.select(_variables(SAMPLED), 0),
        "^key: int was given, but it must be a PRNG key",
    ),
    "learned: weights": (lambda: slotjax.learned().select(PARAMS), "^variables: it must have both"),
    "partition: a list": (lambda: slotjax.partition([(".*", MACHINE)]), "^selectors: list was given, but it must be a"),
    "proof: variables": (lambda: slotjax.proof(_variables()), r"^frozen: all .* give variables\['frozen'\]$"),
    "proof: scores": (lambda: slotjax.proof(SCORES()), r"^frozen: \[.*\] are not random values; give variables"),
    "check_factorable: a function": (
        lambda: slotjax.check_factorable(optax.sgd, PARAMS),
        "^optimizer: function was given, but it must be an optimizer",
    ),
    "summary: in the wrong order": (lambda: slotjax.summary(PARAMS, MACHINE), "^selector: dict was given, but it"),
    "summary: a module": (
        lambda: slotjax.summary(MACHINE, LINEN),
        "^params: 'it' is Dense, but a summary needs",
    ),
    "summary: functions among the leaves": (
        lambda: slotjax.summary(MACHINE, Mlp(KERNEL)),
        r"^params: 'activation' is .*, but a summary needs arrays or shapes; .* eqx.filter\(model, eqx.is_array\)$",
    ),
    "save: in the wrong order": (
        lambda: _saved(_variables(), MACHINE),
        "^selector: dict was given, but it",
    ),
    "save: a module": (lambda: _saved(variables=_selected()), "^variables: it must have both"),
    "save: no collections": (lambda: _saved(collections=KERNEL), "^collections: .* was given, but it must be a dict"),
    "save: statistics among the variables": (
        lambda: _saved(variables=_variables() | {"batch_stats": {"mean": jnp.ones(2)}}),
        r"^variables: \['batch_stats'\] would not be in the ticket; give them as collections=, or leave them out$",
    ),
    "save: functions among the leaves": (
        lambda: _saved(variables=MACHINE.init(KEY, Mlp(KERNEL))),
        r"^variables: 'activation' is .*, but it must be an array; of an Equinox model, give eqx.filter",
    ),
    "load: like a module": (lambda: _loaded(LINEN), ".*: like: 'it' is Dense, but it must be an array"),
    "ticket: a module as function": (
        lambda: _loaded().apply(LINEN, X),
        "^apply: Dense was given, but it must be",
    ),
    "ticket: an unhashable module": (
        lambda: _loaded().apply(LISTED, X),
        "^apply: Sequential was given, but",
    ),
}
