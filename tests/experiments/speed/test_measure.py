"""What the benchmark compares."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from experiments.speed import measure
from slotjax import data


def test_every_variant_can_be_made_of_a_network_that_has_shapes_only():
    shapes = {"Dense_0": {"kernel": jax.ShapeDtypeStruct((7, 5), "float32")}}
    selectors = measure._slot_machines(2, "greedy") | measure._masks()
    assert len(selectors) == 7
    for selector in selectors.values():
        assert jax.eval_shape(selector.init, jax.random.key(0), shapes)["params"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_networks_are_computed_in_the_dtype_and_scores_in_float32(dtype):
    (variant,) = measure._variants("lenet", measure.MNIST, {}, 1e9, dtype).values()
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variant.state.params)} == {"float32"}
    batches = data.Split(jnp.zeros((1, 4, 28, 28, 1)), jnp.zeros((1, 4), jnp.int32))
    program = str(jax.make_jaxpr(variant.loop)(variant.state, variant.frozen, batches))
    assert ("bf16[4,300]" in program) == (dtype == "bfloat16")


def test_units_of_the_table(monkeypatch):
    variant = SimpleNamespace(state=SimpleNamespace(params=jnp.ones(4), opt_state=()))
    made = {
        "steps_of_a_call": 1,
        "_variants": {"learned": variant},
        "_compile_in_turn": ({"learned": None}, {"learned": 1.0}),
        "take_turns": {"learned": [0.002]},
        "_peak": 128 * (28 * 28 + 1) * 4 + 3_000_000,  # the examples of a step are left out
    }
    for name, value in made.items():
        monkeypatch.setattr(measure, name, lambda *_, value=value: value)
    (row,) = measure.measure("lenet", None, "greedy", 1, 1e9)
    assert (row.milliseconds, row.state_bytes, row.peak_megabytes) == (2.0, 4.0, 3.0)
