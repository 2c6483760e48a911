"""An NNX network with batch norm trains by selecting its weights; NNX's own optimizer trains the scores."""

import jax
import numpy as np
import optax
from flax import nnx

import slotjax


class Mlp(nnx.Module):
    """An ordinary network, which knows nothing of selection."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.second = nnx.Linear(784, 128, rngs=rngs), nnx.Linear(128, 10, rngs=rngs)
        self.norm = nnx.BatchNorm(128, momentum=0.9, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """The logits."""
        return self.second(nnx.relu(self.norm(self.first(images))))


def loss(model: nnx.Module, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross-entropy of a batch."""
    return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()


@nnx.jit
def step(model: nnx.Module, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array) -> None:
    """One step of training, which changes the model's scores and its batch statistics."""
    optimizer.update(model, nnx.grad(loss)(model, images, labels))


def main(steps: int = 300) -> float:
    """Trains on handwritten digits, and gives the test accuracy."""
    digits = slotjax.data.load("mnist_sample")
    images, test_images = (split.images.reshape(-1, 784).astype(np.float32) / 255 for split in (digits[0], digits[2]))
    model = slotjax.nnx.Selected(Mlp(nnx.Rngs(0)), slotjax.slot_machine(k=8), jax.random.key(0))
    optimizer = nnx.Optimizer(model, optax.adam(2e-3), wrt=nnx.Param)
    random = np.random.default_rng(0)
    for _ in range(steps):
        batch = random.integers(0, len(images), 64)
        step(model, optimizer, images[batch], digits.train.labels[batch])
    plain = model.weights()  # an Mlp again, with the selected weights
    plain.eval()
    accuracy = float((plain(test_images).argmax(1) == digits.test.labels).mean())
    print(f"test accuracy {accuracy:.2%} with kernels whose values are all as they were drawn")
    return accuracy


if __name__ == "__main__":
    main()
