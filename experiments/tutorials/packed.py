"""A network that was trained as usual is rounded to random options, packed into a ticket, and tuned on."""

import tempfile
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax

import slotjax

MODEL = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(10)])


def train(selector: slotjax.Selector, weights: Any, split: Any, steps: int) -> Any:
    """The variables of a selector that starts from these weights, after training."""
    variables = selector.init(jax.random.key(1), weights)
    scores, frozen, optimizer = variables["params"], variables["frozen"], optax.adam(1e-3)

    def loss(scores, images, labels):
        chosen = selector.select({"params": scores, "frozen": frozen})
        logits = MODEL.apply({"params": chosen}, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(scores, state, images, labels):
        updates, state = optimizer.update(jax.grad(loss)(scores, images, labels), state)
        return optax.apply_updates(scores, updates), state

    state, random = optimizer.init(scores), np.random.default_rng(0)
    for _ in range(steps):
        batch = random.integers(0, len(split.labels), 64)
        scores, state = step(scores, state, flat(split)[batch], split.labels[batch])
    return {"params": scores, "frozen": frozen}


def flat(split: Any) -> np.ndarray:
    """Images as vectors."""
    return split.images.reshape(len(split.labels), -1).astype(np.float32) / 255


def main(steps: int = 300) -> list[float]:
    """Gives the test accuracies of the trained network, of its rounding, and of what is tuned from there."""
    digits = slotjax.data.load("mnist_sample")
    learned, given = slotjax.learned(), slotjax.slot_machine(k=16, initial="given")
    trained = train(learned, MODEL.init(jax.random.key(0), flat(digits.test)[:1])["params"], digits.train, steps)
    weights, accuracies = learned.select(trained), []
    rounded, tuned = given.init(jax.random.key(1), weights), train(given, weights, digits.train, steps)
    for name, selector, variables in [
        ("trained", learned, trained),
        ("rounded", given, rounded),
        ("tuned", given, tuned),
    ]:
        with tempfile.TemporaryDirectory() as directory:
            ticket = Path(directory) / "ticket"
            slotjax.save_ticket(ticket, selector, variables)
            logits: Any = MODEL.apply({"params": slotjax.load_ticket(ticket).weights}, flat(digits.test))
            accuracies.append(float((logits.argmax(1) == digits.test.labels).mean()))
            print(f"{name}: test accuracy {accuracies[-1]:.2%}, a ticket of {ticket.stat().st_size:,} bytes")
    return accuracies


if __name__ == "__main__":
    main()
