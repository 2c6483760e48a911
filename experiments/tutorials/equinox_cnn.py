"""An Equinox network trains by selecting its weights: its arrays are a pytree, which is all that a selector needs."""

import tempfile

import equinox as eqx
import jax
import numpy as np
import optax

import slotjax


class Cnn(eqx.Module):
    """An ordinary network, which knows nothing of selection."""

    layers: list

    def __init__(self, key: jax.Array) -> None:
        first, second, last = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(1, 16, 5, stride=2, key=first),
            eqx.nn.Conv2d(16, 32, 3, stride=2, key=second),
            eqx.nn.Linear(32 * 5 * 5, 10, key=last),
        ]

    def __call__(self, image: jax.Array) -> jax.Array:
        """The logits of one image."""
        for layer in self.layers[:-1]:
            image = jax.nn.relu(layer(image))
        return self.layers[-1](image.reshape(-1))


def main(steps: int = 300) -> float:
    """Trains on handwritten digits, and gives the test accuracy of a ticket."""
    digits = slotjax.data.load("mnist_sample")
    images, test_images = (
        split.images.reshape(-1, 1, 28, 28).astype(np.float32) / 255 for split in (digits[0], digits[2])
    )
    arrays, rest = eqx.partition(Cnn(jax.random.key(0)), eqx.is_array)
    selector = slotjax.slot_machine(k=8)
    variables = selector.init(jax.random.key(1), arrays)
    scores, frozen = variables["params"], variables["frozen"]
    optimizer = optax.adam(2e-3)

    @jax.jit
    def logits(weights, images):
        return jax.vmap(eqx.combine(weights, rest))(images)

    def loss(scores, images, labels):
        weights = selector.select({"params": scores, "frozen": frozen})
        return optax.softmax_cross_entropy_with_integer_labels(logits(weights, images), labels).mean()

    @jax.jit
    def step(scores, state, images, labels):
        updates, state = optimizer.update(jax.grad(loss)(scores, images, labels), state)
        return optax.apply_updates(scores, updates), state

    state, random = optimizer.init(scores), np.random.default_rng(0)
    for _ in range(steps):
        batch = random.integers(0, len(images), 64)
        scores, state = step(scores, state, images[batch], digits.train.labels[batch])
    with tempfile.TemporaryDirectory() as directory:
        slotjax.save_ticket(f"{directory}/cnn.ticket", selector, {"params": scores, "frozen": frozen})
        weights = slotjax.load_ticket(f"{directory}/cnn.ticket", like=arrays).weights
    accuracy = float((logits(weights, test_images).argmax(1) == digits.test.labels).mean())
    print(f"test accuracy {accuracy:.2%} from a ticket of a seed and 3 bits per connection")
    return accuracy


if __name__ == "__main__":
    main()
