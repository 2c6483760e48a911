"""Checkpoints, with Orbax. The only module that knows Orbax."""

import copy
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import preservation_policy

LATEST = 2
BEST = 1


class Checkpoints:
    """Checkpoints of one run: the latest 2, the first of the best validation accuracy, and those of chosen epochs.

    Each holds the training state and the history, a list with one dictionary of metrics per epoch. Saving happens in
    the background; leaving the context waits for it. What an interrupted save left behind is removed on opening.

    Args:
        directory: where they are, made if missing.
        keep_epochs: epochs whose checkpoints are never deleted.

    >>> import tempfile
    >>> history = [{"epoch": 1, "validation": {"accuracy": 0.9}}]
    >>> with tempfile.TemporaryDirectory() as directory, training.Checkpoints(directory) as checkpoints:
    ...     checkpoints.save(1, {"scores": jnp.ones(3)}, history)
    ...     state, restored = checkpoints.restore_latest({"scores": jnp.zeros(3)})
    >>> print(state["scores"], restored == history)
    [1. 1. 1.] True
    """

    def __init__(self, directory: str | Path, keep_epochs: Sequence[int] = ()) -> None:
        policies = [
            preservation_policy.LatestN(LATEST),
            preservation_policy.BestN(get_metric_fn=_rank, n=BEST),
            preservation_policy.CustomSteps(keep_epochs),
        ]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.AnyPreservationPolicy(policies), cleanup_tmp_directories=True
        )
        self._manager = ocp.CheckpointManager(
            Path(directory).absolute(), options=options, item_names=("state", "history")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()

    def save(self, epoch: int, state: PyTree, history: list[dict[str, Any]]) -> None:
        """Saves the state after `epoch` epochs; the last entry of the history ranks it."""
        # A copy, because the caller's list grows while this one is written in the background.
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), history=ocp.args.JsonSave(copy.deepcopy(history))
        )
        metrics = {"accuracy": history[-1]["validation"]["accuracy"], "epoch": epoch}
        self._manager.save(epoch, args=items, metrics=metrics)

    def restore_latest(self, like: PyTree) -> tuple[PyTree, list[dict[str, Any]]] | None:
        """State and history of the latest checkpoint, or None. `like` has the state's structure and placement."""
        self._manager.wait_until_finished()
        epoch = self._manager.latest_step()
        return None if epoch is None else self.restore(epoch, like)

    def restore(self, epoch: int, like: PyTree) -> tuple[PyTree, list[dict[str, Any]]]:
        """State and history after `epoch` epochs. `like` has the state's structure, dtypes and placement."""
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        items = ocp.args.Composite(state=ocp.args.StandardRestore(target), history=ocp.args.JsonRestore())
        restored = self._manager.restore(epoch, args=items)
        return restored["state"], restored["history"]

    def epochs(self) -> list[int]:
        """Epochs of which there is a checkpoint, ascending."""
        self._manager.wait_until_finished()
        self._manager.reload()
        return sorted(self._manager.all_steps())


class StepCheckpoints:
    """Checkpoints within an epoch: the latest 2, by the number of steps taken.

    Saving happens in the background; leaving the context waits for it.

    Args:
        directory: where they are, made if missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, training.StepCheckpoints(directory) as checkpoints:
    ...     checkpoints.save(7, {"scores": jnp.ones(3)})
    ...     state = checkpoints.restore(checkpoints.latest(), {"scores": jnp.zeros(3)})
    >>> print(state["scores"])
    [1. 1. 1.]
    """

    def __init__(self, directory: str | Path) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=LATEST, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(Path(directory).absolute(), options=options)

    def __enter__(self) -> "StepCheckpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """The steps taken at the latest checkpoint, None without any."""
        self._manager.wait_until_finished()
        return self._manager.latest_step()

    def save(self, step: int, state: PyTree) -> None:
        """Saves the state after `step` steps."""
        self._manager.save(step, args=ocp.args.StandardSave(state))

    def restore(self, step: int, like: PyTree) -> PyTree:
        """The state after `step` steps. `like` has its structure, dtypes and placement."""
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(target))

    def clear(self) -> None:
        """Deletes all of them."""
        for step in self._manager.all_steps():
            self._manager.delete(step)


def _rank(metrics: dict[str, float]) -> float:
    """The accuracy, and of equal ones the earlier first: far less than one example of difference per epoch."""
    return metrics["accuracy"] - 1e-10 * metrics.get("epoch", 0)


def save_arrays(directory: str | Path, arrays: PyTree) -> None:
    """Writes a pytree of arrays, once; the directory appears only when it is complete."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(Path(directory).absolute(), arrays)


def restore_arrays(directory: str | Path, like: PyTree) -> PyTree:
    """Reads what `save_arrays` wrote. `like` has its structure, dtypes and placement."""
    target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(Path(directory).absolute(), target)
