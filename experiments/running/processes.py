"""Several processes, on one machine or many, that train one network together with JAX's own distributed runtime."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import jax

from experiments.configuration.settings import RunOptions
from experiments.running.watcher import start_watcher
from slotjax.training.devices import all_processes

# Where a scheduler says that a process is one of several, each with what it says then.
_SCHEDULERS = {
    "SLURM_NTASKS": lambda value: value != "1",
    "OMPI_COMM_WORLD_SIZE": lambda value: value != "1",
    "JOB_COMPLETION_INDEX": lambda value: True,  # Kubernetes
    "TPU_WORKER_HOSTNAMES": lambda value: "," in value,
}
_SILENCE = 20  # seconds after which a process that is not heard of counts as dead
_VERDICT = 28  # seconds within which JAX's runtime aborts all others then


def join(options: RunOptions) -> None:
    """Joins the other processes, if there are any; to be called before JAX is used. Only process 0 prints.

    Raises:
        ValueError: if some of the three flags are given and others not, or they do not fit each other.
    """
    flags = {name: getattr(options, name) for name in ("coordinator_address", "num_processes", "process_id")}
    missing = [name for name, value in flags.items() if value is None]
    if missing and len(missing) < len(flags):
        raise ValueError(
            f"--{missing[0]}: it must be given with {', '.join(f'--{n}' for n in flags if n != missing[0])}"
        )
    if not missing:
        if not 0 <= flags["process_id"] < flags["num_processes"]:
            below = f"from 0 to {flags['num_processes'] - 1}"
            raise ValueError(f"--process_id: {flags['process_id']} was given, but it must be {below}")
        _initialize(**flags)
    elif any(name in os.environ and several(os.environ[name]) for name, several in _SCHEDULERS.items()):
        _initialize()
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


def any_of_all(here: bool) -> bool:
    """Whether it holds in any process; all have to ask."""
    return not all_processes(not here)
