"""Whole programs with flags of every kind: what they print, and that nothing but what they write is changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hypothesis import strategies as st

from experiments import evaluate, export, reproduce, search
from experiments.flags import parse
from tests.fuzz.amounts import amounts, try_all
from tests.fuzz.conftest import run_flags
from tests.fuzz.guards import assert_one_sentence, unchanged
from tests.fuzz.nonsense import command_lines
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
MEMORY = 8 * 2**20  # kB of addresses, so that what is allowed and too large ends in a sentence
# Those with which a program would be right to run for days, or to wait for others.
ENDLESS = ("epochs", "rounds", "list", "budget_minutes", "coordinator_address", "num_processes", "process_id")


def programs(made):
    """A program's name with a command line for it."""
    run = [f"--workdir={made / 'run'}", "--out=new"]
    given = {
        "train": (parse, [*run_flags(made), "--workdir=new", "--epochs=1"]),
        "export": (export, run),
        "evaluate": (evaluate, [f"--ticket={made / 'ticket'}"]),
        "search": (search, ["--size=100", "--rounds=1"]),
        "reproduce": (reproduce, ["--list", "--only=slot.figure2"]),
    }
    lines = [
        command_lines(module.define_flags, base, ENDLESS).map(lambda line, name=name: (name, line))
        for name, (module, base) in given.items()
    ]
    return st.one_of(*lines).filter(lambda given: not any("\0" in argument for argument in given[1]))


def started(program, line, directory):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", f'ulimit -v {MEMORY}; exec "$@"', "sh", sys.executable, "-m", f"experiments.{program}", *line],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@amounts(0, share=0.03)
def test_a_program_does_what_it_is_told_or_says_why_not_in_one_sentence(amount, made, tmp_path):
    place = tmp_path / "place"

    def holds(given):
        shutil.rmtree(place, ignore_errors=True)
        (place / "kept").mkdir(parents=True)
        for name in ("file", "kept/file"):
            (place / name).write_text("kept")
        with unchanged(made):
            done = started(*given, place)
        assert_one_sentence(done.returncode, done.stderr)
        assert {(place / name).read_text() for name in ("file", "kept/file")} == {"kept"}
        assert {path.name for path in tmp_path.iterdir()} == {"place"}

    try_all(amount, programs(made), holds)
