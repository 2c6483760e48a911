"""What every selector keeps to, whatever it selects by."""

import itertools
from typing import get_args

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax import training
from tests import paper
from tests.slotjax.selectors.learning import learns

PARAMS = {
    "conv": {"kernel": jnp.zeros((2, 2, 3, 4))},
    "dense": {"kernel": jnp.zeros((6, 5)), "bias": jnp.arange(5.0)},
}
DISTRIBUTIONS = {
    "uniform": slotjax.distributions.glorot_uniform(),
    "normal": slotjax.distributions.kaiming_normal(),
    "signed_constant": slotjax.distributions.signed_xavier_constant(),
    "initializer": nn.initializers.he_normal(),
}


def covering(*axes):
    """Some combinations of the values of all axes, among which are all pairs of values of any two."""
    rows = list(itertools.product(*(range(len(axis)) for axis in axes)))
    pairs = lambda row: set(itertools.combinations(enumerate(row), 2))  # noqa: E731
    left = set().union(*map(pairs, rows))
    while left:
        best = max(rows, key=lambda row: len(pairs(row) & left))
        left -= pairs(best)
        yield tuple(axis[place] for axis, place in zip(axes, best, strict=True))


def slot_machines():
    axes = (
        get_args(slotjax.selectors.Selection),
        get_args(slotjax.selectors.Scores),
        get_args(slotjax.options.Storage),
        get_args(slotjax.selectors.Share),
        (False, True),
        get_args(slotjax.selectors.Initial),
    )
    rows = [("greedy", "factored", "seeded", "connection", False, "nearest"), *covering(*axes)]  # the default first
    for k, values in zip(itertools.cycle((2, 3, 8, 20)), rows, strict=False):
        selection, scores, options, share, sparse, initial = values
        name = "-".join(("slot", str(k), *map(str, values)))
        arguments = {"scores": scores, "options": options, "share": share, "sparse": sparse, "initial": initial}
        yield name, lambda k=k, s=selection, a=arguments: paper.slot_machine(k, s, **a)


def masks():
    for ranking, options, fraction in itertools.product(
        get_args(slotjax.selectors.Ranking), get_args(slotjax.options.Storage), (0.3, 1.0)
    ):
        yield (
            f"edge_popup-{ranking}-{options}-{fraction}",
            lambda r=ranking, o=options, f=fraction: paper.edge_popup(f, ranking=r, options=o),
        )
    for evaluation, rescale, options in itertools.product(
        get_args(slotjax.selectors.Evaluation), (False, True), get_args(slotjax.options.Storage)
    ):
        yield (
            f"supermask-{evaluation}-{rescale}-{options}",
            lambda e=evaluation, r=rescale, o=options: paper.supermask(evaluation=e, rescale=r, options=o),
        )


def more_masks():
    kaiming = slotjax.distributions.kaiming_normal()
    for options, fraction in itertools.product(get_args(slotjax.options.Storage), (0.3, 1.0)):
        yield (
            f"biprop-{options}-{fraction}",
            lambda o=options, f=fraction: slotjax.biprop(f, options=o, distribution=kaiming),
        )
    for options, fractions in itertools.product(get_args(slotjax.options.Storage), ((0.5, 0.3, 0.1), (1.0,))):
        yield (
            f"multicoat-{options}-{len(fractions)}",
            lambda o=options, f=fractions: slotjax.multicoat(f, options=o, distribution=paper.SIGNED),
        )


def frozen_in_part():
    made = dict([*masks(), *more_masks()])
    some = ("edge_popup-layer-seeded-0.3", "biprop-seeded-0.3", "multicoat-stored-3", "supermask-sampled-False-stored")
    for name in some:
        inner = made[name]
        yield f"partly_frozen-{name}", lambda inner=inner: slotjax.partly_frozen(inner(), 0.3, 0.2)
    for name, make in itertools.islice(slot_machines(), 0, None, 4):
        if "network" not in name:
            yield f"partly_frozen-{name}", lambda make=make: slotjax.partly_frozen(make(), 0.3, 0.2)


def distributions():
    factories = {"slot": paper.slot_machine, "edge_popup": paper.edge_popup, "supermask": paper.supermask}
    for (name, make), (kind, distribution) in itertools.product(factories.items(), DISTRIBUTIONS.items()):
        yield f"{name}-{kind}", lambda make=make, d=distribution: make(distribution=d)
    for kind, distribution in DISTRIBUTIONS.items():
        yield f"learned-{kind}", lambda d=distribution: slotjax.learned(d)
        yield f"random-{kind}", lambda d=distribution: slotjax.random_selection(d)


def mixed():
    return slotjax.partition(
        {
            "conv/.*": paper.slot_machine(3, "probabilistic", scores="factored", options="seeded"),
            ".*kernel": paper.supermask(),
            ".*": slotjax.learned(),
        }
    )


def in_a_layer():
    """A partition of a layer, all of whose patterns match."""
    return slotjax.partition({"kernel": paper.slot_machine(3, "probabilistic"), ".*": slotjax.learned()})


SELECTORS = {
    **dict(slot_machines()),
    **dict(masks()),
    **dict(more_masks()),
    **dict(frozen_in_part()),
    **dict(distributions()),
    "partition": mixed,
    "fixed": slotjax.fixed,
}
KEY = jax.random.key(1)


def moved(variables):
    """Variables as after some training."""
    random = np.random.default_rng(0)
    move = lambda leaf: jnp.asarray(np.asarray(leaf) + (0.3 * random.normal(size=leaf.shape)).astype(leaf.dtype))  # noqa: E731
    return {"params": jax.tree.map(move, variables["params"]), "frozen": variables["frozen"]}


# The first entry of every method, and the default of slot machines.
FIRST = list({name.split("-")[0]: name for name in reversed(SELECTORS)}.values())
QUICK = ("edge_popup", "learned", "fixed")
DEFAULT = next(iter(SELECTORS))


@pytest.mark.quick(DEFAULT, *(name for name in FIRST if name.startswith(QUICK)))
@pytest.mark.parametrize("name", SELECTORS)
def test_the_contract(name, tmp_path):
    selector = SELECTORS[name]()
    variables = moved(jax.jit(lambda: selector.init(jax.random.key(0), PARAMS))())
    check_structure(selector, variables)
    check_gradient(selector, variables)
    check_ticket(selector, variables, tmp_path)
    check_layers(in_a_layer() if name == "partition" else selector)


@pytest.mark.slow
# Of what is partly frozen, too little is free to come so near.
@pytest.mark.parametrize("name", [name for name in FIRST if name.startswith(("slot", "edge", "super", "bi", "multi"))])
def test_it_learns(name):
    assert learns(SELECTORS[name]())


def check_structure(selector, variables):
    """Weights shaped like the parameters, whose leaves that are not selected stay; one selection per connection."""
    select = jax.jit(lambda variables, key: (selector.select(variables, key), selector.selection(variables, key)))
    for key in (None, KEY):
        weights, selection = select(variables, key)
        chex.assert_trees_all_equal_shapes_and_dtypes(weights, PARAMS)
        bias = variables["params"]["dense"]["bias"]
        np.testing.assert_array_equal(
            weights["dense"]["bias"], PARAMS["dense"]["bias"] if isinstance(bias, dict) else bias
        )
        for index, weight in zip(jax.tree.leaves(selection), jax.tree.leaves(drop_bias(weights)), strict=False):
            assert index.shape == weight.shape
            assert index.dtype in (jnp.int32, jnp.bool_)
    other = variables | {"params": jax.tree.map(jnp.negative, variables["params"])}
    select(other, jax.random.key(2))
    assert select._cache_size() == 2  # with and without a key, whatever the values
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables["params"]))


def check_gradient(selector, variables):
    """The gradient has the structure of what trains; an update changes no frozen value and stays finite."""

    def loss(params, frozen, key):
        weights = selector.select({"params": params, "frozen": frozen}, key)
        return sum(jnp.sum((leaf - 1) ** 2) for leaf in jax.tree.leaves(weights))

    gradient_of = jax.jit(jax.grad(loss))
    before = jax.device_get(variables["frozen"])
    gradient = gradient_of(variables["params"], variables["frozen"], KEY)
    chex.assert_trees_all_equal_shapes_and_dtypes(gradient, variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    scores = jax.tree.leaves(drop_bias(gradient))
    assert not scores or any(np.any(np.asarray(leaf) != 0) for leaf in scores)
    chex.assert_trees_all_equal(before, jax.device_get(variables["frozen"]))


def check_ticket(selector, variables, directory):
    """What comes back is bitwise what `select` gave."""
    if not packs(selector):
        with pytest.raises(ValueError, match="expected weights are weighted by their probabilities"):
            slotjax.save_ticket(directory / "ticket", selector, variables)
        return
    slotjax.save_ticket(directory / "ticket", selector, variables)
    loaded = slotjax.load_ticket(directory / "ticket").weights
    chex.assert_trees_all_equal(loaded, selector.select(variables))
    chex.assert_trees_all_equal_dtypes(loaded, PARAMS)


def check_layers(selector):
    """A Linen layer draws and selects what the selector does on the whole tree."""
    layer, x = slotjax.Dense(5, selector=selector), jnp.ones((2, 6))
    if selector.joint:
        with pytest.raises(ValueError, match="selector: that of kernel draws or ranks all weights"):
            layer.init(jax.random.key(0), x)
        return
    if getattr(selector.settings, "name", None) in ("learned", "fixed"):
        return  # a layer without random values is Flax's own, with its own initializer
    made = jax.jit(layer.init)(jax.random.key(0), x)
    alone = jax.jit(lambda: selector.init(jax.random.key(0), nn.Dense(5).init(jax.random.key(0), x)["params"]))()
    chex.assert_trees_all_equal(made["params"], alone["params"])
    chex.assert_trees_all_equal(made["frozen"]["kernel"], alone["frozen"]["kernel"])
    apply = jax.jit(lambda variables, key: layer.apply(variables, x, rngs={"select": key}))
    weights = jax.jit(selector.select)(alone, KEY)
    expected = x @ weights["kernel"] + weights["bias"][None]
    chex.assert_trees_all_close(apply(made, KEY), expected, rtol=1e-5)


def drop_bias(tree):
    return {"conv": tree["conv"], "dense": {"kernel": tree["dense"]["kernel"]}}


def packs(selector):
    return getattr(selector.settings, "evaluation", None) != "expected"


@pytest.mark.slow
@pytest.mark.parametrize("name", dict.fromkeys([*FIRST, *list(SELECTORS)[::3]]))
def test_variables_go_through_a_checkpoint(name, tmp_path):
    selector = SELECTORS[name]()
    variables = moved(jax.jit(lambda: selector.init(jax.random.key(0), PARAMS))())
    with training.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, variables, [{"validation": {"accuracy": 0.5}}])
        restored, _ = checkpoints.restore_latest(variables)
    chex.assert_trees_all_equal(restored, variables)
    chex.assert_trees_all_equal_dtypes(restored, variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["random-uniform", "learned-uniform", "supermask-sampled-True-stored", "slot-uniform", "edge_popup-normal"]
)
def test_half_precision_has_scores_in_float32(name):
    selector = SELECTORS[name]()
    params = {"kernel": jnp.zeros((6, 5), jnp.bfloat16)}
    variables = selector.init(jax.random.key(0), params)
    chex.assert_trees_all_equal_shapes_and_dtypes(selector.select(variables, KEY), params)
    if not name.startswith(("random", "learned")):
        assert variables["params"]["kernel"].dtype == jnp.float32


@pytest.mark.slow
def test_equal_seeds_give_masks_the_options_of_a_sparse_slot_machine():
    sparse = paper.slot_machine(2, sparse=True, options="seeded", distribution=slotjax.distributions.kaiming_normal())
    mask = paper.edge_popup(1.0, options="seeded", distribution=slotjax.distributions.kaiming_normal())
    offered = sparse.codebooks(sparse.init(jax.random.key(0), PARAMS))["dense/kernel"]
    kept = mask.select(mask.init(jax.random.key(0), PARAMS))["dense"]["kernel"]
    ones = jnp.ones((6, 5), jnp.int32)
    np.testing.assert_array_equal(offered.weight_at(ones), kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", dict.fromkeys([*FIRST[::2], "supermask-sampled-True-seeded", DEFAULT]))
def test_it_can_be_vmapped_over_trials_and_run_without_jit(name):
    selector = SELECTORS[name]()
    keys = jax.random.split(jax.random.key(0), 2)
    both = jax.jit(jax.vmap(lambda key: selector.init(key, PARAMS)))(keys)
    together = jax.jit(jax.vmap(selector.select, in_axes=(0, None)))(both, KEY)
    alone = selector.select(selector.init(keys[1], PARAMS), KEY)
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], together), alone, rtol=1e-6)


def test_what_is_not_selected_is_a_copy_that_can_be_donated():
    params = {"kernel": jax.random.normal(jax.random.key(1), (8, 6)), "bias": jnp.ones(3)}
    slotjax.slot_machine(2).init(KEY, params)["params"]["bias"].delete()
    assert not params["bias"].is_deleted()
