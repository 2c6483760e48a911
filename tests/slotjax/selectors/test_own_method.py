"""The method that the documentation writes, from that page alone, works everywhere a selector does."""

import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import analysis
from slotjax.selectors import selector as page
from tests.slotjax.selectors.learning import learns

PARAMS = {"dense": {"kernel": jnp.zeros((6, 5)), "bias": jnp.arange(5.0)}}


@pytest.fixture(scope="module")
def own():
    """The selector of the page, whose code is its indented part."""
    code = "\n".join(line for line in page.__doc__.splitlines() if line.startswith("    ") or not line)
    assert len([line for line in code.splitlines() if line.strip()]) <= 34
    names = {"__name__": "own"}  # which dataclasses look for
    exec(textwrap.dedent(code), names)
    return names["one_of_two"](distribution=slotjax.distributions.kaiming_normal())


def test_it_selects_by_the_sign_of_its_score(own):
    variables = own.init(jax.random.key(0), PARAMS)
    score = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)), jnp.float32)
    variables["params"]["dense"]["kernel"] = score
    options = own.codebooks(variables)["dense/kernel"].options.values()
    weights, gradient = jax.value_and_grad(
        lambda score: (own.select(variables | {"params": {"dense": {"kernel": score, "bias": jnp.arange(5.0)}}}))[
            "dense"
        ]["kernel"].sum()
    )(score)
    chosen = jnp.where(score >= 0, options[1], options[0])
    np.testing.assert_allclose(weights, chosen.sum(), rtol=1e-6)
    np.testing.assert_array_equal(own.select(variables)["dense"]["kernel"], chosen)
    np.testing.assert_allclose(gradient, options[1] - options[0], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_it_has_a_ticket_a_layer_and_an_analysis(own, tmp_path):
    variables = own.init(jax.random.key(0), PARAMS)
    slotjax.save_ticket(tmp_path / "ticket", own, variables)
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    assert (ticket.selector, ticket.settings) == (None, {"method": "one_of_two"})
    np.testing.assert_array_equal(ticket.weights["dense"]["kernel"], own.select(variables)["dense"]["kernel"])
    offered, selected, _ = analysis.offered_and_selected(own, variables)["dense/kernel"]
    assert (offered.sum(), selected.sum()) == (60, 30)
    layer = slotjax.Dense(5, use_bias=False, selector=own)
    drawn = layer.init(jax.random.key(0), jnp.ones((1, 6)))
    np.testing.assert_array_equal(
        layer.apply(drawn, jnp.eye(6)), own.select(own.init(jax.random.key(0), {"kernel": jnp.zeros((6, 5))}))["kernel"]
    )


@pytest.mark.slow
def test_it_learns(own):
    assert learns(own)


def test_it_stands_in_a_partition(own):
    mixed = slotjax.partition({".*kernel": own, ".*": slotjax.learned()})
    variables = mixed.init(jax.random.key(0), PARAMS)
    assert set(variables["frozen"]["dense"]["kernel"]) == {"seed"}
