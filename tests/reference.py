"""The papers' equations, transcribed into NumPy."""

import numpy as np


def softmax(scores):
    exponentials = np.exp(scores - scores.max(0))
    return exponentials / exponentials.sum(0)


def greedy(scores):
    return np.argmax(scores, 0)


def probabilistic(scores, uniform):
    """Inverse of the cumulative distribution over the options in index order, clipped to the last option."""
    return np.minimum((uniform >= np.cumsum(softmax(scores), 0)).sum(0), len(scores) - 1)


def selected(options, index):
    return np.take_along_axis(options, index[None], 0)[0]


def score_gradients(options, weight_gradient):
    """Eq. 3: dL/ds_k = dL/dW * W_k for every k."""
    return weight_gradient * options


def convolution(images, kernel):
    """Cross-correlation without padding, one output position at a time."""
    height, width = kernel.shape[:2]
    rows, columns = images.shape[1] - height + 1, images.shape[2] - width + 1
    output = np.empty((len(images), rows, columns, kernel.shape[-1]))
    for row in range(rows):
        for column in range(columns):
            patch = images[:, row : row + height, column : column + width]
            output[:, row, column] = np.tensordot(patch, kernel, 3)
    return output


def convolution_gradient(images, output_gradient, shape):
    """Gradient of the kernel of `convolution`."""
    gradient = np.zeros(shape)
    height, width = shape[:2]
    for row in range(output_gradient.shape[1]):
        for column in range(output_gradient.shape[2]):
            patch = images[:, row : row + height, column : column + width]
            gradient += np.tensordot(patch, output_gradient[:, row, column], ([0], [0]))
    return gradient


def random_bits(seed, k, shape):
    """The counter-based generator, one option and one connection at a time, in Python's integers."""
    bits = np.empty((k, int(np.prod(shape))), np.uint32)
    for option in range(k):
        multiplier, increment = (
            mix(mix((2 * option + word + 0x9E3779B9) % 2**32 ^ seed[1]) + seed[0]) for word in (0, 1)
        )
        for connection in range(bits.shape[1]):
            word = (mix(mix(connection ^ seed[0]) ^ seed[1]) * (multiplier | 1) + increment) % 2**32
            bits[option, connection] = (word ^ word >> 15) * 0x846CA68B % 2**32
    return bits.reshape(k, *shape)


def mix(word):
    word %= 2**32
    word = (word ^ word >> 16) * 0x7FEB352D % 2**32
    word = (word ^ word >> 15) * 0x846CA68B % 2**32
    return word ^ word >> 16


def top_fraction(scores, fraction):
    """The mask of the largest magnitudes, by a stable sort."""
    order = np.argsort(-np.abs(scores).ravel(), kind="stable")
    mask = np.zeros(scores.size, bool)
    mask[order[: scores.size - int((1 - fraction) * scores.size)]] = True
    return mask.reshape(scores.shape)
