"""Whether an optimizer allows factored scores: a trial on a small tree."""

from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from slotjax.options import at_least_float32
from slotjax.selectors.checks import kind_of
from slotjax.selectors.factored import is_factored
from slotjax.selectors.selector import Where, matrices_and_kernels
from slotjax.selectors.tree import leaf_namer

Optimizer: TypeAlias = optax.GradientTransformation | optax.MultiSteps

_K = 3
_SIZE = 2
_SCALES = (1.0, 0.0, 1e-3, 1e3, 1e15)  # 0 shows what decays, 1e15 what a bound cuts off
_UPDATES = 4
_ROUNDING = 8  # units in the last place of a parameter
_MOST_STEPS = 1000
_TOLERANCE = 0.05  # far above rounding, even of accumulators in bfloat16, and far below what any other rule does


class _Small(NamedTuple):
    """A small leaf of the trial, with options and initial scores if it is a selected weight."""

    name: str
    selected: bool
    options: np.ndarray
    scores: np.ndarray
    dtype: Any

    def explicit(self, latent: Any, share: Any) -> np.ndarray:
        """Scores, or their gradients or updates, of which `factored(latent, share)` is the other form."""
        return np.asarray(share * self.scores + latent * self.options if self.selected else latent, self.dtype)

    def factored(self, latent: Any, share: Any) -> Any:
        u = np.asarray(latent, self.dtype)
        return {"u": u, "a": np.asarray(share, self.dtype)} if self.selected else u


def check_factorable(optimizer: Optimizer, params: PyTree, where: Where = matrices_and_kernels) -> None:
    """Raises if training factored scores with an optimizer is not exactly the paper's training of K scores.

    You can still train: any optimizer can update a latent value, just as it updates a weight. The scalars `a` must then
    stay at 1. `slotjax.training` holds them there, and with `slot_machine(exact=False)` they always count as 1.

    Factored scores are exact if the optimizer starts from zero, is linear in gradients and parameters, and treats all
    entries of a tensor, and the scalar `a` that belongs to it, alike: SGD, momentum, Nesterov's momentum,
    `optax.add_decayed_weights`, every learning rate schedule, `optax.MultiSteps`, `optax.ema`. Adam, sign and
    normalising updates, clipping, `optax.centralize` and a decay that is masked away from scalars are not.

    The optimizer is run on a small tree with the names and ranks of `params`, once with explicit and once with
    factored scores, with gradients of scales from 0 to 1e15, until several updates were not zero. What happens later
    cannot be seen: a schedule that switches a non-linearity on after thousands of steps passes.

    Args:
        optimizer: what will update the trainable part of the variables.
        params: `variables["params"]` of a selector, or the weights of a model, or the shapes of either.
        where: which leaves are selected, if `params` are weights. Leaves with factored scores are known.

    Raises:
        ValueError: in one sentence, if the updates of the two forms differ, or if the optimizer cannot be tried.

    Implements the conditions of `s_k(t) = a_t s_k(0) + u_t W_k`.

    >>> import optax
    >>> slotjax.check_factorable(optax.sgd(0.1, momentum=0.9), {"kernel": jnp.zeros((3, 4))})
    >>> slotjax.check_factorable(optax.adam(0.1), {"kernel": jnp.zeros((3, 4))})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: optimizer: it does not move the K scores of 'kernel' along one line...
    """
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        given = kind_of(optimizer)
        raise ValueError(f"optimizer: {given} was given, but it must be an optimizer, such as optax.sgd(0.1)")
    with jax.ensure_compile_time_eval(), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        leaves, treedef = _small_leaves(params, where)
        step = jax.jit(lambda *arguments: _step(optimizer, *arguments))
        most_steps = _MOST_STEPS
        for scale in _SCALES:
            most_steps = min(most_steps, _compare(optimizer, step, leaves, treedef, scale, most_steps))


def is_factorable(optimizer: Optimizer, params: PyTree) -> bool:
    """Whether `check_factorable` passes; also true if there are no factored scores.

    >>> import optax
    >>> slotjax.selectors.is_factorable(optax.adam(0.1), {"u": jnp.zeros((3, 4)), "a": jnp.ones(())})
    False
    """
    if not any(map(is_factored, jax.tree.leaves(params, is_leaf=is_factored))):
        return True
    try:
        check_factorable(optimizer, params)
    except ValueError:
        return False
    return True


def hold_shares(params: PyTree, before: PyTree) -> PyTree:
    """Trainable values whose factored scores have the `a` of before.

    >>> before = {"u": jnp.zeros(2), "a": jnp.ones(())}
    >>> after = {"u": jnp.ones(2), "a": jnp.zeros(())}
    >>> print(slotjax.selectors.hold_shares(after, before)["a"])
    1.0
    """
    hold = lambda new, old: {"u": new["u"], "a": old["a"]} if is_factored(old) else new  # noqa: E731
    return jax.tree.map(hold, params, before, is_leaf=is_factored)


def _small_leaves(params: PyTree, where: Where) -> tuple[list[_Small], Any]:
    paths_and_leaves, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_factored)
    known = any(is_factored(leaf) for _, leaf in paths_and_leaves)
    random, name_of = np.random.RandomState(0), leaf_namer(params)

    def small(name, leaf):
        weight = leaf["u"] if is_factored(leaf) else leaf
        shape = (_K, *(min(_SIZE, size) for size in np.shape(weight)))
        selected = is_factored(leaf) if known else where(name, leaf)
        dtype = at_least_float32(weight.dtype) if selected else jnp.result_type(weight)
        return _Small(name, selected, random.normal(size=shape), random.uniform(0.1, 1, shape), dtype)

    return [small(name_of(path), leaf) for path, leaf in paths_and_leaves], treedef


def _compare(optimizer: Any, step: Any, leaves: list[_Small], treedef: Any, scale: float, most_steps: int) -> int:
    """Runs both forms until several updates were not zero; the number of steps after which none was.

    Raises:
        ValueError: if their updates differ.
    """

    def both(latents, share):
        pairs = list(zip(leaves, latents, strict=True))
        forms = (
            [leaf.explicit(latent, share) for leaf, latent in pairs],
            [leaf.factored(latent, share) for leaf, latent in pairs],
        )
        return [treedef.unflatten(form) for form in forms]

    random, moves, last = np.random.RandomState(1), 0, most_steps
    start = both([np.zeros(leaf.options.shape[1:]) for leaf in leaves], 1)
    states = [(params, _run_or_name(optimizer.init, params)) for params in start]
    for number in range(most_steps):
        gradients = both([scale * random.normal(size=leaf.options.shape[1:]) for leaf in leaves], 0)
        results = [_run_or_name(step, *state, gradient) for state, gradient in zip(states, gradients, strict=True)]
        states = [state for state, _ in results]
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves([updates for _, updates in results])):
            return most_steps  # steps this long show nothing more than their own overflow
        flat = (treedef.flatten_up_to(tree) for tree in (states[0][0], *(updates for _, updates in results)))
        # With little or no gradient, the rounding of two parameters may be most of an update that is their difference.
        if _moved_alike(0 if scale >= 1 else _ROUNDING, leaves, *flat):
            moves, last = moves + 1, number + 1
        if moves == _UPDATES:
            break
    return last


def _run_or_name(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        message = str(error).strip().split("\n")[0]
        raise ValueError(f"optimizer: it cannot be tried with both forms of scores ({message})") from error


def _step(optimizer: Any, params: PyTree, state: PyTree, gradient: PyTree) -> tuple[tuple[PyTree, PyTree], PyTree]:
    updates, state = optimizer.update(gradient, state, params)
    return (optax.apply_updates(params, updates), state), updates


def _moved_alike(ulps: int, leaves: list[_Small], scores: list[Any], explicit: list[Any], factored: list[Any]) -> bool:
    """Whether any score was moved.

    Raises:
        ValueError: if scores were moved otherwise than their factored form says.
    """
    moved = False
    for leaf, params, update, form in zip(leaves, scores, explicit, factored, strict=True):
        if not leaf.selected:
            continue
        expected = np.asarray(form["a"]) * leaf.scores + np.asarray(form["u"]) * leaf.options
        size = max(np.abs(update).max(initial=0), np.abs(expected).max(initial=0))
        rounding = ulps * np.finfo(update.dtype).eps * np.abs(params).max(initial=0)
        if not np.abs(update - expected).max(initial=0) <= _TOLERANCE * size + rounding:
            raise ValueError(
                f"optimizer: it does not move the K scores of {leaf.name!r} along one line, because it is not linear "
                "or does not treat a weight's u and a alike, so training is not exactly that of K scores"
            )
        moved = moved or bool(size > 0)
    return moved
