"""Images that can be learned, for runs that last a few epochs."""

import numpy as np


def write_patterns(path):
    """An npz file of 800 images of ten classes: each class is one pattern with noise."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 200, (10, 28, 28))
    labels = np.arange(800) % 10
    images = (patterns[labels] + random.integers(0, 56, (800, 28, 28))).astype(np.uint8)
    np.savez(path, x_train=images, y_train=labels)
