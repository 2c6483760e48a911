"""What ends a run early."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import optax

_EXHAUSTED = "RESOURCE_EXHAUSTED|Out of memory"  # how JAX's runtime says that a device has too little memory


class RunError(Exception):
    """What is wrong with a run, in one sentence for the user."""


class Stopped(Exception):  # noqa: N818 (no error)
    """A run was asked to stop and did, with what it had done saved; where, in one sentence for the user."""


@contextlib.contextmanager
def named_lack_of_memory(
    work: str = "--model: its training", advice: str = "a smaller --width_multiplier, --k or --batch_size may help"
) -> Iterator[None]:
    """Raises RunError where there is too little memory, on the host or on a device.

    Args:
        work: a flag, and what it is that needs the memory.
        advice: what may help.

    >>> try:
    ...     with named_lack_of_memory():
    ...         raise MemoryError("Unable to allocate 147 GiB")
    ... except RunError as error:
    ...     print(str(error).partition(";")[0])
    --model: its training needs more memory than there is (Unable to allocate 147 GiB)
    """
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        reason = str(error).strip().split("\n")[0].removeprefix("RESOURCE_EXHAUSTED: ").rstrip(".")[:200]
        if not isinstance(error, MemoryError) and not re.search(_EXHAUSTED, str(error)):
            raise
        raise RunError(f"{work} needs more memory than there is ({reason or 'none is left'}); {advice}") from error


def check_finite(losses: np.ndarray, first: int, steps_per_epoch: int, schedule: optax.Schedule) -> None:
    """Raises RunError, with the step and its learning rate, if one of the losses from step `first` on is not finite.

    >>> check_finite(np.array([0.5, 0.4]), 0, 100, optax.constant_schedule(0.1))
    """
    broken = np.flatnonzero(~np.isfinite(losses))
    if broken.size:
        step = first + int(broken[0])
        rate = float(schedule(step))
        raise RunError(
            f"the loss is {losses[broken[0]]} at step {step + 1} (epoch {step // steps_per_epoch + 1}, learning rate "
            f"{rate:g}); a smaller --learning_rate may help, in another --workdir or with --overwrite"
        )


def system_error(error: OSError, workdir: Path) -> RunError:
    """What is wrong, as far as the operating system says it: with a file elsewhere, the output, or else the workdir.

    >>> system_error(FileNotFoundError(2, "No such file or directory", "data/train.npz"), Path("runs/a"))
    RunError('data/train.npz cannot be read or written (No such file or directory)')
    >>> system_error(OSError(28, "No space left on device"), Path("runs/a"))
    RunError('--workdir: runs/a cannot be written (No space left on device)')
    """
    if isinstance(error, BrokenPipeError):
        return RunError(f"what is printed cannot be written ({error.strerror})")
    file = Path(str(error.filename or workdir))
    if not file.absolute().is_relative_to(workdir.absolute()):
        return RunError(f"{file} cannot be read or written ({error.strerror})")
    return RunError(f"--workdir: {f'{workdir} cannot be written ({error.strerror})' if error.strerror else error}")
