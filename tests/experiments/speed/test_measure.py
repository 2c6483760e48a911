"""What the benchmark compares."""

import jax

from experiments.speed import measure


def test_every_variant_can_be_made_of_a_network_that_has_shapes_only():
    shapes = {"Dense_0": {"kernel": jax.ShapeDtypeStruct((7, 5), "float32")}}
    selectors = measure._slot_machines(2, "greedy") | measure._masks()
    assert len(selectors) == 7
    for selector in selectors.values():
        assert jax.eval_shape(selector.init, jax.random.key(0), shapes)["params"]
