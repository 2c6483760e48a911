"""Edge-popup and supermasks: values and gradients against NumPy, and what the papers prove or say of them."""

import inspect
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

import slotjax
from tests import paper, reference

KEY = jax.random.key(1)


def value_and_gradient(selector, variables, cotangent, key=None):
    def loss(params):
        return jnp.sum(selector.select(variables | {"params": params}, key) * cotangent)

    return selector.select(variables, key), jax.grad(loss)(variables["params"])


@pytest.mark.quick("seeded-shape1-0.3")
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(2, 3), (30, 41), (3, 3, 4, 5)])
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_edge_popup_equals_its_transcription(shape, fraction, options):
    selector = paper.edge_popup(fraction, options=options)
    variables = selector.init(jax.random.key(0), jnp.zeros(shape))
    random = np.random.default_rng(0)
    scores, cotangent = random.normal(size=shape).astype(np.float32), random.normal(size=shape).astype(np.float32)
    scores.flat[0] = 0
    variables["params"] = jnp.asarray(scores)
    everything = paper.edge_popup(1.0, options=options)
    weight = np.asarray(everything.select(variables))
    mask = reference.top_fraction(scores, fraction)
    chosen, gradient = value_and_gradient(selector, variables, cotangent)
    np.testing.assert_array_equal(chosen, np.where(mask, weight, 0))
    np.testing.assert_array_equal(gradient, cotangent * weight * np.sign(scores))
    np.testing.assert_array_equal(selector.selection(variables), mask)


@pytest.mark.slow
def test_edge_popup_in_bfloat16():
    selector = paper.edge_popup(0.3)
    variables = selector.init(jax.random.key(0), jnp.zeros((30, 40), jnp.bfloat16))
    weights = selector.select(variables)
    mask = reference.top_fraction(np.asarray(variables["params"]), 0.3)
    expected = np.where(mask, np.asarray(variables["frozen"]["weight"], np.float32), 0)
    np.testing.assert_array_equal(np.asarray(weights, np.float32), expected)
    assert variables["params"].dtype == jnp.float32


@pytest.mark.slow
def test_a_share_of_30_percent_keeps_30_percent():
    selector = paper.edge_popup(0.3)
    weights = selector.select(selector.init(jax.random.key(0), {"a": jnp.zeros((50, 40)), "d": jnp.zeros((20, 10))}))
    assert int(jnp.count_nonzero(weights["a"])) == 600
    assert int(jnp.count_nonzero(weights["d"])) == 60


def test_global_ranking_keeps_a_share_of_all():
    selector = paper.edge_popup(0.3, ranking="global")
    variables = selector.init(jax.random.key(0), {"a": jnp.zeros((50, 40)), "d": jnp.zeros((20, 10))})
    variables["params"]["d"] = 10 * variables["params"]["d"]
    masks = selector.selection(variables)
    assert int(masks["a"].sum()) + int(masks["d"].sum()) == 660
    assert masks["d"].mean() > 0.8


@pytest.mark.slow
def test_a_score_that_is_not_finite_makes_the_weight_not_finite():
    """So that training stops with the step, because compiled code cannot raise."""
    selector = paper.edge_popup(0.5)
    variables = selector.init(jax.random.key(0), jnp.zeros((4, 4)))
    variables["params"] = variables["params"].at[1, 2].set(jnp.inf)
    assert not bool(jnp.isfinite(jax.jit(selector.select)(variables)).all())


@pytest.mark.slow
@pytest.mark.parametrize("selector", [paper.edge_popup(), paper.supermask()])
def test_scores_start_kaiming_uniform(selector):
    scores = np.asarray(selector.init(jax.random.key(0), jnp.zeros((3, 3, 16, 50)))["params"]).ravel()
    limit = 1 / np.sqrt(3 * 3 * 16)
    assert scipy.stats.kstest(scores, scipy.stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3


def node_loss(node_input, target):
    return (node_input - target) ** 2


def one_step(key, rate):
    """Plain SGD on a node with 6 inputs: its target, its input, what the swaps add to it, and if a sign changed."""
    keys = jax.random.split(key, 4)
    inputs, target = jax.random.normal(keys[0], (6,)), jax.random.normal(keys[1])
    selector = paper.edge_popup(0.5, distribution=slotjax.distributions.kaiming_normal())
    variables = selector.init(keys[2], jnp.zeros((6, 1)))
    scores = jax.random.uniform(keys[3], (6, 1), minval=-1.0, maxval=1.0)

    def node(scores):
        return inputs @ selector.select(variables | {"params": scores})[:, 0]

    after = scores - rate * jax.grad(lambda scores: node_loss(node(scores), target))(scores)
    return target, node(scores), node(after) - node(scores), jnp.any(jnp.sign(after) != jnp.sign(scores))


def swaps(rate, trials=20_000):
    """What swaps do to a node, of many nodes: dL/dI, their change of the input, the loss before and as a function."""
    keys = jax.random.split(jax.random.key(0), trials)
    target, old, change, crossed = jax.jit(jax.vmap(one_step, in_axes=(0, None)))(keys, rate)
    # What is no swap leaves nothing, or rounding; a score that changes its sign is outside of the theorem.
    swapped = np.asarray((jnp.abs(change) > 1e-9) & ~crossed)
    target, old, change = (np.asarray(values)[swapped] for values in (target, old, change))
    slope = jax.vmap(jax.grad(node_loss))(jnp.asarray(old), jnp.asarray(target))
    return np.asarray(slope), change, lambda scale: np.asarray(node_loss(old + scale * change, target))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-3, 0.05, 0.3])
def test_theorem_1_of_edge_popup(rate, x64):
    """With plain SGD, every swap changes the input of a node against the gradient of the loss.

    That is what the paper's proof shows for any learning rate, as long as no score changes its sign. From there to a
    smaller loss it needs the swap to be small, for which it makes the learning rate small. But that does not make the
    swap smaller: an edge enters with its whole weight, and a smaller rate only makes swaps rarer. The loss falls, as
    the last assertion says, when what the swap adds is scaled towards zero.
    """
    slope, change, loss_at = swaps(rate)
    assert len(change) > (5 if rate < 0.01 else 100)
    assert np.all(slope * change < 0)
    assert np.all(loss_at(1e-5) < loss_at(0))


@pytest.mark.slow
def test_a_whole_swap_can_raise_the_loss_however_small_the_rate(x64):
    """Where the proof of theorem 1 stops."""
    _, _, loss_at = swaps(1e-3)
    assert np.any(loss_at(1) > loss_at(0))


@pytest.mark.quick("stored-True")
@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("options", get_args(slotjax.options.Storage))
def test_supermask_gradient(options, rescale):
    selector = paper.supermask(options=options, rescale=rescale)
    variables = selector.init(jax.random.key(0), jnp.zeros((20, 30)))
    random = np.random.default_rng(0)
    scores, cotangent = (random.normal(size=(20, 30)).astype(np.float32) for _ in range(2))
    variables["params"] = jnp.asarray(scores)
    whole = paper.edge_popup(1.0, options=options)
    weight = np.asarray(whole.select(whole.init(jax.random.key(0), jnp.zeros((20, 30)))))
    mask = np.asarray(selector.selection(variables, KEY))
    ratio = mask.size / mask.sum() if rescale else 1
    chosen, gradient = value_and_gradient(selector, variables, cotangent, KEY)
    probability = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(chosen, np.where(mask, weight * ratio, 0), rtol=1e-6)
    np.testing.assert_allclose(
        gradient, cotangent * weight * ratio * probability * (1 - probability), rtol=1e-5, atol=1e-7
    )


@pytest.mark.slow
def test_supermasks_are_drawn_with_their_probabilities_and_anew_for_every_key():
    selector = paper.supermask()
    variables = selector.init(jax.random.key(0), {"a": jnp.zeros((300, 200)), "d": jnp.zeros((300, 200))})
    variables["params"] = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.8), variables["params"])
    first, second = (selector.selection(variables, jax.random.key(key)) for key in (1, 2))
    probability = 1 / (1 + np.exp(-0.8))
    assert scipy.stats.binomtest(int(first["a"].sum()), 60_000, probability).pvalue > 1e-3
    expected = 2 * probability * (1 - probability)
    for one, other in ((first["a"], second["a"]), (first["a"], first["d"])):
        assert scipy.stats.binomtest(int((one != other).sum()), 60_000, expected).pvalue > 1e-3


@pytest.mark.slow
def test_what_a_supermask_is_at_evaluation():
    params = jnp.zeros((40, 50))
    made = {evaluation: paper.supermask(evaluation=evaluation) for evaluation in get_args(slotjax.selectors.Evaluation)}
    variables = {evaluation: selector.init(jax.random.key(0), params) for evaluation, selector in made.items()}
    scores = jnp.asarray(np.random.default_rng(0).normal(size=(40, 50)), jnp.float32)
    weights = {}
    for evaluation, selector in made.items():
        variables[evaluation]["params"] = scores
        weights[evaluation] = np.asarray(selector.select(variables[evaluation]))
        np.testing.assert_array_equal(weights[evaluation], selector.select(variables[evaluation]))
    random = np.asarray(variables["expected"]["frozen"]["weight"])
    np.testing.assert_array_equal(weights["thresholded"], np.where(np.asarray(scores) >= 0, random, 0))
    np.testing.assert_allclose(weights["expected"], random / (1 + np.exp(-np.asarray(scores))), rtol=1e-5)
    kept = weights["sampled"] != 0
    assert 0.3 < np.mean(kept[np.asarray(scores) < 0]) + np.mean(~kept[np.asarray(scores) > 0]) < 1


@pytest.mark.slow
def test_variables_of_another_selector_are_refused():
    params = {"w": jnp.zeros((3, 4))}
    machine, mask = paper.slot_machine(2), paper.edge_popup()
    made = {"machine": machine.init(KEY, params), "mask": mask.init(KEY, params)}
    with pytest.raises(ValueError, match="'w' was made with method='slot_machine', but this selector has"):
        mask.select(made["machine"])
    with pytest.raises(ValueError, match="'w' was made with method='edge_popup', but this selector has"):
        machine.select(made["mask"])
    with pytest.raises(ValueError, match="'frozen' holds random values, but learned weights have none"):
        slotjax.learned().select(made["mask"])
    with pytest.raises(ValueError, match="'w' was made with method='edge_popup', but this selector has"):
        paper.random_selection().select(made["mask"])
    made["mask"]["frozen"]["w"]["weight"] = jnp.zeros((4, 3))
    with pytest.raises(ValueError, match=r"'w' has scores of shape \(3, 4\), but a random weight of shape \(4, 3\)"):
        mask.select(made["mask"])


@pytest.mark.slow
def test_variables_of_another_k_or_without_scores_are_refused():
    params = {"w": jnp.zeros((3, 4))}
    made = paper.slot_machine(8, options="seeded").init(KEY, params)
    for function in ("select", "selection"):
        with pytest.raises(ValueError, match="'w' was made with k=8, but this selector has k=4"):
            getattr(paper.slot_machine(4, options="seeded"), function)(made)
    for other in (paper.random_selection(), slotjax.fixed()):
        with pytest.raises(ValueError, match=r"'w' was made with method=.*, but this"):
            paper.slot_machine(4).select(other.init(KEY, params))
    with pytest.raises(ValueError, match="'w' was made with method='edge_popup', but this selector has"):
        slotjax.fixed().select(paper.edge_popup().init(KEY, params))


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.float8_e4m3fn])
def test_scores_of_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=r"scores: they are .*, but must be floating-point numbers of 16 bits or more"):
        inspect.unwrap(slotjax.selection.top_fraction)(jnp.ones(4, dtype), 0.5)


def test_a_rescaled_mask_that_keeps_nothing_is_0():
    selector = paper.supermask(rescale=True)
    variables = selector.init(KEY, jnp.zeros((3, 2)))
    np.testing.assert_array_equal(selector.select(variables | {"params": -jnp.ones((3, 2))}), 0)
