"""NNX modules with selected weights: the pytree form behind every transformation, mode and tool of NNX."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint
import pytest
from flax import nnx

import slotjax
from tests.slotjax.nnx_steps import ten_steps

KEY = jax.random.key(1)
X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)), jnp.float32)
MACHINE = slotjax.slot_machine(k=4)
SAMPLED = slotjax.slot_machine(k=4, selection="probabilistic")


def drawn(_, shape, dtype=jnp.float32):
    """An initializer that compiles nothing."""
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), dtype)


def linear(inputs, outputs):
    return nnx.Linear(inputs, outputs, kernel_init=drawn, rngs=nnx.Rngs(0))


class Network(nnx.Module):
    def __init__(self):
        self.first, self.second = linear(4, 6), linear(6, 3)
        self.norm = nnx.BatchNorm(6, momentum=0.5, rngs=nnx.Rngs(0))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.second(self.dropout(self.hidden(x)))

    def hidden(self, x):
        return nnx.relu(self.norm(self.first(x)))


class Tied(nnx.Module):
    def __init__(self):
        self.first, self.second = linear(4, 4), linear(4, 4)
        self.second.kernel = self.first.kernel

    def __call__(self, x):
        return self.second(self.first(x))


class Stacked(nnx.Module):
    def __init__(self):
        self.kernels = nnx.List([nnx.Param(drawn(None, (4, 4))), nnx.Param(drawn(None, (4, 4)) / 2)])

    def __call__(self, x):
        for kernel in self.kernels:
            x = x @ kernel[...]
        return x


def selected(module=Network, selector=MACHINE, **kwargs):
    return slotjax.nnx.Selected(module(), selector, KEY, **kwargs)


def params_of(module):
    return nnx.to_pure_dict(nnx.state(module, nnx.Param))


def with_weights(module, weights):
    nnx.update(module, weights)
    return module


def loss(model):
    return jnp.sum(model(X) ** 2)


@pytest.mark.quick("factored")
@pytest.mark.parametrize(
    ("module", "selector"),
    [
        (Network, MACHINE),
        (Tied, slotjax.slot_machine(k=4, options="stored", scores="explicit", initial="uniform")),
        (Stacked, slotjax.edge_popup(0.5, ranking="global")),
        (Tied, slotjax.learned()),
    ],
    ids=["factored", "explicit", "joint", "learned"],
)
def test_its_variables_and_output_are_those_of_the_pytree_bit_for_bit(module, selector):
    model, plain = selected(module, selector), module()
    expected = selector.init(KEY, params_of(plain))
    chex.assert_trees_all_equal(model.variables(), expected)
    model.eval()
    plain.eval()
    np.testing.assert_array_equal(model(X), with_weights(plain, selector.select(expected))(X))


@pytest.mark.slow
def test_its_gradient_is_that_of_the_pytree():
    variables = MACHINE.init(KEY, params_of(Network()))

    def plain_loss(params):
        return loss(with_weights(Network(), MACHINE.select(variables | {"params": params})))

    value, gradient = nnx.jit(nnx.value_and_grad(loss))(selected())
    expected_value, expected = jax.value_and_grad(plain_loss)(variables["params"])
    np.testing.assert_allclose(value, expected_value, rtol=1e-5)
    chex.assert_trees_all_close(nnx.to_pure_dict(gradient)["module"], expected, rtol=1e-4, atol=1e-5)
    assert np.any(gradient.module.first.kernel.u[...] != 0)


@pytest.mark.slow
def test_an_optimizer_of_params_trains_scores_and_leaves_what_is_frozen():
    model = selected(Tied)
    frozen, before = jax.tree.map(np.asarray, nnx.state(model, slotjax.nnx.Frozen)), float(loss(model))
    assert jax.tree.leaves(frozen)
    ten_steps(model, loss)
    assert loss(model) < before / 2
    chex.assert_trees_all_equal(nnx.state(model, slotjax.nnx.Frozen), frozen)


def test_what_is_frozen_is_no_param():
    state = nnx.state(selected(), nnx.Param)
    names = {path[-1] for path in nnx.to_flat_state(state).paths}
    assert names == {"u", "a", "bias", "scale"}


def test_split_and_merge():
    model = selected()
    model.eval()
    graph, params, frozen, rest = nnx.split(model, nnx.Param, slotjax.nnx.Frozen, ...)
    merged = nnx.merge(graph, params, frozen, rest)
    np.testing.assert_array_equal(merged(X), model(X))
    chex.assert_trees_all_equal(merged.variables(), model.variables())


@pytest.mark.slow
def test_train_and_eval_are_those_of_the_plain_module():
    """Batch statistics, dropout for the same rngs, and both modes, eager and under jit."""
    model, plain = selected(), with_weights(Network(), MACHINE.select(MACHINE.init(KEY, params_of(Network()))))
    call = nnx.jit(lambda module: module(X))
    for mode in ("train", "eval", "train"):
        for one in (model, plain):
            getattr(one, mode)()
        np.testing.assert_allclose(call(model), call(plain), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model(X), plain(X), rtol=1e-5, atol=1e-6)
        chex.assert_trees_all_close(model.module.norm.mean[...], plain.norm.mean[...], rtol=1e-5)
    assert np.any(call(model) != call(model))
    assert np.any(model.module.norm.mean[...] != 0)


def test_methods_and_attributes_are_the_modules():
    model, plain = selected(), selected().weights()
    np.testing.assert_array_equal(model.hidden(X), plain.hidden(X))
    assert model.dropout.rate == 0.5
    with pytest.raises(AttributeError, match="nothing"):
        model.nothing  # noqa: B018
    assert not hasattr(model, "_nothing")


def test_tied_weights_stay_tied():
    model = selected(Tied)
    assert list(model.variables()["frozen"]["first"]) == ["bias", "kernel"]
    assert "kernel" not in model.variables()["params"]["second"]
    weights = model.weights()
    assert weights.first.kernel is weights.second.kernel
    gradient = nnx.grad(loss)(model).module.first.kernel.u[...]
    one = nnx.grad(loss)(weights).first.kernel[...]
    np.testing.assert_allclose(gradient, one, rtol=1e-5)


@pytest.mark.slow
def test_an_ensemble_under_vmap():
    selector = slotjax.slot_machine(k=4, where=lambda name, leaf: name.endswith("kernel"))

    @nnx.vmap
    def make(keys):
        return slotjax.nnx.Selected(Tied(), selector, keys)

    keys = jax.random.split(KEY, 2)
    models = make(keys)
    outputs = nnx.vmap(lambda model: model(X))(models)
    for key, output in zip(keys, outputs, strict=True):
        np.testing.assert_allclose(output, slotjax.nnx.Selected(Tied(), selector, key)(X), rtol=1e-5, atol=1e-6)
    assert np.any(outputs[0] != outputs[1])


@pytest.mark.slow
def test_layers_that_are_scanned_inside():
    class Deep(nnx.Module):
        def __init__(self):
            self.layers = nnx.vmap(lambda key: nnx.Linear(4, 4, rngs=nnx.Rngs(key)))(jax.random.split(KEY, 3))

        def __call__(self, x):
            return nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.layers)

    model = selected(Deep)
    expected = X
    weights = params_of(model.weights())["layers"]
    for kernel, bias in zip(weights["kernel"], weights["bias"], strict=True):
        expected = expected @ kernel + bias[None]
    np.testing.assert_allclose(model(X), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_checkpoint_of_orbax_comes_back(tmp_path):
    model, other = selected(), slotjax.nnx.Selected(Network(), MACHINE, jax.random.key(9))
    model(X)  # changes batch statistics
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "model", nnx.split_state(nnx.state(model), nnx.RngState, ...)[1])
        checkpointer.wait_until_finished()
        pattern = nnx.split_state(nnx.state(other), nnx.RngState, ...)[1]
        nnx.update(other, checkpointer.restore(tmp_path / "model", pattern))
    chex.assert_trees_all_equal(other.variables(), model.variables())
    for one in (model, other):
        one.eval()
    np.testing.assert_array_equal(other(X), model(X))


@pytest.mark.slow
@pytest.mark.parametrize("scores", ["factored", "explicit"])
def test_the_names_of_dimensions_stay_with_scores_and_weights(scores):
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    named = nnx.with_partitioning(drawn, (None, "model"))
    with jax.set_mesh(mesh):
        plain = nnx.Linear(4, 6, kernel_init=named, rngs=nnx.Rngs(0))
        model = slotjax.nnx.Selected(plain, slotjax.slot_machine(k=4, scores=scores), KEY)
        specs = nnx.to_pure_dict(nnx.get_partition_spec(nnx.state(model, nnx.Param)))["module"]["kernel"]
        weights = model.weights()
    names = jax.sharding.PartitionSpec(None, "model")
    if scores == "factored":
        assert specs == {"a": jax.sharding.PartitionSpec(), "u": names}
    else:
        assert specs == {"scores": jax.sharding.PartitionSpec(None, None, "model")}
    assert nnx.get_partition_spec(nnx.state(weights))["kernel"].get_value() == names
    assert weights.kernel.sharding.spec == names


def test_weights_are_a_plain_module_of_its_own():
    model = selected()
    weights = model.weights()
    assert type(weights) is Network
    chex.assert_trees_all_equal(params_of(weights), MACHINE.select(model.variables()))
    weights.norm.mean[...] = weights.norm.mean[...] + 1
    weights.first.bias[...] = weights.first.bias[...] + 1
    assert not np.any(model.module.norm.mean[...])
    assert not np.any(model.variables()["params"]["first"]["bias"])


def test_a_ticket_of_its_variables(tmp_path):
    model = selected()
    slotjax.save_ticket(tmp_path / "ticket", model.selector, model.variables())
    plain = with_weights(Network(), slotjax.load_ticket(tmp_path / "ticket").weights)
    np.testing.assert_array_equal(plain.hidden(X), model.hidden(X))


def test_a_stream_named_select_samples_in_training_alone():
    model = selected(Stacked, SAMPLED, rngs=nnx.Rngs(select=0))
    call = nnx.jit(lambda model: model(X))
    first, second = call(model), call(model)
    assert np.any(first != second)
    np.testing.assert_allclose(call(selected(Stacked, SAMPLED, rngs=nnx.Rngs(select=0))), first, rtol=1e-6)
    best = selected(Stacked, SAMPLED)(X)
    model.eval()
    np.testing.assert_allclose(call(model), best, rtol=1e-6)
    model.train()
    assert np.any(call(model) != best)


def test_a_module_that_raises_keeps_its_scores():
    model = selected()
    with pytest.raises(TypeError):
        model(X[:, :2])
    chex.assert_trees_all_equal(model.variables(), selected().variables())


class Constant(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(jnp.ones((3, 2)))


@pytest.mark.slow
def test_mistakes_are_one_sentence():
    with pytest.raises(ValueError, match=r"^module: .* was given, but it must be an NNX module; see slotjax"):
        slotjax.nnx.Selected(jnp.ones, MACHINE, KEY)
    with pytest.raises(ValueError, match=r"^params: the values of \['kernel'\] do not vary about zero, so"):
        selected(Constant)
    with pytest.raises(ValueError, match=r"^params: the values of 'first/kernel' are not known here"):
        nnx.jit(selected)()
    with pytest.raises(ValueError, match=r"^first/kernel: it has scores, and no values until it is selected; call"):
        selected().first(X)
