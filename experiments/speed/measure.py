"""Measurements of one network with one K: all variants in turn, in one process."""

import contextlib
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import jax
from jaxtyping import PyTree

import slotjax
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.running.components import Inputs, Network, network
from slotjax import data, training
from slotjax.options import Storage
from slotjax.selectors import Scores, Selection

SLOT_MACHINES: dict[str, tuple[Scores, Storage]] = {
    "explicit": ("explicit", "stored"),
    "factored, stored": ("factored", "stored"),
    "factored, seeded": ("factored", "seeded"),
}
MASKS: dict[str, Callable[..., slotjax.Selector]] = {"edge-popup": slotjax.edge_popup, "supermask": slotjax.supermask}
DISTRIBUTION = slotjax.distributions.glorot_uniform()  # because networks give shapes, which have no scale of their own
MNIST, CIFAR = Inputs((28, 28, 1), "float32", 10), Inputs((32, 32, 3), "float32", 10)
TORCH_FORMS = ("learned", "gates", "gather")
TORCH_NETWORKS = ("lenet", "conv2", "conv4", "conv6")
BATCH, COMPILATIONS = 128, 3
SECONDS = 0.3  # the least time of a turn, after one call that warms up


class Row(NamedTuple):
    """One line of the table; ratios are to the learned network of the same turns.

    Attributes:
        network, k, variant: what was measured. Every K has its own row of learned weights, from its own turns.
        milliseconds, ratio, added: of a training step, the median; against the learned network.
        compile_seconds, compile_ratio: of tracing and compiling the loop.
        state_bytes: trainable and optimizer state per connection.
        peak_megabytes: arrays of the compiled loop, arguments, results and temporary ones, without the examples.
    """

    network: str
    k: int
    variant: str
    milliseconds: float
    ratio: float
    added: float
    compile_seconds: float | None
    compile_ratio: float | None
    state_bytes: float | None
    peak_megabytes: float | None


class Variant(NamedTuple):
    """A network in training: its loop of steps, not yet compiled, and what that changes and reads."""

    loop: Callable[..., Any]
    state: training.TrainState
    frozen: PyTree


def measure(
    name: str, k: int | None, selection: Selection, rounds: int, most_bytes: float, dtype: str = "float32"
) -> list[Row]:
    """The rows of one network and K: learned, every variant that fits into memory, and PyTorch if it is installed.

    Without a K, those of masks, which have one random weight per connection.
    """
    inputs, steps = MNIST if name == "lenet" else CIFAR, steps_of_a_call(name, jax.default_backend())
    keys = jax.random.split(jax.random.key(0), 2)
    examples = data.Split(
        jax.random.uniform(keys[0], (steps, BATCH, *inputs.image_shape)),
        jax.random.randint(keys[1], (steps, BATCH), 0, inputs.classes),
    )
    selectors = _masks() if k is None else _slot_machines(k, selection)
    variants = _variants(name, inputs, selectors, most_bytes, dtype)
    compiled, compile_seconds = _compile_in_turn(variants, examples)
    with contextlib.ExitStack() as stack:
        turns = {label: turns_of(compiled[label], variant, examples, steps) for label, variant in variants.items()}
        if k is not None and name in TORCH_NETWORKS and dtype == "float32" and importlib.util.find_spec("torch"):
            for form in TORCH_FORMS:
                turns[f"PyTorch, {form}"] = stack.enter_context(_torch(name, k, form))
        taken = take_turns(turns, rounds)
    milliseconds = {label: 1000 * statistics.median(seconds) for label, seconds in taken.items()}
    data_bytes = sum(array.nbytes for array in examples)
    connections = sum(leaf.size for leaf in jax.tree.leaves(variants["learned"].state.params))
    learned = milliseconds["learned"]
    rows = [
        Row(name, k or 1, label, value, value / learned, value - learned, None, None, None, None)
        for label, value in milliseconds.items()
    ]
    return [
        row._replace(
            compile_seconds=compile_seconds[row.variant],
            compile_ratio=compile_seconds[row.variant] / compile_seconds["learned"],
            state_bytes=_state_bytes(variants[row.variant].state) / connections,
            peak_megabytes=(_peak(compiled[row.variant]) - data_bytes) / 1e6,
        )
        if row.variant in variants
        else row
        for row in rows
    ]


def steps_of_a_call(name: str, backend: str) -> int:
    """How many steps are one compiled call: many where a step takes no longer than calling does.

    >>> steps_of_a_call("lenet", "cpu"), steps_of_a_call("conv6", "cpu"), steps_of_a_call("conv6", "gpu")
    (100, 2, 100)
    """
    return 2 if backend == "cpu" and name != "lenet" else 100


def _slot_machines(k: int, selection: Selection) -> dict[str, slotjax.Selector]:
    return {
        label: slotjax.slot_machine(k, selection, distribution=DISTRIBUTION, scores=scores, options=options)
        for label, (scores, options) in SLOT_MACHINES.items()
    }


def _masks() -> dict[str, slotjax.Selector]:
    return {
        f"{label}, {options}": make(options=options, distribution=DISTRIBUTION)
        for label, make in MASKS.items()
        for options in get_args(Storage)
    }


def _variants(
    name: str, inputs: Inputs, selectors: dict[str, slotjax.Selector], most_bytes: float, dtype: str
) -> dict[str, Variant]:
    built = network(resolve(Request(model=name, padding="SAME", dropout=0.0, compute_dtype=dtype)), inputs)
    learned = slotjax.learned(DISTRIBUTION)
    variants = {"learned": variant_of(built, learned, learned.init(jax.random.key(0), built.shapes))}
    for label, selector in selectors.items():
        abstract = jax.eval_shape(lambda selector=selector: selector.init(jax.random.key(0), built.shapes))
        # Trainable, momentum, gradient and a result before the old state is given up.
        if 4 * _nbytes(abstract["params"]) + _nbytes(abstract["frozen"]) <= most_bytes:
            variants[label] = variant_of(built, selector, selector.init(jax.random.key(0), built.shapes))
    return variants


def variant_of(built: Network, selector: slotjax.Selector, variables: dict[str, PyTree]) -> Variant:
    """The network in training, with variables that the selector's `init` gave."""
    learner = training.Learner(apply=built.apply, selector=selector, optimizer=training.sgd(0.1, 0.9, 1e-4))
    step = training.train_step(learner)

    def loop(state, frozen, examples):
        return jax.lax.scan(lambda state, batch: step(state, frozen, batch), state, examples)[0]

    state = training.init_state(jax.random.key(0), variables["params"], learner.optimizer, built.batch_stats)
    return Variant(loop, state, variables["frozen"])


def _compile_in_turn(variants: dict[str, Variant], examples: PyTree) -> tuple[dict[str, Any], dict[str, float]]:
    compiled: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {label: [] for label in variants}
    for _ in range(COMPILATIONS):
        for label, variant in variants.items():
            start = time.perf_counter()
            # A function of its own each time, or JAX would take the last trace.
            loop = jax.jit(lambda *arguments, variant=variant: variant.loop(*arguments), donate_argnums=0)
            compiled[label] = loop.lower(variant.state, variant.frozen, examples).compile()
            seconds[label].append(time.perf_counter() - start)
    return compiled, {label: statistics.median(values) for label, values in seconds.items()}


def turns_of(
    compiled: Any, variant: Variant, examples: PyTree, steps: int, clock: Callable[[], float] = time.perf_counter
) -> Callable[[], float]:
    """A function that takes one turn, from where the last one ended, and returns the seconds of a step."""
    state = variant.state

    def call() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state, variant.frozen, examples))

    def turn() -> float:
        call()
        start, calls = clock(), 0
        while clock() < start + SECONDS:
            call()
            calls += 1
        return (clock() - start) / (calls * steps)

    return turn


def take_turns(turns: dict[Any, Callable[[], float]], rounds: int) -> dict[Any, list[float]]:
    """What every turn returns in each of the rounds; one before them is left out."""
    taken = [{label: turn() for label, turn in turns.items()} for _ in range(rounds + 1)][1:]
    return {label: [seconds[label] for seconds in taken] for label in turns}


@contextlib.contextmanager
def _torch(name: str, k: int, form: str) -> Iterator[Callable[[], float]]:
    command = [sys.executable, "-W", "ignore", "-m", "experiments.speed.torch_baseline", name, str(k), form]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def turn() -> float:
            assert process.stdin
            assert process.stdout
            print(SECONDS, file=process.stdin, flush=True)
            seconds = float(process.stdout.readline())
            time.sleep(0.3)  # its threads go on spinning for a while
            return seconds

        yield turn


def _state_bytes(state: training.TrainState) -> int:
    return _nbytes((state.params, state.opt_state))


def _nbytes(tree: PyTree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _peak(compiled: Any) -> int:
    sizes = compiled.memory_analysis()
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return held + sizes.temp_size_in_bytes
