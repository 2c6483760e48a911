"""One training step: select, forward, backward, update."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from slotjax.data import Split
from slotjax.selectors import Optimizer, Selector
from slotjax.training.apply import Apply
from slotjax.training.loss import loss_and_correct
from slotjax.training.state import TrainState

_STREAMS = ("shuffle", "select", "apply")
Outcome = tuple[Float[Array, ""], Int[Array, ""]]
Step = Callable[..., tuple[TrainState, Outcome]]


def train_step(apply: Apply, selector: Selector, optimizer: Optimizer, label_smoothing: float = 0.0) -> Step:
    """The function of one step: `step(state, frozen, batch, valid=None) -> (state, (loss, correct))`.

    Args:
        apply: the unmodified model.
        selector: how weights are chosen.
        optimizer: what updates the trainable part of the variables.
        label_smoothing: the share of each label's probability that is spread over all classes.

    Returns:
        A pure function, to be called within a compiled one. `loss` is the mean over the examples that are `valid`, all
        unless given, in nats, 0 without any; `correct` is their number of right predictions.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> selector, optimizer = slotjax.slot_machine(k=2), training.sgd(0.2)
    >>> variables = selector.init(jax.random.key(0), jnp.zeros((3, 2)))
    >>> state = training.init_state(jax.random.key(1), variables["params"], optimizer)
    >>> batch = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> step = jax.jit(training.train_step(apply, selector, optimizer))
    >>> state, (loss, correct) = step(state, variables["frozen"], batch)
    >>> int(state.step), loss.shape
    (1, ())
    """

    def loss(
        params: PyTree, frozen: PyTree, state: TrainState, batch: Split, valid: Bool[Array, " batch"] | None
    ) -> tuple[Float[Array, ""], tuple[Int[Array, ""], PyTree]]:
        weights = selector.select({"params": params, "frozen": frozen}, stream(state.key, "select", state.step))
        key = stream(state.key, "apply", state.step)
        logits, batch_stats = apply(weights, state.batch_stats, batch.images, key)
        losses, correct = loss_and_correct(logits, jnp.asarray(batch.labels), label_smoothing)
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
        return _update(optimizer, state, gradient)._replace(batch_stats=batch_stats), (value, correct)

    return step


def stream(key: PRNGKeyArray, name: str, count: Int[Array, ""]) -> PRNGKeyArray:
    """The key of one use of randomness at one time: `"shuffle"` by epoch, `"select"` and `"apply"` by step."""
    return jax.random.fold_in(jax.random.fold_in(key, _STREAMS.index(name)), count)


def _update(optimizer: Optimizer, state: TrainState, gradient: PyTree) -> TrainState:
    # Optax relies on JAX's standard promotion of dtypes; all else here works under the strict one.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    return state._replace(step=state.step + 1, params=params, opt_state=opt_state)
