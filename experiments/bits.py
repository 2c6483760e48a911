"""Memory and time of networks that run from their bits, against plain inference with weights.

    python -m experiments.bits                                     LeNet and CONV-2: two minutes on two CPU cores
    python -m experiments.bits --networks=cifar_resnet18 --ks=8 --batches=1

The two take turns in one process; times are medians.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from jaxtyping import PyTree

import slotjax
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.program import one_sentence, prepare, start
from experiments.running.components import Inputs, Network, draw, network
from experiments.running.failure import RunError, named_lack_of_memory
from slotjax import models
from slotjax.tickets import from_bits

IMAGES = Inputs((32, 32, 3), "float32", 10)
INPUTS = {"lenet": Inputs((28, 28, 1), "float32", 10), "char_transformer": Inputs((128,), "uint8", 256)}
DISTRIBUTION = slotjax.distributions.glorot_uniform()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_list("networks", "lenet,conv2", "As --model of experiments.train.", flag_values=values)
    flags.DEFINE_list("ks", "8,64", "Options per connection.", flag_values=values)
    flags.DEFINE_list("batches", "1,128", "Images at a time.", flag_values=values)
    flags.DEFINE_integer("rounds", 9, "Turns of each.", 1, 2**31 - 1, flag_values=values)


def compare(name: str, k: int, batch: int, rounds: int) -> str:
    """One line: what each takes of memory, and per image of time."""
    inputs = INPUTS.get(name, IMAGES)
    built = network(resolve(Request(model=name)), inputs)
    ticket, images = _ticket(built, k), jnp.ones((batch, *inputs.image_shape), inputs.dtype)

    def logits(weights: PyTree, images: jax.Array) -> jax.Array:
        return built.apply(weights, built.batch_stats, images)[0]

    ways: dict[str, tuple[Any, PyTree]] = {
        "weights": (logits, ticket.weights),
        "bits": (from_bits(logits), ticket.packed),
    }
    programs = {way: jax.jit(function).lower(held, images).compile() for way, (function, held) in ways.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program(ways[way][1], images))
            seconds[way].append(time.perf_counter() - start)
    ms = {way: 1000 * statistics.median(taken[1:]) / batch for way, taken in seconds.items()}
    held = {way: sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for way, (_, tree) in ways.items()}
    analyses: dict[str, Any] = {way: program.memory_analysis() for way, program in programs.items()}
    temporary = {way: analysis.temp_size_in_bytes for way, analysis in analyses.items()}
    largest = max(leaf.nbytes for leaf in jax.tree.leaves(ticket.weights))
    said = [f"{way} {held[way]:,} + {temporary[way]:,} bytes, {ms[way]:.3f} ms per image" for way in ways]
    said += [f"x {ms['bits'] / ms['weights']:.2f}", f"largest weight {largest:,} bytes"]
    return f"{name}, K = {k}, batch {batch}: {'; '.join(said)}"


def _ticket(built: Network, k: int) -> slotjax.tickets.Ticket:
    selector = slotjax.slot_machine(k, distribution=DISTRIBUTION)
    variables = draw(selector, jax.random.key(0), built.shapes)
    with tempfile.TemporaryDirectory() as directory:
        slotjax.save_ticket(Path(directory) / "ticket", selector, variables)
        return slotjax.load_ticket(Path(directory) / "ticket")


def _numbers(values: flags.FlagValues, name: str, least: int) -> list[int]:
    given: list[str] = values[name].value or []
    if not all(one.isdecimal() and int(one) >= least for one in given):
        raise ValueError(f"--{name}: {','.join(given)!r} was given, but it must be numbers from {least}")
    return [int(one) for one in given]


def main(arguments: list[str]) -> None:
    """Prints one line per network, K and batch."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError, RunError):
        ks, batches = _numbers(values, "ks", 1), _numbers(values, "batches", 1)
        networks: list[str] = values["networks"].value or []
        unknown = sorted(set(networks) - set(models.MODELS))
        if unknown:
            raise ValueError(f"--networks: {unknown} was given, but they must be of {', '.join(models.MODELS)}")
        for name in networks:
            for k in ks:
                for batch in batches:
                    with named_lack_of_memory("--batches: running", "a smaller one may help"):
                        print(compare(name, k, batch, values.rounds), flush=True)


if __name__ == "__main__":
    define_flags()
    start(main)
