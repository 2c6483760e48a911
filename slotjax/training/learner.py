"""What learns: the model, how its weights are chosen, what updates the scores, and what counts as good."""

from dataclasses import dataclass

from slotjax.selectors import Optimizer, Selector
from slotjax.training.apply import Apply
from slotjax.training.loss import Correct, Loss, correct_predictions, cross_entropy


@dataclass(frozen=True, kw_only=True)
class Learner:
    """All that the compiled functions of training need to know, but for devices and data.

    Attributes:
        apply: the unmodified model, as a function of weights, batch statistics, images and a key
            (`slotjax.training.linen_apply`).
        selector: how weights are chosen.
        optimizer: what updates the trainable part of the variables.
        loss: `loss(logits, labels)`, one loss per example, `(batch,)`, or several, `(batch, ...)`, such as one for each
            token, which are averaged. Logits are what `apply` returns and labels those of the batch, either of them an
            array or a tree of arrays. Default: `cross_entropy`.
        evaluation_loss: the loss that validation and test report. Default: `loss`.
        correct: `correct(logits, labels)`, which predictions are correct, of shape `(batch,)` or `(batch, ...)`; of an
            example with several, accuracy counts the share. Default: `correct_predictions`.

    >>> from functools import partial
    >>> learner = training.Learner(
    ...     apply=lambda weights, batch_stats, images, key=None: (images @ weights, batch_stats),
    ...     selector=slotjax.slot_machine(k=2),
    ...     optimizer=training.sgd(0.2),
    ...     loss=partial(training.cross_entropy, label_smoothing=0.1),
    ...     evaluation_loss=training.cross_entropy,
    ... )
    >>> variables = learner.selector.init(jax.random.key(0), jnp.array([[1.0, -1.0], [0.5, -0.5], [2.0, -2.0]]))
    >>> state = training.init_state(jax.random.key(1), variables["params"], learner.optimizer)
    >>> step = jax.jit(training.train_step(learner))
    >>> batch = slotjax.data.Split(jnp.ones((8, 3)), jnp.zeros(8, jnp.int32))
    >>> state, (loss, correct) = step(state, variables["frozen"], batch)
    >>> int(state.step)
    1
    """

    apply: Apply
    selector: Selector
    optimizer: Optimizer
    loss: Loss = cross_entropy
    evaluation_loss: Loss | None = None
    correct: Correct = correct_predictions
