"""Any optimizer trains the latent value as it trains a weight, and the choice is the option nearest to it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import slotjax
from slotjax import training

STEPS = 2000
PARAMS = {
    "kernel": np.random.default_rng(0).normal(0, 0.1, (12, 8)).astype(np.float32),
    "bias": np.zeros(8, np.float32),
}
SELECTOR = slotjax.slot_machine(k=64, where=lambda name, leaf: name == "kernel")
WARM_UP = optax.warmup_cosine_decay_schedule(0, 1e-2, 100, STEPS)


def kernels(tree):
    return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path), tree)


OPTIMIZERS = {
    "SGD, L2": training.sgd(0.05, 0.9, 1e-2),
    "Adam": optax.adam(1e-2),
    "Adam, L2": training.adam(1e-2, 1e-2),
    "AdamW": optax.adamw(WARM_UP, weight_decay=0.1),
    "Lion": optax.lion(1e-3, weight_decay=0.1),
    "Muon": contrib.muon(1e-2, weight_decay=0.1),
    "Adafactor": optax.adafactor(
        1e-2, min_dim_size_to_factor=4, multiply_by_parameter_scale=False, weight_decay_rate=1e-3
    ),
    "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(1e-2, weight_decay=0.1)),
    "schedule-free": contrib.schedule_free_sgd(0.05, weight_decay=1e-2),
    "EMA": optax.chain(optax.ema(0.9), optax.sgd(0.05)),
    "accumulated": optax.MultiSteps(optax.adamw(1e-2, weight_decay=0.1), 4),
    "by path": optax.multi_transform({True: optax.adamw(1e-2, weight_decay=0.1), False: optax.sgd(0.1)}, kernels),
    "masked, as LoRA": optax.chain(
        optax.masked(optax.adam(1e-2), kernels),
        optax.masked(optax.set_to_zero(), lambda tree: jax.tree.map(lambda here: not here, kernels(tree))),
    ),
    "decay by rank": optax.adamw(1e-2, weight_decay=0.1, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)),
}


def train(optimizer, params, weights_of):
    """Params after training on a loss whose gradient does not depend on them."""

    def loss(params, key):
        draws = [jax.random.normal(jax.random.fold_in(key, n), leaf.shape) for n, leaf in enumerate(PARAMS.values())]
        weights = weights_of(params)
        return sum(jnp.sum(draw * weights[name]) for draw, name in zip(draws, PARAMS, strict=True))

    def step(carry, key):
        params, state = carry
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            updates, state = optimizer.update(jax.grad(loss)(params, key), state, params)
            return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(2), STEPS)
    return jax.jit(lambda: jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0])()


@pytest.mark.quick("Adam")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_latent_value_trains_like_a_weight(name):
    variables = jax.jit(lambda: SELECTOR.init(jax.random.key(1), PARAMS))()
    frozen, start = variables["frozen"], variables["params"]
    trained = train(OPTIMIZERS[name], start, lambda params: SELECTOR.select({"params": params, "frozen": frozen}))
    weights = train(OPTIMIZERS[name], {**start, "kernel": start["kernel"]["u"]}, lambda params: params)
    latent = trained["kernel"]["u"]
    np.testing.assert_allclose(latent, weights["kernel"], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(trained["bias"], weights["bias"], rtol=1e-3, atol=1e-5)
    variables = {"params": trained, "frozen": frozen}
    options = np.asarray(SELECTOR.codebooks(variables)["kernel"].options.values())
    nearest = options[np.abs(options - np.asarray(latent)).argmin(0), *np.indices(latent.shape)]
    np.testing.assert_array_equal(SELECTOR.select(variables)["kernel"], nearest)


@pytest.mark.slow
def test_given_weights_are_the_latent_value_that_training_starts_from():
    for scores in ("factored", "explicit"):
        selector = slotjax.slot_machine(k=16, initial="given", scores=scores)
        variables = selector.init(jax.random.key(1), PARAMS)
        options = np.asarray(selector.codebooks(variables)["kernel"].options.values())
        distance = np.abs(np.asarray(selector.select(variables)["kernel"]) - PARAMS["kernel"])
        np.testing.assert_allclose(distance, np.abs(options - np.asarray(PARAMS["kernel"])).min(0), atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), optax.adamw(1e-2, weight_decay=0.5)], ids=["SGD", "AdamW"])
def test_training_holds_a_where_scores_are_not_exact(optimizer):
    selector = slotjax.slot_machine(k=8, initial="uniform")
    apply = lambda weights, batch_stats, images, key=None: (images @ weights["kernel"], batch_stats)  # noqa: E731
    learner = training.Learner(apply=apply, selector=selector, optimizer=optimizer)
    variables = selector.init(jax.random.key(1), PARAMS)
    state = training.init_state(jax.random.key(2), variables["params"], optimizer)
    step = jax.jit(training.train_step(learner))
    batch = slotjax.data.Split(jnp.ones((4, 12)), jnp.zeros(4, jnp.int32))
    for _ in range(3):
        state, _ = step(state, variables["frozen"], batch)
    assert float(state.params["kernel"]["a"]) == 1
    assert np.any(state.params["kernel"]["u"] != 0)


@pytest.mark.slow
def test_exact_scores_shrink_with_weight_decay():
    selector = slotjax.slot_machine(k=8, exact=True)
    variables = selector.init(jax.random.key(1), PARAMS)
    half = {**variables["params"], "kernel": {**variables["params"]["kernel"], "a": jnp.float32(0.5)}}
    np.testing.assert_allclose(
        selector.scores({**variables, "params": half})["kernel"], 0.5 * selector.scores(variables)["kernel"], rtol=1e-6
    )
