"""Several processes, on one machine or many, that train one network together with JAX's own distributed runtime."""

import contextlib
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from experiments.configuration.execution import Execution
from experiments.running.watcher import start_watcher
from slotjax import training

# Where a scheduler that JAX knows says that a process is one of several, and what it says otherwise. Slurm says so in
# every shell of an allocation, but that a process is one of a step only to those that srun starts.
_SCHEDULERS = {
    "SLURM_STEP_NUM_TASKS": "1",
    "OMPI_COMM_WORLD_SIZE": "1",
    "JOB_COMPLETION_INDEX": None,  # Kubernetes
}
_SILENCE = 20  # seconds after which a process that is not heard of counts as dead
_VERDICT = 28  # seconds within which JAX's runtime aborts all others then


def join(execution: Execution) -> None:
    """Joins the other processes, if there are any; to be called before JAX is used. Only process 0 prints.

    Raises:
        ValueError: if some of the three flags are given and others not, if they do not fit each other, or if there are
            others, as a scheduler says, which JAX cannot find.
    """
    flags = {name: getattr(execution, name) for name in ("coordinator_address", "num_processes", "process_id")}
    missing = [name for name, value in flags.items() if value is None]
    if missing and len(missing) < len(flags):
        raise ValueError(
            f"--{missing[0]}: it must be given with {', '.join(f'--{n}' for n in flags if n != missing[0])}"
        )
    if not missing:
        _check(**flags)
        _initialize(**flags)
    elif scheduler := next((name for name, alone in _SCHEDULERS.items() if os.environ.get(name, alone) != alone), None):
        _join_scheduled(scheduler)
    elif _on_tpu_vm():
        try:
            _initialize()
        except (ValueError, OSError, ImportError) as error:
            print(f"No other hosts of this TPU were found ({_reason(error)}).", file=sys.stderr, flush=True)
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (for the life of the process)


@contextlib.contextmanager
def ended_together() -> Iterator[None]:
    """Ends one process of several at once after an error, as this ends the others; an ordinary exit waits for them.

    >>> with ended_together():
    ...     print("trained")
    trained
    """
    try:
        yield
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        if any(isinstance(cause, jax.errors.JaxRuntimeError) for cause in _causes(error)):
            # It may be that another process has ended: then the runtime aborts this one, and the watcher says why.
            time.sleep(_VERDICT)
        _end(error)


def _check(coordinator_address: str, num_processes: int, process_id: int) -> None:
    port = re.fullmatch(r".+:([0-9]{1,5})", coordinator_address)
    if not port or int(port[1]) >= 2**16:
        raise ValueError(f"--coordinator_address: {coordinator_address!r} was given, but it must be HOST:PORT")
    if not 1 <= num_processes < 2**31:
        raise ValueError(f"--num_processes: {num_processes} was given, but it must be from 1 to {2**31 - 1}")
    if not 0 <= process_id < num_processes:
        below = f"from 0 to {num_processes - 1}"
        raise ValueError(f"--process_id: {process_id} was given, but it must be {below}")


def _join_scheduled(scheduler: str) -> None:
    try:
        _initialize()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"--coordinator_address: {scheduler} says that this is one of several processes, but JAX cannot find the "
            f"others ({_reason(error)}); it must be given, with --num_processes and --process_id"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def _on_tpu_vm() -> bool:
    """Whether this may be one host of a TPU pod, which only the cloud's own services know."""
    devices = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev").glob("vfio/[0-9]*")]
    return bool(devices) and importlib.util.find_spec("libtpu") is not None


def _initialize(**flags: Any) -> None:
    start_watcher()
    jax.distributed.initialize(**flags, heartbeat_timeout_seconds=_SILENCE)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _end(error: BaseException) -> None:
    if isinstance(error, SystemExit):
        print(error.code, file=sys.stderr)
    else:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def is_first() -> bool:
    """Whether this is process 0, which logs, draws and exports."""
    return jax.process_index() == 0


def holds_in_any_process(here: bool) -> bool:
    """Whether it holds in at least one process; all have to ask.

    >>> holds_in_any_process(False)
    False
    """
    return not training.all_processes(not here)
