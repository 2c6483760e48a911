"""Sharded over devices or not, eager or compiled: the same weights, and every array sharded as its weight is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import slotjax
from slotjax.distributions import glorot_uniform, own_scale

KEY = jax.random.key(0)
PARAMS = {
    "kernel": np.random.default_rng(0).normal(0, 0.1, (16, 12)).astype(np.float32),
    "bias": np.ones(12, np.float32),
}
SELECTORS = {
    "default": slotjax.slot_machine(8),
    "many, sampled": slotjax.slot_machine(40, "probabilistic", distribution=own_scale("normal")),
    "the paper's": slotjax.slot_machine(4, initial="uniform", distribution=glorot_uniform()),
    "explicit": slotjax.slot_machine(4, scores="explicit"),
    "stored": slotjax.slot_machine(4, scores="explicit", options="stored", initial="given"),
    "of a layer": slotjax.slot_machine(4, share="layer"),
    "edge-popup": slotjax.edge_popup(0.3, ranking="global", options="seeded"),
    "supermask": slotjax.supermask(evaluation="sampled", rescale=True),
    "random": slotjax.random_selection(),
    "stratified": slotjax.slot_machine(64, distribution=own_scale("stratified")),
    "all kept": slotjax.edge_popup(1.0),
    "a coat of all and one of none": slotjax.multicoat((1.0, 0.0)),
}


def mesh(kind):
    return jax.make_mesh((4,), ("x",), axis_types=(kind,))


def sharded(kind, spec):
    shardings = {"kernel": NamedSharding(mesh(kind), spec), "bias": NamedSharding(mesh(kind), PartitionSpec())}
    return jax.device_put(PARAMS, shardings)


@pytest.mark.quick("the paper's-auto", "edge-popup-explicit", "all kept-explicit")
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=["auto", "explicit"])
@pytest.mark.parametrize("name", SELECTORS)
def test_sharding_changes_no_weight(name, kind):
    selector = dataclasses.replace(SELECTORS[name], where=lambda name, leaf: name == "kernel")
    select = jax.jit(lambda variables: [selector.select(variables), selector.select(variables, KEY)])
    variables = jax.jit(selector.init)(KEY, PARAMS)
    expected = [weights["kernel"] for weights in select(variables)]
    params = sharded(kind, PartitionSpec(None, "x"))
    eager = selector.init(KEY, params)
    with jax.set_mesh(mesh(kind)):
        compiled = jax.jit(selector.init)(KEY, params)
        weights = select(compiled)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(one["kernel"], other)
        assert one["kernel"].sharding.is_equivalent_to(params["kernel"].sharding, 2)
    for made in (eager, compiled):
        for leaf in jax.tree.leaves((made["params"]["kernel"], made["frozen"]["kernel"])):
            if leaf.ndim >= 2:
                whole = PartitionSpec(*[None] * (leaf.ndim - 1), "x")
                assert leaf.sharding.is_equivalent_to(NamedSharding(mesh(kind), whole), leaf.ndim)
    jax.tree.map(np.testing.assert_array_equal, eager, variables)


def test_shapes_with_shardings_give_sharded_arrays():
    sharding = NamedSharding(mesh(AxisType.Auto), PartitionSpec("x"))
    shape = jax.ShapeDtypeStruct((16, 12), jnp.float32, sharding=sharding)
    selector = slotjax.slot_machine(8, distribution=glorot_uniform())
    latent = selector.init(KEY, {"kernel": shape})["params"]["kernel"]["u"]
    assert latent.sharding.is_equivalent_to(sharding, 2)


@pytest.mark.slow
def test_a_shard_is_refused_and_a_replica_works():
    selector = slotjax.slot_machine(8)
    variables = selector.init(KEY, {"kernel": PARAMS["kernel"]})
    devices, whole = mesh(AxisType.Auto), PartitionSpec()

    def mapped(spec):
        specs = {"params": {"kernel": {"u": spec, "a": whole}}, "frozen": whole}
        select = lambda variables: selector.select(variables)["kernel"]  # noqa: E731
        return jax.shard_map(select, mesh=devices, in_specs=(specs,), out_specs=spec, check_vma=False)(variables)

    np.testing.assert_array_equal(mapped(whole), selector.select(variables)["kernel"])
    with pytest.raises(
        ValueError, match=r"'kernel' was made for a weight of shape \(16, 12\), but is of shape \(4, 12\)"
    ):
        mapped(PartitionSpec("x"))


def test_a_billion_parameters_take_no_frozen_bytes():
    layers = {f"layer_{n}": {"kernel": jax.ShapeDtypeStruct((25, 1000, 1000), jnp.float32)} for n in range(40)}
    selector = slotjax.slot_machine(k=64, distribution=glorot_uniform())
    made = jax.eval_shape(lambda: selector.init(KEY, layers))
    sizes = [
        sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(made[name])) for name in ("params", "frozen")
    ]
    assert sizes == [4 * 10**9 + 4 * 40, 8 * 40]


@pytest.mark.slow
def test_equal_weights_share_one_traced_function():
    params = {f"layer_{n}": PARAMS for n in range(20)}
    variables = SELECTORS["default"].init(KEY, params)
    text = jax.jit(SELECTORS["default"].select).lower(variables).as_text()
    assert text.count("func.func private @_value") == 1
