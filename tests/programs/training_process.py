"""The training program in processes of its own: started, watched and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
EPOCHS = "--epochs=8"
STORED = ("--scores=explicit", "--options=stored")


def flags(digits, workdir, *arguments):
    options = [] if any(one.startswith("--method") for one in arguments) else ["--k=4"]
    return [f"--dataset=npz:{digits}", f"--workdir={workdir}", "--batch_size=64", *options, *arguments]


def command(*arguments):
    return [sys.executable, "-m", "experiments.train", *flags(*arguments)]


def start(*arguments):
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen(
        command(*arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*arguments):
    process = start(*arguments)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def metrics(workdir):
    """The lines of metrics.jsonl without the seconds, the only thing that may differ between two runs."""
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "time"} for record in records]


def selections(workdir):
    """The bytes of the final scores, which decide every selection."""
    import orbax.checkpoint as ocp

    last = max((path for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()), key=lambda p: int(p.name))
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(last / "state")
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(restored["params"])]


def wait_for_epochs(process, workdir, lines):
    path = workdir / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") >= lines):
        time.sleep(0.001)


def kill_after(process, workdir, lines, delay):
    """Kills the process once metrics.jsonl has so many lines and `delay` seconds have passed."""
    path = workdir / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") >= lines):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def kill_during_save(process, workdir):
    """Kills the process as soon as a half-written checkpoint is there."""
    checkpoints = workdir / "checkpoints"
    while process.poll() is None and not any(checkpoints.glob("*orbax-checkpoint-tmp*")):
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return any(checkpoints.glob("*orbax-checkpoint-tmp*"))


def assert_resumes(digits, workdir, unbroken):
    code, output, errors = finish(digits, workdir, EPOCHS)
    assert code == 0, errors
    assert metrics(workdir) == metrics(unbroken[0])
    assert selections(workdir) == selections(unbroken[0])
    assert not any((workdir / "checkpoints").glob("*tmp*"))
    return output
