"""Selection as a GPU runs it: what it reduces is what is folded elsewhere, and its kernels do not grow with K."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import slotjax
from slotjax.selection import reduced
from tests import reference


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Everything that is traced from now on takes the way of a GPU."""

    def start():
        monkeypatch.setattr(jax.lax, "platform_dependent", lambda *, cuda, rocm, default: cuda())

    return start


def _best(scores):
    return reduced.best(lambda one: one, scores)


@settings(max_examples=20)
@given(hnp.arrays(np.float32, st.sampled_from([(1, 2), (17, 2), (40, 2)]), elements=st.sampled_from([0.0, 1.0, 2.0])))
def test_the_best_is_numpys_argmax_also_of_ties(scores):
    best = jax.jit(_best)(jnp.asarray(scores))
    np.testing.assert_array_equal(best, reference.greedy(scores))


@pytest.mark.parametrize("k", [1, 16, 17, 129, 300])
def test_values_are_reduced_as_by_numpy(k, x64):
    values = np.random.default_rng(k).normal(size=(k, 3, 2)) - 3
    largest, total = jax.jit(lambda values: (reduced.largest(lambda one: one, values), reduced.total(jnp.exp, values)))(
        jnp.asarray(values)
    )
    np.testing.assert_array_equal(largest, values.max(0))
    np.testing.assert_allclose(total, np.exp(values).sum(0), rtol=1e-14)


@pytest.mark.quick("300-probabilistic-seeded", "40-greedy-stored")
@pytest.mark.parametrize("options", ["seeded", "stored"])
@pytest.mark.parametrize("selection", ["greedy", "probabilistic"])
@pytest.mark.parametrize("k", [17, 40, 128, 300])
def test_slot_machines_select_the_same(k, selection, options, as_on_a_gpu):
    selector = slotjax.slot_machine(
        k, selection, initial="uniform", options=options, distribution=slotjax.distributions.glorot_uniform()
    )
    variables = selector.init(jax.random.key(0), jax.ShapeDtypeStruct((37, 11), jnp.float32))
    random = np.random.default_rng(k)
    moved = jax.tree.map(lambda leaf: leaf + 0.1 * random.normal(size=leaf.shape).astype("f"), variables["params"])

    def select():
        return jax.jit(lambda params: selector.select(variables | {"params": params}, jax.random.key(1)))(moved)

    folded = select()
    as_on_a_gpu()
    np.testing.assert_array_equal(select(), folded)


@pytest.mark.quick("greedy")
@pytest.mark.parametrize("draw", [slotjax.selection.greedy, slotjax.selection.probabilistic])
def test_the_program_for_a_gpu_does_not_grow_with_k(draw):
    def size(k):
        arguments = [jnp.zeros((k, 8, 8)), jax.random.key(0)][: 1 if draw is slotjax.selection.greedy else 2]
        return len(jax.jit(draw).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text())

    assert size(120) < 1.05 * size(60)


@pytest.mark.parametrize("kind", [jax.sharding.AxisType.Auto, jax.sharding.AxisType.Explicit])
def test_many_arrays_and_a_mesh_are_reduced_as_one_array_is(kind):
    values = np.random.default_rng(0).normal(size=(3, 40, 8)).astype("f")

    def both(values):
        return reduced.largest(lambda one: one, values), reduced.total(jnp.exp, values), _best(values)

    each = [jax.jit(both)(jnp.asarray(one)) for one in values]
    stacked = jax.jit(jax.vmap(both))(jnp.asarray(values))
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,))
    sharded = jax.device_put(values[0], jax.NamedSharding(mesh, jax.P(None, "x")))
    for one, expected in zip(stacked, zip(*each, strict=True), strict=True):
        np.testing.assert_array_equal(one, np.stack(expected))
    for one, expected in zip(jax.jit(both)(sharded), each[0], strict=True):
        np.testing.assert_array_equal(one, expected)


def test_ties_do_not_depend_on_the_order_of_the_reduction(monkeypatch):
    reduce = jax.lax.reduce
    monkeypatch.setattr(jax.lax, "reduce", lambda made, *more: reduce(tuple(jnp.flip(one, 0) for one in made), *more))
    np.testing.assert_array_equal(reduced.best(lambda one: one, jnp.zeros((40, 1))), 0)
