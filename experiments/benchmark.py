"""What a training step of a slot machine costs, against the same network with learned weights.

    python -m experiments.benchmark                                   LeNet: 4 minutes on two CPU cores
    python -m experiments.benchmark --networks=lenet,conv2,conv6      40 minutes
    python -m experiments.benchmark --curves=options,width,layers,devices,methods      15 minutes: those of the report

For every network and K, the variants take turns in one process, a block of steps each, so that whatever else the
machine does strikes all alike; a figure is the median over the rounds. Where PyTorch is installed, the K-scores method
transcribed into it takes its turn as well, in a process of its own that waits meanwhile.
"""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any, get_args

from absl import flags
from tqdm import tqdm

from experiments.configuration.choices import Dtype
from experiments.files import write_whole
from experiments.program import one_sentence, prepare, start
from experiments.running.environment import environment
from experiments.running.failure import RunError, named_lack_of_memory
from experiments.speed.measure import Row, measure
from experiments.speed.plot import draw_speed
from experiments.speed.shown import PANELS, measure_curves
from slotjax import models

COLUMNS = ("network", "K", "variant", "ms/step", "x learned", "+ms", "compile s", "x learned", "state B", "peak MB")
DIGITS = (2, 2, 2, 2, 2, 1, 1)


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_list("networks", ["lenet"], f"Of {', '.join(models.MODELS)}.", flag_values=values)
    flags.DEFINE_list("ks", ["2", "8", "64", "256"], "Options per connection.", flag_values=values)
    flags.DEFINE_bool("masks", True, "Edge-popup and supermasks as well, as K = 1.", flag_values=values)
    flags.DEFINE_enum("selection", "greedy", ["greedy", "probabilistic"], "How options are chosen.", flag_values=values)
    flags.DEFINE_enum(
        "dtype",
        "float32",
        get_args(Dtype),
        "What networks are computed in. PyTorch has rows in float32 alone.",
        flag_values=values,
    )
    flags.DEFINE_integer("rounds", 7, "Turns of every variant.", 1, 2**31 - 1, flag_values=values)
    flags.DEFINE_float(
        "memory_gb", 8.0, "Variants whose arrays need more are left out.", lower_bound=0.0, flag_values=values
    )
    flags.DEFINE_list(
        "curves",
        [],
        f"Of {', '.join(PANELS)}: what a step of LeNet costs against these, in place of the table. Of all other flags, "
        "only --rounds and --out count then.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "out",
        "runs/benchmark",
        "Where benchmark.json and benchmark.png go; with --curves, cost.json and cost.png.",
        flag_values=values,
    )


def table(rows: list[Row]) -> str:
    """One line per row, columns aligned.

    >>> print(table([Row("lenet", 8, "learned", 1.0, 1.0, 0.0, 0.5, 1.0, 8.0, 3.2)]).splitlines()[1].split())
    ['lenet', '8', 'learned', '1.00', '1.00', '0.00', '0.50', '1.00', '8.0', '3.2']
    """
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    pairs = zip(row[3:], DIGITS, strict=True)
    numbers = ["-" if value is None else f"{value:.{digits}f}" for value, digits in pairs]
    return row.network, str(row.k), row.variant, *numbers


def _check(values: flags.FlagValues) -> None:
    unknown = [name for name in values.networks if name not in models.MODELS]
    if unknown or not values.networks:
        raise ValueError(f"--networks: {values.networks} was given, but it must be of {', '.join(models.MODELS)}")
    if unknown := [name for name in values.curves if name not in PANELS]:
        raise ValueError(f"--curves: {unknown[0]!r} was given, but they must be of {', '.join(PANELS)}")
    for k in values.ks:
        if not (re.fullmatch("[0-9]{1,5}", k) and 1 <= int(k) <= 2**16):
            raise ValueError(f"--ks: {k!r} was given, but they must be whole numbers from 1 to {2**16}")
    if not math.isfinite(values.memory_gb):
        raise ValueError(f"--memory_gb: {values.memory_gb} was given, but it must be finite")


def main(arguments: list[str]) -> None:
    """Measures what the flags ask for, prints the table and writes JSON and plot."""
    prepare(arguments)
    values, rows = flags.FLAGS, []
    out = Path(values.out)
    with one_sentence(ValueError, OSError):
        _check(values)
        out.mkdir(parents=True, exist_ok=True)
    if values.curves:
        with one_sentence(ValueError, OSError):
            measure_curves(values.curves, values.rounds, out)
        return
    ks = [None] * values.masks + [int(k) for k in values.ks]
    for network, k in tqdm([(network, k) for network in values.networks for k in ks], file=sys.stderr):
        with one_sentence(RunError), named_lack_of_memory("--networks: measuring", "a smaller --memory_gb may help"):
            rows += measure(network, k, values.selection, values.rounds, values.memory_gb * 1e9, values.dtype)
        content: dict[str, Any] = {
            "rows": [row._asdict() for row in rows],
            "selection": values.selection,
            "dtype": values.dtype,
            **environment(),
        }
        write_whole(out / "benchmark.json", json.dumps(content, indent=1) + "\n")
    if any(row.variant == "factored, seeded" for row in rows):
        draw_speed(rows, out / "benchmark.png")
    with one_sentence():
        print(table(rows))


if __name__ == "__main__":
    define_flags()
    start(main)
