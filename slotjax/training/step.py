"""One training step: select, forward, backward, update."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from slotjax.data import Split
from slotjax.selectors import Optimizer, hold_shares, is_factorable, random_values
from slotjax.training.learner import Learner
from slotjax.training.loss import losses_and_correct
from slotjax.training.state import TrainState

Use = Literal["shuffle", "select", "apply"]
Outcome = tuple[Float[Array, ""], Float[Array, ""]]
Step = Callable[..., tuple[TrainState, Outcome]]


def train_step(learner: Learner) -> Step:
    """The function of one step: `step(state, frozen, batch, valid=None) -> (state, (loss, correct))`.

    With an optimizer that is not linear, the scalars `a` of factored scores stay as they are
    (`slotjax.check_factorable`).

    Args:
        learner: what learns.

    Returns:
        A pure function, to be called within a compiled one. `batch` is a `Split`, whose arrays have the examples as
        their first dimension. `valid` is `(batch,)`, `bool`, by default True everywhere. `loss` is the mean over the
        examples that are valid, 0 without any; `correct` is how many of them are predicted correctly.

    Raises:
        ValueError: when called, if a function of the learner's does not fit logits and labels.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> learner = training.Learner(apply=apply, selector=slotjax.slot_machine(k=2), optimizer=training.sgd(0.2))
    >>> variables = learner.selector.init(jax.random.key(0), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    >>> state = training.init_state(jax.random.key(1), variables["params"], learner.optimizer)
    >>> batch = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> step = jax.jit(training.train_step(learner))
    >>> state, (loss, correct) = step(state, variables["frozen"], batch)
    >>> int(state.step), loss.shape
    (1, ())
    """

    def loss(
        params: PyTree, frozen: PyTree, state: TrainState, batch: Split, valid: Bool[Array, " batch"] | None
    ) -> tuple[Float[Array, ""], tuple[Float[Array, ""], PyTree]]:
        variables = {"params": params, "frozen": frozen}
        weights = learner.selector.select(variables, key_for(state.key, "select", state.step))
        key = key_for(state.key, "apply", state.step)
        logits, batch_stats = learner.apply(weights, state.batch_stats, batch.images, key)
        labels = jax.tree.map(jnp.asarray, batch.labels)
        losses, correct = losses_and_correct(learner.loss, learner.correct, logits, labels)
        if valid is None:
            return losses.mean(), (correct.sum(), batch_stats)
        examples = jnp.maximum(valid.sum(dtype=jnp.int32), 1).astype(losses.dtype)
        return losses.sum(where=valid) / examples, (correct.sum(where=valid), batch_stats)

    def step(
        state: TrainState, frozen: PyTree, batch: Split, valid: Bool[Array, " batch"] | None = None
    ) -> tuple[TrainState, Outcome]:
        (value, (correct, batch_stats)), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params, frozen, state, batch, valid
        )
        return _update(learner.optimizer, state, gradient, frozen)._replace(batch_stats=batch_stats), (value, correct)

    return step


def key_for(key: PRNGKeyArray, use: Use, time: Int[Array, ""]) -> PRNGKeyArray:
    """The key for one use of randomness at one time: `"shuffle"` by epoch, `"select"` and `"apply"` by step."""
    return jax.random.fold_in(jax.random.fold_in(key, get_args(Use).index(use)), time)


def _update(optimizer: Optimizer, state: TrainState, gradient: PyTree, frozen: PyTree) -> TrainState:
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    # Elsewhere `a` counts for nothing, and the trial of the optimizer would only take time.
    exact = any(drawn.made.get("exact", True) for drawn in random_values(frozen).values())
    if exact and not is_factorable(optimizer, state.params):
        params = hold_shares(params, state.params)
    return state._replace(step=state.step + 1, params=params, opt_state=opt_state)
