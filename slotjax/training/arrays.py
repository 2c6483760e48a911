"""Arrays on disk, with Orbax, and what is said of those that cannot be read. Only checkpoints know Orbax as well."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from slotjax.training.devices import all_processes

_REASON = 300  # characters of what Orbax says, which can be pages

Result = TypeVar("Result")


def save_arrays(directory: str | Path, arrays: PyTree) -> None:
    """Writes a pytree of arrays, once; the directory appears only when it is complete.

    Raises:
        ValueError: if it is there already.
        OSError: if it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     training.save_arrays(f"{directory}/arrays", {"weight": jnp.ones(2)})
    ...     print(training.restore_arrays(f"{directory}/arrays", {"weight": jnp.zeros(2)})["weight"])
    [1. 1.]
    """
    try:
        # Where this fails in Orbax, its threads wait for each other, for ten minutes, also when the program ends.
        Path(directory).absolute().parent.mkdir(parents=True, exist_ok=True)
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(Path(directory).absolute(), arrays)
    # Orbax raises a dozen kinds of error, also those of a write in the background.
    except Exception as error:
        if Path(directory).exists():
            raise
        raise OSError(f"{directory} cannot be written ({reason(error)})") from error


def restore_arrays(directory: str | Path, like: PyTree) -> PyTree:
    """Reads what `save_arrays` wrote. `like` has its structure, dtypes and placement.

    Raises:
        ValueError: if it cannot be read. Changed bytes can be read, as other numbers.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     training.save_arrays(f"{directory}/arrays", {"index": jnp.arange(2)})
    ...     print(training.restore_arrays(f"{directory}/arrays", {"index": jnp.zeros(2, int)})["index"])
    [0 1]
    """
    with reading(str(directory)):
        return read_by_all(lambda: read_arrays(Path(directory).absolute(), like))


@contextlib.contextmanager
def reading(content: str) -> Iterator[None]:
    """Turns whatever is raised where something is read into a ValueError that says that it is damaged, and why."""
    try:
        yield
    # What is wrong with the files decides which of a dozen kinds of error Orbax raises.
    except Exception as error:
        raise ValueError(f"{content} is damaged ({reason(error)})") from error


def reason(error: BaseException) -> str:
    """The first cause of an error, as briefly as Orbax and TensorStore say it."""
    while error.__cause__ is not None:
        error = error.__cause__
    # TensorStore says what it was doing, from the outermost on, then the cause, then its settings.
    first = re.sub(r" \[[a-z_]+(\[\d+\])?=.*| \[source locations.*", "", str(error).strip().split("\n")[0])
    return ": ".join(first.split(": ")[-2:])[-_REASON:]


def read_by_all(read: Callable[[], Result]) -> Result:
    """What `read` gives, if it does in every process: what follows is computed by all of them together."""
    try:
        result = read()
    except Exception:
        all_processes(False)
        raise
    if not all_processes(True):
        raise ValueError("another process cannot read it")
    return result


def read_arrays(directory: Path, like: PyTree) -> PyTree:
    """Arrays with the dtypes and placement of `like`. Orbax raises a dozen kinds of error."""
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    # Not by Orbax's manager or checkpointer, in which the others would wait for a process that cannot read its part.
    with contextlib.closing(ocp.StandardCheckpointHandler()) as handler:
        return handler.restore(directory, args=ocp.args.StandardRestore(target))
