"""What it costs to find the largest scores of edge-popup, against sorting them.

    python -m experiments.search                                   4 million scores: a minute on two CPU cores

The three take turns in one process; figures are medians, and ratios are to `slotjax.selection.top_fraction`.
"""

import math
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from absl import flags

import slotjax
from experiments.program import one_sentence, prepare, start
from experiments.running.failure import RunError, named_lack_of_memory

DTYPES = ("float32", "bfloat16")


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_integer("size", 4_000_000, "Number of scores.", 1, 2**31 - 1, flag_values=values)
    flags.DEFINE_float("keep_fraction", 0.5, "Share that is kept.", 0, 1, flag_values=values)
    flags.DEFINE_integer("rounds", 7, "Turns of each.", 1, 2**31 - 1, flag_values=values)


def compare(size: int, keep_fraction: float, rounds: int, dtype: str) -> dict[str, float]:
    """Median milliseconds of each way."""
    scores = jax.random.normal(jax.random.key(0), (size,), dtype)
    ways: dict[str, Callable[[jax.Array], jax.Array]] = {
        "read once": lambda scores: jnp.abs(scores).max(),
        "top_fraction": lambda scores: slotjax.selection.top_fraction(scores, keep_fraction),
        "jnp.sort": lambda scores: jnp.sort(jnp.abs(scores)),
    }
    compiled = {name: jax.jit(way) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(way(scores))
            seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(taken[1:]) for name, taken in seconds.items()}


def main(arguments: list[str]) -> None:
    """Prints one line per dtype."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError, RunError):
        if math.isnan(values.keep_fraction):  # which is within all bounds
            raise ValueError("--keep_fraction: nan was given, but it must be from 0 to 1")
        for dtype in DTYPES:
            with named_lack_of_memory("--size: searching", "a smaller one may help"):
                taken = compare(values.size, values.keep_fraction, values.rounds, dtype)
            ratios = ", ".join(f"{name} {ms:.2f} ms (x {ms / taken['top_fraction']:.2f})" for name, ms in taken.items())
            print(f"{values.size:,} scores in {dtype}: {ratios}")


if __name__ == "__main__":
    define_flags()
    start(main)
