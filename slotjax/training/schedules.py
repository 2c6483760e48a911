"""Learning rate schedules, as functions of the number of optimizer steps."""

from collections.abc import Sequence

import optax

SCHEDULES = ("constant", "cosine", "warm_restarts")


def learning_rate_schedule(
    name: str,
    learning_rate: float,
    epochs: int | float,
    steps_per_epoch: int,
    restarts: Sequence[int] = (25, 75),
    warmup_epochs: int | float = 0,
) -> optax.Schedule:
    """The learning rate at each step.

    Args:
        name: `"constant"`; `"cosine"`, from `learning_rate` to 0 over all epochs; `"warm_restarts"`, the same from each
            restart to the next (Loshchilov & Hutter, 2017), the last cycle ending with the last epoch.
        learning_rate: the rate at the start and after each restart.
        epochs: length of the training in epochs.
        steps_per_epoch: optimizer steps per epoch.
        restarts: epochs at which the rate restarts, ascending; those past the last epoch do not happen.
        warmup_epochs: epochs, or a part of one, at the start in which the rate rises linearly from 0 to
            `learning_rate`; the rest of the schedule, with its restarts, takes place after them.

    Raises:
        ValueError: for an unknown name, or if there are fewer epochs than those of the warm-up.

    Implements the schedule of section 4.1 of Aladago & Torresani (2021).

    >>> schedule = training.learning_rate_schedule("warm_restarts", 0.2, epochs=50, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 125, 249, 250, 500)]
    [0.2, 0.1, 0.0, 0.2, 0.0]
    """
    if name not in SCHEDULES:
        raise ValueError(f"schedule: {name!r} was given, but it must be one of {', '.join(SCHEDULES)}")
    if warmup_epochs >= epochs:
        raise ValueError(f"warmup_epochs: {warmup_epochs} was given, but it must be less than the {epochs} epochs")
    if steps := round(warmup_epochs * steps_per_epoch):
        rise = optax.linear_schedule(0.0, learning_rate, steps)
        rest = learning_rate_schedule(name, learning_rate, epochs - warmup_epochs, steps_per_epoch, restarts)
        return optax.join_schedules([rise, rest], [steps])
    if name == "constant":
        return optax.constant_schedule(learning_rate)
    if name == "cosine":
        restarts = ()
    starts = [0, *(epoch for epoch in restarts if epoch < epochs)]
    ends = [*starts[1:], epochs]
    cycles = [
        optax.cosine_decay_schedule(learning_rate, round((end - start) * steps_per_epoch))
        for start, end in zip(starts, ends, strict=True)
    ]
    return optax.join_schedules(cycles, [start * steps_per_epoch for start in starts[1:]])
