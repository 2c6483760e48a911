"""A Linen network trains by selecting its weights: one call makes a module of scores and frozen values of it."""

import flax.linen as nn
import jax
import numpy as np
import optax

import slotjax


class Cnn(nn.Module):
    """An ordinary network, which knows nothing of selection."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """The logits."""
        hidden = nn.relu(nn.Conv(16, (5, 5), strides=2)(images))
        hidden = nn.relu(nn.Conv(32, (3, 3), strides=2)(hidden))
        return nn.Dense(10)(hidden.reshape(len(images), -1))


def main(steps: int = 300) -> float:
    """Trains on handwritten digits, and gives the test accuracy."""
    digits = slotjax.data.load("mnist_sample")
    images, test_images = (split.images.astype(np.float32) / 255 for split in (digits.train, digits.test))
    model = slotjax.linen.Selected(Cnn(), slotjax.slot_machine(k=8))
    variables = model.init(jax.random.key(0), images[:1])
    scores, frozen = variables["params"], variables["frozen"]
    optimizer = optax.adam(2e-3)

    def loss(scores, images, labels):
        logits = model.apply({"params": scores, "frozen": frozen}, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(scores, state, images, labels):
        updates, state = optimizer.update(jax.grad(loss)(scores, images, labels), state)
        return optax.apply_updates(scores, updates), state

    state, random = optimizer.init(scores), np.random.default_rng(0)
    for _ in range(steps):
        batch = random.integers(0, len(images), 64)
        scores, state = step(scores, state, images[batch], digits.train.labels[batch])
    logits = jax.jit(model.apply)({"params": scores, "frozen": frozen}, test_images)
    accuracy = float((logits.argmax(1) == digits.test.labels).mean())
    print(f"test accuracy {accuracy:.2%} with weights that are all as they were drawn")
    return accuracy


if __name__ == "__main__":
    main()
