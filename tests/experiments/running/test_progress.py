"""What a run shows while it trains, on a terminal and elsewhere."""

import io
import sys

import pytest

from experiments.running import progress as module
from experiments.running.progress import FEW, SECONDS, Progress


def record(epoch):
    return {"epoch": epoch, **{name: {"loss": 0.5, "accuracy": 0.9} for name in ("train", "validation", "test")}}


def shown(output, epochs, done=0):
    with Progress(epochs, title="a network") as progress:
        progress.doing("drawing,")
        progress.begin(done)
        for epoch in range(done + 1, epochs + 1):
            progress.show(record(epoch))
    return output()


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock takes a second."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(seconds)))


@pytest.mark.parametrize("epochs", [FEW, 200])
def test_without_a_terminal_many_epochs_have_a_line_every_few_seconds(epochs, clock, capsys):
    lines = shown(lambda: capsys.readouterr().out, epochs).splitlines()
    told = [int(line.partition(" ")[2].partition("/")[0]) for line in lines]
    every = 1 if epochs == FEW else int(SECONDS)
    assert told == sorted({*range(1, epochs + 1, every), epochs})


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("done", [0, 3])
def test_a_terminal_is_told_what_is_compiled_and_how_far_the_run_is(done, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    title, *drawn = shown(sys.stdout.getvalue, epochs=5, done=done).replace("\r", "\n").split("\n")
    drawn = [line for line in drawn if line.strip()]
    assert title == "a network"
    assert drawn[0].startswith("drawing, 0/5 ")
    assert drawn[1].startswith(f"compiling, then training epoch {done + 1}, 0/5 ")
    assert drawn[2].startswith(f"epoch {done + 1}/5 ")
    assert drawn[-1].startswith("epoch 5/5 ")
    assert drawn[-1].endswith("loss 0.5000, train 90.00 %, validation 90.00 %, test 90.00 %")
