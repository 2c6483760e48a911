"""A Linen network trains by selecting its weights: one call makes a module of scores and frozen values of it.

python -m experiments.tutorials.linen_cnn [filters.png]
"""

import sys

import flax.linen as nn
import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import slotjax


class Cnn(nn.Module):
    """An ordinary network, which knows nothing of selection."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """The logits."""
        hidden = nn.relu(nn.Conv(16, (5, 5), strides=2)(images))
        hidden = nn.relu(nn.Conv(32, (3, 3), strides=2)(hidden))
        return nn.Dense(10)(hidden.reshape(len(images), -1))


def draw(path: str, **kernels: jax.Array) -> None:
    """Draws the filters of some convolutions, a row for each."""
    picture = Figure(figsize=(9, 1.6), layout="constrained")
    grid = picture.subplots(len(kernels), 16)
    for (name, kernel), row in zip(kernels.items(), grid, strict=True):
        for axes, values in zip(row, np.moveaxis(np.asarray(kernel)[:, :, 0], -1, 0), strict=True):
            axes.imshow(values, cmap="gray", vmin=-0.35, vmax=0.35)
            axes.set_xticks([])
            axes.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    picture.savefig(path, dpi=100)


def main(steps: int = 300, picture: str | None = None) -> float:
    """Trains on handwritten digits, and gives the test accuracy."""
    digits = slotjax.data.load("mnist_sample")
    images, test_images = (split.images.astype(np.float32) / 255 for split in (digits.train, digits.test))
    selector = slotjax.slot_machine(k=8)
    model = slotjax.linen.Selected(Cnn(), selector)
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
    print(f"test accuracy {accuracy:.2%} with kernels whose values are all as they were drawn")
    if picture:
        before, after = (selector.select({"params": one, "frozen": frozen}) for one in (variables["params"], scores))
        draw(picture, untrained=before["Conv_0"]["kernel"], trained=after["Conv_0"]["kernel"])
    return accuracy


if __name__ == "__main__":
    main(picture=next(iter(sys.argv[1:]), None))
