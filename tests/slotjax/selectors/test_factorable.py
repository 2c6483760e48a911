"""The guard: which optimizers allow factored scores."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import slotjax
from slotjax import training
from tests import paper

SHAPES = {"d": {"kernel": (30, 40), "bias": (4,)}, "c": {"kernel": (3, 3, 2, 5)}}
PARAMS = jax.tree.map(lambda shape: np.zeros(shape, np.float32), SHAPES, is_leaf=lambda node: isinstance(node, tuple))
FACTORED = paper.slot_machine(4, scores="factored", options="seeded")
TRAINABLE = jax.jit(lambda: FACTORED.init(jax.random.key(0), PARAMS)["params"])()
WARM_UP = optax.warmup_cosine_decay_schedule(0, 0.1, 20, 100)


def by_path(choose):
    return lambda params: jax.tree_util.tree_map_with_path(
        lambda path, leaf: choose("kernel" in jax.tree_util.keystr(path), leaf), params
    )


PASSES = {
    "SGD": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, 0.9),
    "Nesterov": optax.sgd(0.1, 0.9, nesterov=True),
    "L2 penalty": optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1, 0.9)),
    "strong penalty": training.sgd(0.2, 0.9, 0.5),
    "warm-up from 0": optax.sgd(WARM_UP, 0.9),
    "warm restarts": training.sgd(training.learning_rate_schedule("warm_restarts", 25.0, 200, 10), 0.9),
    "accumulation": optax.MultiSteps(optax.sgd(0.1, 0.9), 7),
    "EMA": optax.chain(optax.ema(0.9), optax.sgd(0.1)),
    "momentum in bfloat16": optax.sgd(0.1, 0.9, accumulator_dtype=jnp.bfloat16),
    "injected": optax.inject_hyperparams(optax.sgd)(learning_rate=WARM_UP, momentum=0.9),
    "decay by path": optax.chain(optax.add_decayed_weights(1e-2, mask=by_path(lambda here, _: here)), optax.sgd(0.1)),
    "Adam for biases": optax.multi_transform(
        {"sgd": optax.sgd(0.1), "adam": optax.adam(0.1)}, by_path(lambda here, _: "sgd" if here else "adam")
    ),
    "no update": optax.set_to_zero(),
    "a rate that overflows": training.sgd(1e38, 0.9, 1e-4),
    "schedule-free": optax.contrib.schedule_free_sgd(0.1, weight_decay=1e-3),
    "no bound": optax.chain(optax.clip_by_global_norm(float("inf")), optax.sgd(0.1)),
}
FAILS = {
    "Adam": optax.adam(0.1),
    "Adam in accumulation": optax.MultiSteps(optax.adam(0.1), 5),
    "Adam with warm-up": optax.adam(WARM_UP),
    "AdamW": optax.adamw(0.1),
    "RMSprop": optax.rmsprop(0.1),
    "Adagrad": optax.adagrad(0.1),
    "sign": optax.sign_sgd(0.1),
    "Lion": optax.lion(1e-3),
    "LAMB": optax.lamb(0.1),
    "LARS": optax.lars(0.1),
    "normalised": optax.chain(optax.normalize_by_update_norm(), optax.sgd(0.1)),
    "centralised": optax.chain(optax.centralize(), optax.sgd(0.1)),
    "unit-wise clipping": optax.chain(optax.adaptive_grad_clip(0.01), optax.sgd(0.1)),
    "clipping": optax.chain(optax.clip(1e6), optax.sgd(0.1)),
    "decay masked away from scalars": optax.chain(
        optax.add_decayed_weights(1e-4, mask=lambda params: jax.tree.map(lambda leaf: jnp.ndim(leaf) > 0, params)),
        optax.sgd(0.1, 0.9),
    ),
    **{
        f"global norm {bound:g}": optax.chain(optax.clip_by_global_norm(bound), optax.sgd(0.1, 0.9))
        for bound in (1e-9, 1e-3, 1.0, 1e3, 1e6, 1e9, 1e12)
    },
}


@pytest.mark.quick("momentum-w", "decay by path-u")
@pytest.mark.parametrize("params", [PARAMS, TRAINABLE, jax.eval_shape(lambda: TRAINABLE)], ids=["w", "u", "shapes"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "no update" else []) for name in PASSES]
)
def test_linear_optimizers_pass(name, params):
    slotjax.check_factorable(PASSES[name], params)


@pytest.mark.quick("Adam-w", "centralised-u")
@pytest.mark.parametrize("params", [PARAMS, TRAINABLE], ids=["w", "u"])
@pytest.mark.parametrize("name", FAILS)
def test_others_are_told_in_one_sentence(name, params):
    with pytest.raises(ValueError, match=r"optimizer: .* of '[cd]/kernel' .*, so training is not exactly") as e:
        slotjax.check_factorable(FAILS[name], params)
    assert "\n" not in str(e.value)


def test_it_works_within_a_trace():
    keys = jax.random.split(jax.random.key(0), 2)
    state = jax.vmap(lambda key: training.init_state(key, TRAINABLE, training.sgd(0.1)))(keys)
    assert state.step.shape == (2,)


def test_an_optimizer_that_fits_one_form_only_is_refused():
    mask = {"c": {"kernel": {"u": True, "a": True}}, "d": {"kernel": {"u": True, "a": True}, "bias": False}}
    optimizer = optax.chain(optax.masked(optax.add_decayed_weights(1e-4), mask), optax.sgd(0.1))
    with pytest.raises(ValueError, match="optimizer: it cannot be tried with both forms of scores"):
        slotjax.check_factorable(optimizer, TRAINABLE)
