"""What a trained network weighs as a file, and what ordinary quantization of learned weights makes of its loss."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from experiments.export import export
from experiments.running.components import load_source, network
from experiments.running.numbers import number
from experiments.running.records import Summary, read
from experiments.running.trained import load_trained
from slotjax import training
from slotjax.selectors import matrices_and_kernels, named_leaves

BITS = (3, 4, 6, 8)
BLOCK = 32  # values with one scale, of 16 bits


def sizes(workdir: Path, epochs: tuple[int, ...]) -> dict[str, int]:
    """The bytes of a ticket of the last of these epochs, and of all parameters in float32."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ticket"
        export(workdir, path, epochs[-1])
        ticket = path.stat().st_size
    return {"ticket": ticket, "float32": 4 * read(workdir / "summary.json", Summary)["parameters"]}


def quantized(workdir: Path, epochs: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Test losses and bytes of learned weights of the last of these epochs, rounded to so many bits; else none.

    Kernels and embeddings are rounded, as `rounded` has it; `"16"` is bfloat16. All else is counted in float32.
    """
    if (workdir / "frozen").exists():
        return {}
    trained = load_trained(workdir, epochs[-1])
    weights = trained.variables["params"]
    test = jax.tree.map(jnp.asarray, load_source(trained.settings, None).test)
    apply, mesh = network(trained.settings, trained.inputs).apply, training.data_mesh(jax.devices()[:1])
    measure = jax.jit(lambda weights: training.evaluate(apply, weights, trained.batch_stats, test, mesh)["loss"])
    return {
        str(bits): {"loss": number(measure(rounded(weights, bits))), "bytes": float(bytes_of(weights, bits))}
        for bits in (*BITS, 16)
    }


def rounded(weights: PyTree, bits: int) -> PyTree:
    """Matrices and kernels rounded to the nearest of 2^bits - 1 values, evenly spaced about 0; all else as it is.

    32 values, one after another in memory, have one spacing, in float16, by which the greatest of them is met. 16 bits
    are bfloat16.

    >>> print(rounded({"kernel": jnp.array([[1.0], [0.4]])}, 2)["kernel"].ravel())
    [1. 0.]
    """
    return _of_matrices(lambda leaf: _rounded(leaf, bits), weights)


def bytes_of(weights: PyTree, bits: int) -> int:
    """The bytes of rounded weights, with the spacings of the blocks.

    >>> bytes_of({"kernel": jnp.zeros((8, 8)), "bias": jnp.zeros(2)}, 4)
    44
    """
    matrices = [leaf for name, leaf in named_leaves(weights).items() if matrices_and_kernels(name, leaf)]
    rest = sum(leaf.size for leaf in jax.tree.leaves(weights)) - sum(leaf.size for leaf in matrices)
    spacings = 0 if bits == 16 else sum(-(-leaf.size // BLOCK) for leaf in matrices)
    return sum(-(-leaf.size * bits // 8) for leaf in matrices) + 2 * spacings + 4 * rest


def _of_matrices(function: Callable[[Any], Any], weights: PyTree) -> PyTree:
    names = iter(named_leaves(weights))
    return jax.tree.map(lambda leaf: function(leaf) if matrices_and_kernels(next(names), leaf) else leaf, weights)


def _rounded(weight: Float[Array, "*shape"], bits: int) -> Float[Array, "*shape"]:
    if bits == 16:
        return weight.astype(jnp.bfloat16).astype(weight.dtype)
    blocks = jnp.pad(weight.ravel(), (0, -weight.size % BLOCK)).reshape(-1, BLOCK)
    spacing = jnp.abs(blocks).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    spacing = jnp.maximum(spacing.astype(jnp.float16).astype(weight.dtype), 1e-7)  # where all of a block is 0
    return (jnp.round(blocks / spacing) * spacing).ravel()[: weight.size].reshape(weight.shape)
