"""Losses by the sums that accelerators take."""

import jax.numpy as jnp

from slotjax.training.loss import _cross_entropy_by_comparison


def test_cross_entropy_by_comparison_allows_logits_of_minus_infinity():
    assert _cross_entropy_by_comparison(jnp.array([[0.0, -jnp.inf]]), jnp.array([0])) == 0
