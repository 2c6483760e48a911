"""Training on a stream of batches: one compiled call per step, with sums that stay on the devices."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, PyTree

from slotjax.data import Split
from slotjax.training.apply import Apply
from slotjax.training.learner import Learner
from slotjax.training.loss import Correct, Loss, correct_predictions, cross_entropy, losses_and_correct
from slotjax.training.state import TrainState
from slotjax.training.step import train_step
from slotjax.training.sums import Sums, add_sums

StreamStep = Callable[
    [TrainState, Sums, PyTree, Split, Bool[Array, " batch"]], tuple[TrainState, Sums, Float[Array, ""]]
]
BatchEvaluation = Callable[[Sums, PyTree, PyTree, Split, Bool[Array, " batch"]], Sums]


def compile_stream_step(learner: Learner, mesh: Mesh, state_shardings: PyTree | None = None) -> StreamStep:
    """The jitted function of one step on one batch of a stream.

    Args:
        learner: what learns.
        mesh: the devices; batches are sharded over them, all else is replicated.
        state_shardings: how the state is split over the devices (`shardings`). Default: it is replicated.

    Returns:
        `step(state, sums, frozen, batch, valid) -> (state, sums, loss)`. It donates `state` and `sums`. Examples that
        are not `valid`, `(batch,)`, `bool`, count for nothing, but the statistics of batch norm see their images.
        `loss` is the mean of this batch: to wait for it is to wait for the step.

    Raises:
        ValueError: when called, if a function of the learner's does not fit logits and labels.

    >>> apply = lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats)
    >>> learner = training.Learner(apply=apply, selector=slotjax.slot_machine(k=2), optimizer=training.sgd(0.2))
    >>> variables = learner.selector.init(jax.random.key(0), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    >>> state = training.init_state(jax.random.key(1), variables["params"], learner.optimizer)
    >>> step = training.compile_stream_step(learner, training.data_mesh(jax.devices()[:1]))
    >>> batch, valid = slotjax.data.Split(jnp.ones((2, 3)), jnp.zeros(2, jnp.int32)), jnp.array([True, False])
    >>> state, sums, loss = step(state, training.zero_sums(), variables["frozen"], batch, valid)
    >>> int(state.step), int(sums.examples)
    (1, 1)
    """
    one_step = train_step(learner)

    def step(state, sums, frozen, batch, valid):
        state, (loss, correct) = one_step(state, frozen, batch, valid)
        examples = valid.sum(dtype=jnp.int32)
        added = Sums(loss=loss * examples.astype(loss.dtype), correct=correct, examples=examples)
        return state, add_sums(sums, added), loss

    replicated = NamedSharding(mesh, PartitionSpec())
    state_shardings = replicated if state_shardings is None else state_shardings
    return jax.jit(step, donate_argnums=(0, 1), out_shardings=(state_shardings, replicated, replicated))


def compile_batch_evaluation(
    apply: Apply, mesh: Mesh, loss: Loss = cross_entropy, correct: Correct = correct_predictions
) -> BatchEvaluation:
    """The jitted function that adds one batch to the sums of an evaluation of given weights.

    Args:
        apply: the model, called without a key.
        mesh: the devices; batches are sharded over them, all else is replicated.
        loss: as a `Learner` has it.
        correct: as a `Learner` has it.

    Returns:
        `add(sums, weights, batch_stats, batch, valid) -> sums`. It donates `sums`.

    Raises:
        ValueError: when called, if a function does not fit logits and labels.

    >>> apply = lambda weights, batch_stats, images: (images @ weights, batch_stats)
    >>> add = training.compile_batch_evaluation(apply, training.data_mesh(jax.devices()[:1]))
    >>> batch, valid = slotjax.data.Split(jnp.ones((2, 3)), jnp.zeros(2, jnp.int32)), jnp.array([True, False])
    >>> int(add(training.zero_sums(), jnp.zeros((3, 2)), {}, batch, valid).correct)
    1
    """

    def add(sums, weights, batch_stats, batch, valid):
        logits, _ = apply(weights, batch_stats, batch.images)
        losses, is_correct = losses_and_correct(loss, correct, logits, batch.labels)
        added = Sums(
            loss=losses.sum(where=valid),
            correct=is_correct.sum(where=valid),
            examples=valid.sum(dtype=jnp.int32),
        )
        return add_sums(sums, added)

    return jax.jit(add, donate_argnums=0, out_shardings=NamedSharding(mesh, PartitionSpec()))
