"""Bad arguments, and the mistakes of a first hour: each is one sentence that says what to do."""

import dataclasses
import functools
import re

import chex
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import slotjax
from slotjax import distributions
from tests.slotjax.first_hour import FIRST_HOUR

KEY = jax.random.key(0)
HE_NORMAL = jax.nn.initializers.he_normal()
PARAMS = {"dense": {"kernel": jnp.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]]), "bias": jnp.zeros(2)}}
EVERYTHING = slotjax.slot_machine(where=lambda name, leaf: True)
ARGUMENTS = {
    (slotjax.slot_machine, "k", 0): "k: 0 was given",
    (slotjax.slot_machine, "selection", "best"): "it must be one of greedy, probabilistic$",
    (slotjax.slot_machine, "scores", "sparse"): "it must be one of explicit, factored$",
    (slotjax.slot_machine, "options", "none"): "it must be one of stored, seeded$",
    (slotjax.slot_machine, "share", "block"): "it must be one of connection, layer, network$",
    (slotjax.slot_machine, "initial", "zero"): "it must be one of uniform, nearest, given$",
    (slotjax.slot_machine, "score_scale", -1.0): "score_scale: -1.0 was given",
    (slotjax.slot_machine, "score_scale", float("nan")): "score_scale: nan was given",
    (slotjax.slot_machine, "distribution", 0.1): "distribution: 0.1 was given, but it must be a slotjax.distributions",
    (slotjax.edge_popup, "keep_fraction", 1.5): "keep_fraction: 1.5 was given, but it must be a number from 0 to 1",
    (slotjax.edge_popup, "ranking", "row"): "it must be one of layer, global$",
    (slotjax.edge_popup, "options", "none"): "it must be one of stored, seeded$",
    (slotjax.biprop, "keep_fraction", -0.1): "keep_fraction: -0.1 was given, but it must be a number from 0 to 1",
    (slotjax.biprop, "options", "none"): "it must be one of stored, seeded$",
    (slotjax.multicoat, "keep_fractions", ()): r"keep_fractions: \(\) was given, but they must be decreasing",
    (slotjax.multicoat, "keep_fractions", (0.3, 0.3)): "they must be decreasing, at least one$",
    (
        slotjax.multicoat,
        "keep_fractions",
        (2.0, 0.3),
    ): "keep_fraction: 2.0 was given, but it must be a number from 0 to 1",
    (slotjax.multicoat, "options", "none"): "it must be one of stored, seeded$",
    (slotjax.supermask, "evaluation", "mean"): "it must be one of thresholded, expected, sampled$",
    (slotjax.supermask, "options", "none"): "it must be one of stored, seeded$",
    (distributions.kaiming_normal, "fan", "fan_avg"): "it must be one of fan_in, fan_out$",
}
MISTAKES = {
    "the order of arguments": (lambda: slotjax.slot_machine().init(PARAMS, KEY), r"call init\(key, params\)"),
    "all variables": (lambda: slotjax.edge_popup().init(KEY, {"params": PARAMS}), r"give variables\['params'\]"),
    "all variables, learned": (lambda: slotjax.learned().init(KEY, {"params": PARAMS}), r"give variables\['params'\]"),
    "a name as where": (lambda: slotjax.slot_machine(where="kernel"), "where: 'kernel' was given"),
    "a name as where, learned": (lambda: slotjax.learned(where="kernel"), "where: 'kernel' was given"),
    "a pattern for nothing": (
        lambda: slotjax.partition({"Dense.*": slotjax.slot_machine(), ".*": slotjax.learned()}).init(KEY, PARAMS),
        r"\['Dense.\*'\] match no leaf",
    ),
    "a key among the leaves": (lambda: EVERYTHING.init(KEY, {"rng": jax.random.key(1)}), "'rng': it is key<fry>"),
    "integers among the leaves": (
        lambda: EVERYTHING.init(KEY, {"count": jnp.zeros((2, 2), int)}),
        "'count': it is int",
    ),
    "seeded, from an initializer": (
        lambda: slotjax.supermask(options="seeded", distribution=HE_NORMAL),
        "distribution: an initializer was given, but seeded options need",
    ),
    "shared, from an initializer": (
        lambda: slotjax.slot_machine(share="layer", distribution=HE_NORMAL),
        "distribution: an initializer was given, but shared options need",
    ),
    "nothing kept to divide by": (
        lambda: slotjax.biprop(0.1, where=lambda name, leaf: leaf.ndim == 2).init(KEY, PARAMS),
        "params: 'dense/kernel': keep_fraction: 0.1 keeps none of its 6 connections",
    ),
    "a share for nothing": (
        lambda: slotjax.partly_frozen(slotjax.edge_popup(), 0.9, 0.1),
        "pruned, kept: 0.9 and 0.1 were given, but they must be numbers, together from 0 to 31/32",
    ),
    "a share below nothing": (lambda: slotjax.partly_frozen(slotjax.edge_popup(), -0.1, 0.1), "pruned, kept: -0.1 and"),
    "frozen together": (
        lambda: slotjax.partly_frozen(slotjax.edge_popup(ranking="global")),
        "selector: it must choose each weight by itself",
    ),
    "frozen twice": (
        lambda: slotjax.partly_frozen(slotjax.partly_frozen(slotjax.biprop())),
        "and not be frozen in part already",
    ),
    "frozen and rescaled": (
        lambda: slotjax.partly_frozen(slotjax.supermask(rescale=True)),
        "selector: a supermask must be without rescaling",
    ),
    "frozen otherwise": (
        lambda: _select(slotjax.partly_frozen(slotjax.biprop(), 0.1), jax.jit, _a_fifth_frozen()),
        "was made with pruned=858993459, but this selector has pruned=429496729",
    ),
    "frozen, whose share is not": (
        lambda: _select(slotjax.partly_frozen(slotjax.biprop(0.5)), jax.jit, slotjax.biprop(0.5)),
        "was made with method='biprop', but this selector has method='partly_frozen'",
    ),
    "scaled for nothing kept": (
        lambda: distributions.scaled_for(0.0, distributions.kaiming_normal()),
        "keep_fraction: 0.0 was given, but it must be a number above 0",
    ),
    "weights that do not vary": (
        lambda: slotjax.slot_machine().init(KEY, {"kernel": jnp.ones((3, 2))}),
        r"\['kernel'\] do not vary about zero, so no weight has a scale of its own; give",
    ),
    "a constant at its own scale": (
        lambda: EVERYTHING.init(KEY, {"kernel": jnp.ones((3, 2))}),
        "'kernel': its values are all equal or not finite, so it has no scale of its own; give distribution=",
    ),
    "shapes at their own scale": (
        lambda: slotjax.edge_popup().init(KEY, {"kernel": jax.ShapeDtypeStruct((3, 2), jnp.float32)}),
        "the values of 'kernel' are not known here, but by default they decide .*distribution=",
    ),
    "shapes, chosen by name": (
        lambda: EVERYTHING.init(KEY, {"kernel": jax.ShapeDtypeStruct((3, 2), jnp.float32)}),
        "'kernel': only its shape is known, but its own scale is measured from its values; give",
    ),
    "under jit": (
        lambda: jax.jit(slotjax.slot_machine().init)(KEY, PARAMS),
        r"the values of 'dense/kernel' are not known here.* or give where= \(under jax.jit or nnx.jit\)",
    ),
    "shapes that start from given weights": (
        lambda: slotjax.slot_machine(initial="given", distribution=distributions.glorot_uniform()).init(
            KEY, {"kernel": jax.ShapeDtypeStruct((3, 2), jnp.float32)}
        ),
        "'kernel': initial='given' starts from its values",
    ),
    "another k": (
        lambda: _select(slotjax.slot_machine(4)),
        "'dense/kernel' was made with k=8, but this selector has k=4",
    ),
    "another k, under jit": (
        lambda: _select(slotjax.slot_machine(4), jax.jit),
        "made with k=8, but this selector has k=4",
    ),
    "another kind": (
        lambda: _select(slotjax.slot_machine(distribution=distributions.own_scale("normal")), jax.jit),
        "was made with kind='bell', but this selector has kind='normal'",
    ),
    "another scale": (
        lambda: _select(slotjax.slot_machine(distribution=distributions.Distribution("bell", lambda _: 0.1)), jax.jit),
        "was made with scale='own', but this selector has scale=",
    ),
    "another method": (
        lambda: _select(slotjax.supermask(), jax.jit, slotjax.edge_popup()),
        "was made with method='edge_popup', but this selector has method='supermask'",
    ),
    "another start": (
        lambda: _select(slotjax.slot_machine(initial="uniform"), jax.jit),
        "was made with initial='nearest', but this selector has initial='uniform'",
    ),
    "a stack of members": (
        lambda: _select(slotjax.slot_machine(3, scores="explicit", options="stored"), jax.jit, stack=3),
        r"was made for a weight of shape \(3, 2\), but is of shape \(3, 3, 2\): of stacked variables `select`",
    ),
    "a stack of seeds": (
        lambda: _select(slotjax.slot_machine(8), jax.jit, stack=8),
        r"was made for a weight of shape \(3, 2\), but is of shape \(8, 3, 2\)",
    ),
    "options of no kind": (lambda: slotjax.options.own_options("none", 3), "options: 'none' was given, but it must be"),
    "no option": (lambda: slotjax.options.own_options("seeded", 0), "k: 0 was given, but it must be at least 1"),
    "a number among the leaves": (lambda: EVERYTHING.init(KEY, {"rate": 0.1}), "'rate': it is float"),
}
NONE: dict = {"params": {}, "frozen": {}}

WRONG_KINDS = {
    "keep_fraction: 'a' was given, but it must be a number from 0 to 1": lambda: slotjax.edge_popup("a"),
    "keep_fraction: None was given, but it must be a number from 0 to 1": lambda: slotjax.biprop(None),
    "keep_fractions: 0.5 was given, but they must be decreasing, at least one": lambda: slotjax.multicoat(0.5),
    "keep_fraction: 'b'": lambda: slotjax.multicoat("b"),
    "sparse: 'no' was given, but it must be True or False": lambda: slotjax.slot_machine(sparse="no"),
    "rescale: 1 was given, but it must be True or False": lambda: slotjax.supermask(rescale=1),
    "score_scale: 'x' was given, but it must be a number, finite and": lambda: slotjax.slot_machine(score_scale="x"),
    "factor: 'a' was given, but it must be a number above 0 and finite": lambda: distributions.own_scale("bell", "a"),
    "pruned, kept: None and 0.1 were given, but they must be numbers": lambda: slotjax.partly_frozen(
        slotjax.edge_popup(), None, 0.1
    ),
    "selectors: the pattern 1": lambda: slotjax.partition({1: slotjax.learned()}),
    "selectors: the pattern b": lambda: slotjax.partition({b".*": slotjax.learned()}),
    "distribution: 'he'": lambda: slotjax.random_selection("he"),
    "distribution: 3 was": lambda: slotjax.learned(3),
    "distribution: <function": lambda: distributions.scaled_for(0.5, HE_NORMAL),
    "its scale is nan": lambda: slotjax.slot_machine(
        distribution=distributions.Distribution("normal", lambda shape: np.nan)
    ).init(KEY, jnp.ones((2, 3))),
    "k: 2 was given, but it must be at least 4": lambda: slotjax.analysis.index_counts({"w": jnp.array([0, 3])}, k=2),
    "metadata: list was given, but it must be a dict": lambda: slotjax.save_ticket(
        "ticket", slotjax.slot_machine(), NONE, metadata=[1]
    ),
    "proof: int was given, but it must be a str": lambda: slotjax.save_ticket(
        "ticket", slotjax.slot_machine(), NONE, proof=3
    ),
}
MISTAKES |= FIRST_HOUR
MISTAKES |= {sentence: (call, sentence) for sentence, call in WRONG_KINDS.items()}
MISTAKES |= {
    f"{make.__name__}-{name}-{value}": (lambda make=make, name=name, value=value: make(**{name: value}), sentence)
    for (make, name, value), sentence in ARGUMENTS.items()
}


@pytest.fixture
def unchecked():
    """Without the tests' type checks, which users do not have, and which would see some mistakes first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("name", MISTAKES)
def test_one_sentence(name, unchecked):
    mistake, sentence = MISTAKES[name]
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (`match` would see what JAX adds, too)
        mistake()
    assert re.search(sentence, str(raised.value))


def test_old_keys_are_keys():
    chosen = slotjax.slot_machine().init(jax.random.PRNGKey(0), PARAMS)
    assert chosen["params"]["dense"]["kernel"]["u"].shape == (3, 2)


def test_constants_have_values_under_jit():
    made = jax.jit(lambda key: slotjax.slot_machine(4).init(key, PARAMS))(KEY)
    chex.assert_trees_all_equal(made, slotjax.slot_machine(4).init(KEY, PARAMS))


def test_what_is_not_selected_is_a_copy():
    params = {"kernel": PARAMS["dense"]["kernel"], "bias": jnp.ones(2), "table": np.ones(3)}
    for selector in (slotjax.slot_machine(), slotjax.learned(), slotjax.partition({".*": slotjax.edge_popup()})):
        trained = selector.init(KEY, params)["params"]
        jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)(trained)
        np.testing.assert_array_equal(params["bias"], np.ones(2))
        np.testing.assert_array_equal(params["kernel"][:, 0], [1, 2, 3])
        assert trained["table"] is not params["table"]


def _a_fifth_frozen():
    return slotjax.partly_frozen(slotjax.biprop(), 0.2)


def _select(selector, transform=lambda function: function, maker=None, stack=0):
    """Selects with one selector of variables that another made, or the same of a stack of them."""
    return transform(selector.select)(_made(selector if stack else maker or slotjax.slot_machine(8), stack))


@functools.cache
def _made(selector, stack):
    init = dataclasses.replace(selector, where=lambda name, leaf: leaf.ndim == 2).init
    keys = jax.random.split(KEY, stack) if stack else KEY
    return jax.jit(jax.vmap(init, (0, None)) if stack else init)(keys, PARAMS)
