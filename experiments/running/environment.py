"""What a run ran on: versions, hardware, and the commit of the source."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import slotjax

# Not the results, to which every run of the papers adds a line.
CODE = (":/pyproject.toml", ":/slotjax", ":/experiments", ":(top,exclude)experiments/results")
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def environment() -> dict[str, Any]:
    """Versions, hardware and commit, for `config.json`.

    >>> sorted(environment())
    ['commit', 'hardware', 'versions']
    """
    versions = {"python": platform.python_version(), "slotjax": slotjax.__version__}
    return {
        "versions": versions | {name: version(name) for name in PACKAGES},
        "hardware": {
            "platform": jax.default_backend(),
            "devices": [device.device_kind for device in jax.devices()],
            "processor": processor(),
            "cores": _cores(),
            "machine": platform.machine(),
            "system": platform.system(),
            "matmul_precision": jax.config.values["jax_default_matmul_precision"],
            "xla_flags": os.environ.get("XLA_FLAGS", ""),  # they can change the last bits of what is computed
        },
        "commit": _commit(),
    }


def processor() -> str:
    """The name of this machine's processor; empty where the system does not tell.

    >>> isinstance(processor(), str)
    True
    """
    described = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", described.read_text(), re.MULTILINE) if described.is_file() else []
    return names[0] if names else platform.processor()


def _cores() -> int | None:
    """The cores that this process may use, which are fewer than the machine's where it is pinned to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _commit() -> str | None:
    """The commit of the checkout that this file stands in, marked if its code differs; None if there is none."""
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *CODE)
        return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
