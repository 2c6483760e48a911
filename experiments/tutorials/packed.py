"""A network that was trained as usual is rounded to random options, packed into a ticket, and tuned on.

python -m experiments.tutorials.packed [accuracies.png]
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import slotjax

MODEL = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(10)])
OPTIONS = (4, 8, 16, 64)


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


def measured(selector: slotjax.Selector, variables: Any, split: Any) -> tuple[float, int]:
    """The accuracy of a ticket, and its bytes."""
    with tempfile.TemporaryDirectory() as directory:
        ticket = Path(directory) / "ticket"
        slotjax.save_ticket(ticket, selector, variables)
        logits: Any = MODEL.apply({"params": slotjax.load_ticket(ticket).weights}, flat(split))
        return float((logits.argmax(1) == split.labels).mean()), ticket.stat().st_size


def draw(path: str, learned: float, rounded: list[float], tuned: list[float]) -> None:
    """Draws accuracies over the bits of a connection."""
    picture = Figure(figsize=(5, 3.2), layout="constrained")
    axes = picture.subplots()
    axes.axhline(100 * learned, color="black", linestyle="--", label="learned weights, 32 bits")
    bits = np.log2(OPTIONS)
    axes.plot(bits, 100 * np.array(rounded), color="#D55E00", marker="s", linestyle="-.", label="rounded")
    axes.plot(bits, 100 * np.array(tuned), color="#0072B2", marker="o", label="rounded, then tuned")
    axes.set(xlabel="bits per connection", ylabel="Test accuracy (%)", xticks=bits)
    axes.grid(alpha=0.3)
    axes.legend()
    picture.savefig(path, dpi=100)


def main(steps: int = 300, picture: str | None = None) -> list[float]:
    """Gives the test accuracies of the trained network, and of what is tuned from its roundings."""
    digits = slotjax.data.load("mnist_sample")
    learned = slotjax.learned()
    trained = train(learned, MODEL.init(jax.random.key(0), flat(digits.test)[:1])["params"], digits.train, steps)
    weights, (accuracy, size) = learned.select(trained), measured(learned, trained, digits.test)
    print(f"learned weights: test accuracy {accuracy:.2%}, a ticket of {size:,} bytes")
    rounded, tuned = [], []
    for k in OPTIONS:
        given = slotjax.slot_machine(k=k, initial="given")
        rounded.append(measured(given, given.init(jax.random.key(1), weights), digits.test)[0])
        final, size = measured(given, train(given, weights, digits.train, steps), digits.test)
        tuned.append(final)
        print(f"K = {k}: rounded {rounded[-1]:.2%}, then tuned {final:.2%}, a ticket of {size:,} bytes")
    if picture:
        draw(picture, accuracy, rounded, tuned)
    return [accuracy, *tuned]


if __name__ == "__main__":
    main(picture=next(iter(sys.argv[1:]), None))
