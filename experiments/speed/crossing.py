"""How many bytes cross between devices in a training step, from what XLA compiles for virtual ones of a CPU.

`python -m experiments.speed.crossing` prints the curve as JSON.
"""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import jax
from jax.sharding import NamedSharding, PartitionSpec

import slotjax
from experiments.speed.curves import DEVICES, TRAFFIC, WIDTHS, Curve, machines, variant
from experiments.speed.measure import BATCH, DISTRIBUTION, MNIST
from slotjax import data, training

_BYTES = {"pred": 1, "bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8, "s64": 8, "u64": 8}
_NAMES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast"
_COLLECTIVE = re.compile(rf"^\s*(?:ROOT )?%?[\w.-]+ = (.*?) ({_NAMES})(?:-start)?\(", re.MULTILINE)


def against_devices_elsewhere() -> Curve:
    """The curve, from a process that has so many virtual devices."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(max(DEVICES))}
    command = [sys.executable, "-m", "experiments.speed.crossing"]
    answered = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Curve(**json.loads(answered.stdout))


def against_devices(devices: Sequence[int] = DEVICES, widths: Sequence[int] = WIDTHS) -> Curve:
    """Megabytes that one device sends in a step, of which each has its part of the batch and all that is trained."""
    selectors = {"learned weights": slotjax.learned(DISTRIBUTION), **machines()}
    lines = {
        name: [sent_bytes(program(selector, count, widths), count) / 1e6 for count in devices]
        for name, selector in selectors.items()
    }
    weights = jax.tree.leaves(variant(selectors["learned weights"], widths).state.params)
    once = sum(weight.nbytes for weight in weights) / 1e6
    return Curve([*devices], {**lines, TRAFFIC: [once * _share("all-reduce", count) for count in devices]})


def sent_bytes(program: str, devices: int) -> float:
    """What each device sends when a compiled program is run, if they stand in a ring.

    Raises:
        ValueError: for a collective operation that is not counted here.

    >>> sent_bytes("  %a = (f32[3,2]{1,0}, s32[]) all-reduce(%b, %c), channel_id=1", devices=4)
    42.0
    """
    return float(sum(_share(name, devices) * _bytes(shapes) for shapes, name in _COLLECTIVE.findall(program)))


def program(selector: slotjax.Selector, devices: int, widths: Sequence[int]) -> str:
    """A compiled training step over the first so many devices."""
    one, mesh = variant(selector, widths), training.data_mesh(jax.devices()[:devices])
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(None, *mesh.axis_names))
    images = jax.ShapeDtypeStruct((1, BATCH, *MNIST.image_shape), "float32")
    examples = data.Split(images, jax.ShapeDtypeStruct((1, BATCH), "int32"))
    loop = jax.jit(one.loop, in_shardings=(everywhere, everywhere, split), out_shardings=everywhere)
    return loop.lower(one.state, one.frozen, examples).compile().as_text() or ""


def _share(name: str, devices: int) -> float:
    """What a device sends for every byte of the result."""
    if name not in ("all-reduce", "all-gather"):
        raise ValueError(f"{name} is not counted")
    return (2 if name == "all-reduce" else 1) * (devices - 1) / devices


def _bytes(shapes: str) -> int:
    arrays = re.findall(r"([a-z]+\d*)\[([\d,]*)\]", shapes)
    return sum(_BYTES[dtype] * math.prod(int(size) for size in sizes.split(",") if size) for dtype, sizes in arrays)


if __name__ == "__main__":
    print(json.dumps(against_devices()._asdict()))
