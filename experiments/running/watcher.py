"""A small process beside one of several, which says in a sentence why that one was aborted.

When another process is lost, JAX's runtime aborts this one from a thread of its own, where no Python can run any more.
But Python's faulthandler still writes its dump, to a pipe here, and the watcher reads that.
"""

import faulthandler
import os
import signal
import sys

_LOST = """\
error: another process of this run has ended or cannot be reached; start all again to go on from the last checkpoint.
"""


def start_watcher() -> None:
    """Starts the watcher of this process. It ends when this process does, silently unless that crashed."""
    read, write = os.pipe()
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", __file__],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)],
        setsigmask=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP],  # which may be sent to all processes of a job
    )
    os.close(read)
    faulthandler.enable(write)


def explain(dump: str) -> str:
    """What to say of a process of which faulthandler left this dump; nothing, if it ended otherwise or was killed.

    >>> explain("Fatal Python error: Aborted").split(";")[0]
    'error: another process of this run has ended or cannot be reached'
    >>> explain("Fatal Python error: Segmentation fault"), explain("")
    ('Fatal Python error: Segmentation fault', '')
    """
    # The runtime aborts in a thread that is none of Python's, or where JAX waits for all to start or to end.
    by_runtime = "Current thread 0x" not in dump or "jax/_src/distributed.py" in dump
    return _LOST if dump.startswith("Fatal Python error: Aborted") and by_runtime else dump


if __name__ == "__main__":
    sys.stderr.write(explain(sys.stdin.read()))
