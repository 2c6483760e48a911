"""Any Linen module with selected weights: the pytree form behind everything that a Linen module does."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax.linen import Selected

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
MACHINE = slotjax.slot_machine(k=4)
SELECTORS = {
    "factored": MACHINE,
    "explicit": slotjax.slot_machine(k=4, options="stored", scores="explicit", initial="uniform"),
    "joint": slotjax.edge_popup(0.5, ranking="global"),
    "partition": slotjax.partition({"Dense_0/.*": MACHINE, ".*": slotjax.learned()}),
    "learned": slotjax.learned(),
}


def drawn(key, shape, dtype=jnp.float32):
    """An initializer that depends on its key, and compiles little."""
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values, dtype) * (1 + (jax.random.key_data(key)[0] % 7).astype(dtype))


def dense(features, **kwargs):
    return nn.Dense(features, kernel_init=drawn, **kwargs)


class Network(nn.Module):
    """Batch statistics, dropout, sown values and a method beside `__call__`."""

    train: bool = True

    def setup(self):
        self.first, self.second = dense(6), dense(4)
        self.norm = nn.BatchNorm(momentum=0.5)
        self.dropout = nn.Dropout(0.5)

    def __call__(self, x):
        hidden = self.encode(x)
        self.sow("intermediates", "hidden", hidden)
        return self.second(self.dropout(hidden, deterministic=not self.train))

    def encode(self, x):
        return nn.relu(self.norm(self.first(x), use_running_average=not self.train))


class Mlp(nn.Module):
    @nn.compact
    def __call__(self, x):
        return dense(4)(nn.relu(dense(4)(x)))


class Layer(nn.Module):
    selector: slotjax.Selector | None = None

    @nn.compact
    def __call__(self, x, _):
        layer = dense(4)
        return (layer if self.selector is None else Selected(layer, self.selector))(x), None


def pytree(selector, module, *inputs, rngs=KEY):
    """The variables of a selector over a whole module, in Linen's collections."""
    variables = module.init(rngs, *inputs)
    return variables | selector.init(KEY, variables["params"])


def weights(selector, variables, key=None):
    return variables | {"params": selector.select(variables, key)}


@pytest.mark.quick("factored")
@pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS)
def test_init_is_that_of_the_pytree_bit_for_bit(selector):
    expected = pytree(selector, Mlp(), X)
    model = Selected(Mlp(), selector)
    inits = [model.init] if selector.joint else [model.init, jax.jit(model.init)]
    for init in inits:
        made = init(KEY, X)
        chex.assert_trees_all_equal(made["params"], expected["params"])
        chex.assert_trees_all_equal(made.get("frozen", {}), expected["frozen"] if made.get("frozen") else {})
        expected_output = Mlp().apply({"params": selector.select(expected)}, X)
        np.testing.assert_array_equal(model.apply(made, X), expected_output)


@pytest.mark.slow
@pytest.mark.parametrize("selector", [MACHINE, SELECTORS["explicit"]], ids=["factored", "explicit"])
def test_gradients_are_those_of_the_pytree(selector):
    variables, model = pytree(selector, Mlp(), X), Selected(Mlp(), selector)

    def ours(params):
        return jnp.sum(model.apply(variables | {"params": params}, X) ** 2)

    def expected(params):
        return jnp.sum(Mlp().apply(weights(selector, variables | {"params": params}), X) ** 2)

    gradient = jax.jit(jax.grad(ours))(variables["params"])
    chex.assert_trees_all_close(gradient, jax.grad(expected)(variables["params"]), rtol=1e-5, atol=1e-6)
    assert all(np.any(leaf != 0) for name, leaf in slotjax.selectors.named_leaves(gradient).items() if name[-1] != "a")


def test_collections_streams_and_methods_are_the_modules():
    rngs = {"params": KEY, "dropout": jax.random.key(1)}
    model, variables = Selected(Network(), MACHINE), pytree(MACHINE, Network(), X, rngs=rngs)
    made = model.init(rngs, X)
    chex.assert_trees_all_equal(
        {name: made[name] for name in ("params", "batch_stats")},
        {name: variables[name] for name in ("params", "batch_stats")},
    )
    arguments = {"rngs": {"dropout": jax.random.key(2)}, "mutable": ["batch_stats", "intermediates"]}
    state = {name: made[name] for name in ("params", "frozen", "batch_stats")}
    output, changed = model.apply(state, X, **arguments)
    plain = {"params": MACHINE.select(variables), "batch_stats": variables["batch_stats"]}
    expected, expected_changed = Network().apply(plain, X, **arguments)
    np.testing.assert_array_equal(output, expected)
    chex.assert_trees_all_equal(changed, expected_changed)
    assert set(changed) == {"batch_stats", "intermediates"}
    evaluated, plain_evaluated = Selected(Network(train=False), MACHINE), Network(train=False)
    np.testing.assert_array_equal(
        evaluated.apply(state, X, method="encode"), plain_evaluated.apply(plain, X, method="encode")
    )
    np.testing.assert_array_equal(
        evaluated.apply(state, X, method=type(evaluated).encode), plain_evaluated.apply(plain, X, method=Network.encode)
    )


class Decoder(nn.Module):
    embed: nn.Module

    @nn.compact
    def __call__(self, x):
        return self.embed.attend(dense(4)(x))


class Autoencoder(nn.Module):
    def setup(self):
        self.embed = nn.Embed(5, 4)
        self.decoder = Selected(Decoder(self.embed), MACHINE)

    def __call__(self, tokens):
        return self.decoder(self.embed(tokens))


def test_layers_and_shared_modules_among_the_fields():
    model = Selected(nn.Sequential([dense(4)]), MACHINE)
    chex.assert_trees_all_equal(model.init(KEY, X), pytree(MACHINE, nn.Sequential([dense(4)]), X))
    tokens = jnp.arange(3)
    made = Autoencoder().init(KEY, tokens)
    assert made["params"]["embed"]["embedding"].shape == (5, 4)  # the other module's own, which is not selected
    kernel = MACHINE.select({name: made[name]["decoder"] for name in ("params", "frozen")})["Dense_0"]["kernel"]
    embedding = made["params"]["embed"]["embedding"]
    np.testing.assert_allclose(
        Autoencoder().apply(made, tokens), embedding[tokens] @ kernel @ embedding.T, rtol=1e-5, atol=1e-6
    )


def test_a_mutable_apply_gives_back_scores_not_weights():
    model = Selected(Mlp(), MACHINE)
    variables = model.init(KEY, X)
    _, changed = model.apply(variables, X, mutable=True)
    chex.assert_trees_all_equal(changed, variables)


def test_inside_another_module_and_within_a_sequence():
    class Outer(nn.Module):
        selector: slotjax.Selector | None

        @nn.compact
        def __call__(self, x):
            inner = Mlp(name="inner") if self.selector is None else Selected(Mlp(name="inner"), self.selector)
            return dense(2)(inner(x))

    selector = slotjax.slot_machine(k=4, where=lambda name, leaf: name.startswith("inner/") and name.endswith("kernel"))
    expected = pytree(selector, Outer(None), X)
    model = Outer(selector)
    made = model.init(KEY, X)
    chex.assert_trees_all_equal(made["params"], expected["params"])
    chex.assert_trees_all_equal(jax.tree.leaves(made["frozen"]), jax.tree.leaves(expected["frozen"]))
    np.testing.assert_array_equal(model.apply(made, X), Outer(None).apply({"params": selector.select(expected)}, X))
    sequence = nn.Sequential([Selected(dense(4), MACHINE), nn.relu, dense(2)])
    made = sequence.init(KEY, X)
    assert set(made["params"]["layers_0"]["kernel"]) == {"u", "a"}
    assert sequence.apply(made, X).shape == (3, 2)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [nn.remat, nn.jit], ids=["remat", "jit"])
def test_remat_and_jit(wrap):
    plain = Selected(Mlp(), MACHINE)
    variables = pytree(MACHINE, Mlp(), X)
    wrapped = wrap(type(plain))()

    def loss(model):
        return jax.value_and_grad(lambda params: jnp.sum(model.apply(variables | {"params": params}, X) ** 2))

    chex.assert_trees_all_close(loss(wrapped)(variables["params"]), loss(plain)(variables["params"]), rtol=1e-5)
    if wrap is nn.remat:  # nn.jit gives the methods keys of their own
        chex.assert_trees_all_equal(wrapped.init(KEY, X), variables)


def scanned(layer, *args, axes=("params", "frozen"), length=3):
    return nn.scan(layer, dict.fromkeys(axes, 0), split_rngs={"params": True}, length=length)(*args)


@pytest.mark.slow
def test_a_scan_within_is_selected_as_a_whole():
    stack = scanned(Layer, axes=("params",))
    expected = pytree(MACHINE, stack, X, None)
    model = Selected(scanned(Layer, axes=("params",)), MACHINE)
    chex.assert_trees_all_equal(model.init(KEY, X, None), expected)
    output = model.apply(expected, X, None)[0]
    np.testing.assert_array_equal(output, stack.apply({"params": MACHINE.select(expected)}, X, None)[0])


@pytest.mark.slow
def test_selected_layers_under_scan_and_vmap_have_options_of_their_own():
    stack = scanned(Layer, MACHINE)
    variables = stack.init(KEY, X, None)
    kernels = jax.vmap(MACHINE.select)(variables)["Dense_0"]
    expected = X
    for kernel, bias in zip(kernels["kernel"], kernels["bias"], strict=True):
        expected = expected @ kernel + bias[None]
    np.testing.assert_allclose(
        stack.apply(variables, X, None)[0], expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max()
    )
    seeds = np.asarray(variables["frozen"]["Dense_0"]["kernel"]["seed"])
    assert len(np.unique(seeds, axis=0)) == 3

    axes = {"params": 0, "frozen": 0}
    several = nn.vmap(Layer, axes, split_rngs={"params": True}, in_axes=(None, None), axis_size=2)(MACHINE)
    variables = several.init(KEY, X, None)
    outputs = several.apply(variables, X, None)[0]
    kernels = jax.vmap(MACHINE.select)(variables)["Dense_0"]
    expected = np.einsum("bi,nij->nbj", X, kernels["kernel"]) + np.asarray(kernels["bias"])[:, None]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_partitioned_boxes_stay():
    boxed = nn.with_partitioning(drawn, ("in", "out"))
    model = Selected(nn.Dense(4, kernel_init=boxed), MACHINE)
    expected = pytree(MACHINE, dense(4), X)
    variables = model.init(KEY, X)
    chex.assert_trees_all_equal(
        jax.tree.leaves(nn.unbox(variables)), jax.tree.leaves({name: expected[name] for name in variables})
    )
    output = dense(4).apply({"params": MACHINE.select(expected)}, X)
    np.testing.assert_array_equal(model.apply(variables, X), output)
    np.testing.assert_array_equal(model.apply(nn.unbox(variables), X), output)


@pytest.mark.slow
def test_a_stream_named_select_samples():
    selector = slotjax.slot_machine(k=4, selection="probabilistic")
    model, expected = Selected(Mlp(), selector), pytree(selector, Mlp(), X)
    for key in (None, jax.random.key(3)):
        output = model.apply(expected, X, rngs=None if key is None else {"select": key})
        np.testing.assert_array_equal(output, Mlp().apply({"params": selector.select(expected, key)}, X))


class Constant(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4, kernel_init=nn.initializers.ones)(x)


@pytest.mark.slow
def test_mistakes_are_one_sentence():
    model = Selected(Mlp(), MACHINE)
    variables = model.init(KEY, X)
    missing = r"^frozen: the collection with the random values of selected weights is missing; give `apply` both"
    with pytest.raises(ValueError, match=missing):
        model.apply({"params": variables["params"]}, X)
    made = scanned(Layer, MACHINE).init(KEY, X, None)
    with pytest.raises(ValueError, match=r"^frozen: .* is lost; nn\.scan and nn\.vmap need 'frozen' in variable_axes"):
        scanned(Layer, MACHINE, axes=("params",)).init(KEY, X, None)
    with pytest.raises(ValueError, match=f"{missing}.* and nn.scan and nn.vmap 'frozen' in variable_axes"):
        scanned(Layer, MACHINE, axes=("params",)).apply(made, X, None)
    twice = r"^module: (layers|Dense)_0 selects its weights, but so does the module that it is part of; use"
    with pytest.raises(ValueError, match=twice):
        Selected(nn.Sequential([slotjax.Dense(4)]), MACHINE).init(KEY, X)
    with pytest.raises(ValueError, match=twice):
        Selected(Layer(MACHINE), MACHINE).init(KEY, X, None)
    constant = r"^params: the values of \['Dense_0/kernel'\] do not vary about zero, so no weight"
    for init in (Selected(Constant(), MACHINE).init, jax.jit(Selected(Constant(), MACHINE).init)):
        with pytest.raises(ValueError, match=constant):
            init(KEY, X)
    with pytest.raises(ValueError, match=r"^module: .* was given, but it must be a Linen module; see slotjax\.nnx for"):
        Selected(jnp.ones, MACHINE)
    with pytest.raises(ValueError, match=r"was made with k=4, but this selector has k=8"):
        Selected(Mlp(), slotjax.slot_machine(k=8)).apply(variables, X)
