"""A way of choosing of one's own: the larger of two options where the score is positive, and the smaller elsewhere."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

import slotjax
from slotjax.options import Codebook, Source, at_least_float32, dtype_of, own_options
from slotjax.selectors import Weight, default_where, make_selector


@dataclasses.dataclass(frozen=True)
class Larger:
    """Two options per connection, of which a positive score selects the larger one."""

    source: Source
    name: ClassVar[str] = "larger"

    def init(self, key: jax.Array, leaf: Any) -> tuple[Any, Any]:
        """What trains, from the weight that is given, and what is frozen."""
        return jnp.asarray(leaf, at_least_float32(dtype_of(leaf))), self.source.init(key, leaf)

    def choose(self, weight: Weight, key: Any) -> jax.Array:
        """Which of the two."""
        first, second = self._options(weight)
        return ((weight.trainable > 0) == (second > first)).astype(jnp.int32)

    def value(self, weight: Weight, key: Any) -> jax.Array:
        """Exactly that one; a score has the gradient of its weight."""
        score = weight.trainable
        chosen = self.codebook(weight).options.at(self.choose(weight, key))
        return chosen + (score - jax.lax.stop_gradient(score)).astype(chosen.dtype)

    def scores(self, weight: Weight) -> jax.Array:
        """What is compared."""
        return weight.trainable

    def codebook(self, weight: Weight) -> Codebook:
        """What the indices stand for."""
        return Codebook(self.source.options(weight.frozen, like=weight.trainable))

    def _options(self, weight: Weight) -> tuple[jax.Array, jax.Array]:
        options = self.codebook(weight).options
        return options.numbered(0), options.numbered(1)


def main(steps: int = 300) -> float:
    """Trains a network on handwritten digits with it, and gives the test accuracy."""
    digits = slotjax.data.load("mnist_sample")
    images, test_images = (split.images.reshape(-1, 784).astype(np.float32) / 255 for split in (digits[0], digits[2]))
    selector = make_selector(Larger(own_options("seeded", 2, None)), default_where(None))
    random = np.random.default_rng(0)
    kernels = [random.normal(0, (2 / rows) ** 0.5, (rows, columns)) for rows, columns in ((784, 128), (128, 10))]
    variables = selector.init(jax.random.key(0), [kernel.astype(np.float32) for kernel in kernels])
    scores, frozen, optimizer = variables["params"], variables["frozen"], optax.adam(2e-3)

    @jax.jit
    def logits(scores, images):
        first, second = selector.select({"params": scores, "frozen": frozen})
        return jax.nn.relu(images @ first) @ second

    def loss(scores, images, labels):
        return optax.softmax_cross_entropy_with_integer_labels(logits(scores, images), labels).mean()

    @jax.jit
    def step(scores, state, images, labels):
        updates, state = optimizer.update(jax.grad(loss)(scores, images, labels), state)
        return optax.apply_updates(scores, updates), state

    state = optimizer.init(scores)
    for _ in range(steps):
        batch = random.integers(0, len(images), 64)
        scores, state = step(scores, state, images[batch], digits.train.labels[batch])
    accuracy = float((logits(scores, test_images).argmax(1) == digits.test.labels).mean())
    print(f"test accuracy {accuracy:.2%} with two options per connection")
    return accuracy


if __name__ == "__main__":
    main()
