"""The mistakes of a first hour: each is one sentence that says what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax

ROOT = Path(__file__).parents[3]
KEY = jax.random.key(0)
PARAMS = {"dense": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}}
EVERYTHING = slotjax.slot_machine(where=lambda name, leaf: True)
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
    "a number among the leaves": (lambda: EVERYTHING.init(KEY, {"rate": 0.1}), "'rate': it is float"),
}


@pytest.fixture(scope="module")
def sentences():
    """What each mistake raises in a process without the tests' type checks, which would see some of them first."""
    result = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", MISTAKES)
def test_one_sentence(name, sentences):
    assert re.search(MISTAKES[name][1], sentences[name])


def test_old_keys_are_keys():
    chosen = slotjax.slot_machine().init(jax.random.PRNGKey(0), PARAMS)
    assert chosen["params"]["dense"]["kernel"].shape == (8, 3, 2)


def test_what_is_not_selected_is_a_copy():
    params = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2), "table": np.ones(3)}
    for selector in (slotjax.slot_machine(), slotjax.learned(), slotjax.partition({".*": slotjax.edge_popup()})):
        trained = selector.init(KEY, params)["params"]
        jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)(trained)
        np.testing.assert_array_equal(params["bias"], np.ones(2))
        np.testing.assert_array_equal(params["kernel"], np.ones((3, 2)))
        assert trained["table"] is not params["table"]


def _sentence(mistake):
    try:
        mistake()
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    print(json.dumps({name: _sentence(mistake) for name, (mistake, _) in MISTAKES.items()}))
