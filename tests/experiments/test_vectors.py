"""Wide vectors: where the processor has them and nobody said otherwise, and without any other random value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import app

from experiments import program
from experiments.vectors import prefer_wide_vectors

OPTION = "--xla_cpu_prefer_vector_width=512"
ROOT = Path(__file__).parents[2]
WIDE = "processor\t: 0\nflags\t\t: fpu sse avx avx2 avx512f avx512bw\n\nprocessor\t: 1\nflags\t\t: fpu avx512f\n"
NARROW = "processor\t: 0\nmodel name\t: avx512f\nflags\t\t: fpu sse avx avx2\n"

DRAW = """
import typing
import jax, slotjax
for kind in typing.get_args(slotjax.distributions.Kind):
    for dtype in ("float32", "bfloat16"):
        params = {"kernel": jax.random.normal(jax.random.key(1), (65, 33)).astype(dtype)}
        selector = slotjax.slot_machine(5, distribution=slotjax.distributions.own_scale(kind))
        print(slotjax.proof(selector.init(jax.random.key(2), params)["frozen"]))
"""


@pytest.mark.parametrize(
    ("given", "described", "expected"),
    [
        (None, WIDE, OPTION),
        ("", WIDE, OPTION),
        ("--xla_dump_to=a", WIDE, f"--xla_dump_to=a {OPTION}"),
        (" --xla_cpu_prefer_vector_width=256", WIDE, " --xla_cpu_prefer_vector_width=256"),
        ("a_file_of_flags", WIDE, "a_file_of_flags"),
        (None, NARROW, None),
        ("--xla_dump_to=a", NARROW, "--xla_dump_to=a"),
        (None, None, None),
    ],
)
def test_where_the_processor_has_them_and_xla_flags_says_nothing(given, described, expected, monkeypatch, tmp_path):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    if described is not None:
        (tmp_path / "cpuinfo").write_text(described)
    prefer_wide_vectors(tmp_path / "cpuinfo")
    assert os.environ.get("XLA_FLAGS") == expected


def test_every_program_asks_for_them_before_it_starts(monkeypatch):
    asked = []
    monkeypatch.setattr(program, "prefer_wide_vectors", lambda: asked.append(True))
    monkeypatch.setattr(app, "run", lambda main, flags_parser: main(asked))
    program.start(lambda asked: asked.append("started"))
    assert asked == [True, "started"]


@pytest.mark.slow
def test_no_random_value_changes_with_them():
    hashes = [
        subprocess.run(
            [sys.executable, "-c", DRAW],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": f"--xla_cpu_prefer_vector_width={width}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for width in (256, 512)
    ]
    assert len(hashes[0].split()) == 10
    assert hashes[0] == hashes[1]
