"""The transformer over bytes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slotjax.models import CharTransformer

SMALL = CharTransformer(width_multiplier=0.25, layers=2, context=8)


@pytest.fixture(scope="module")
def predict():
    """Logits of a text, of one network."""
    weights = jax.jit(SMALL.init)(jax.random.key(0), jnp.zeros((1, 8), jnp.uint8))
    return jax.jit(lambda text: SMALL.apply(weights, text))


@pytest.mark.quick("3")
@pytest.mark.parametrize("changed", [0, 3, 7])
def test_no_logit_depends_on_a_byte_that_comes_after(predict, changed):
    text = jnp.arange(8, dtype=jnp.uint8)[None]
    before, after = predict(text)[0], predict(text.at[0, changed].set(200))[0]
    np.testing.assert_array_equal(before[:changed], after[:changed])
    assert (np.abs(before - after)[changed:].max(-1) > 1e-4).all()


def test_bytes_and_their_places_decide(predict):
    logits = predict(jnp.full((1, 8), 255, jnp.uint8))[0]
    assert (np.abs(np.diff(logits, axis=0)).max(-1) > 1e-4).all()


@pytest.mark.parametrize(("width", "count"), [(1.0, 397_408), (2.5, 2_237_296)])
def test_it_has_as_many_parameters_as_it_says(width, count):
    text = jax.ShapeDtypeStruct((1, 128), jnp.uint8)
    shapes = jax.eval_shape(CharTransformer(width_multiplier=width).init, jax.random.key(0), text)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


def test_it_computes_in_half_precision():
    text = jnp.zeros((1, 8), jnp.uint8)
    model = SMALL.clone(dtype=jnp.bfloat16)
    with jax.numpy_dtype_promotion("standard"):  # which Flax's norms rely on
        shapes = jax.eval_shape(model.init_with_output, jax.random.key(0), text)
    assert shapes[0].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes[1])} == {jnp.dtype("float32")}
