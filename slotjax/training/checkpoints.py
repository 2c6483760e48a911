"""Checkpoints, with Orbax, that are verified when they are read. Beside `arrays.py`, all that knows Orbax."""

import contextlib
import errno
import json
import logging
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from slotjax.training.arrays import read_arrays, read_by_all, reading, reason
from slotjax.training.checksums import checksums, sha256_of
from slotjax.training.devices import all_processes, wait_for_processes
from slotjax.training.preservation import Policy, preserved

BEST = 1
_REMOVED = ".removed"  # where a checkpoint is moved before it is deleted, so that none is ever there in part

History = list[dict[str, Any]]


class Checkpoints:
    """Checkpoints of one run: the latest 2, the first of the best validation accuracy, and those of chosen epochs.

    Each holds the training state, the history, a list with one dictionary of metrics per epoch, and checksums of both.
    Saving happens in the background; leaving the context waits for it. What an interrupted save left behind is
    removed on opening. However often a run is interrupted, what is kept at its end is what one without has.

    Args:
        directory: where they are, made if missing.
        keep_epochs: epochs whose checkpoints are never deleted.
        best: how many of the best validation accuracy are kept; with 0, the history may be empty.
        is_scheduled: whether a run without interruptions has a checkpoint of an epoch. Others are deleted when the next
            is saved. Default: all epochs.
        read_only: makes, removes and saves nothing, as where another process trains.

    Raises:
        NotADirectoryError: if something else has its place.

    >>> import tempfile
    >>> history = [{"epoch": 1, "validation": {"accuracy": 0.9}}]
    >>> with tempfile.TemporaryDirectory() as directory, training.Checkpoints(directory) as checkpoints:
    ...     checkpoints.save(1, {"scores": jnp.ones(3)}, history)
    ...     state, restored = checkpoints.restore_latest({"scores": jnp.zeros(3)})
    >>> print(state["scores"], restored == history)
    [1. 1. 1.] True
    """

    def __init__(
        self,
        directory: str | Path,
        keep_epochs: Sequence[int] = (),
        best: int = BEST,
        is_scheduled: Callable[[int], bool] = lambda epoch: True,
        read_only: bool = False,
    ) -> None:
        self._directory, self._best, self._read_only = Path(directory).absolute(), best, read_only
        self._keep_epochs, self._is_scheduled = tuple(keep_epochs), is_scheduled
        self._accuracies: dict[int, float | None] = {}
        self._damaged: list[int] = []
        if self._directory.exists() and not self._directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", str(directory))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=Policy(self._preserved),
            create=not read_only,
            cleanup_tmp_directories=not read_only,
            todelete_subdir=_REMOVED,
            async_options=ocp.AsyncOptions(barrier_sync_fn=_meet_unless_failed) if jax.process_count() > 1 else None,
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options, item_names=("state", "record"))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writing():
            self._manager.close()
        if not self._read_only:
            self._empty()

    def save(self, epoch: int, state: PyTree, history: History) -> None:
        """Saves the state after `epoch` epochs; the last entry of the history ranks it.

        Damaged checkpoints that `restore_latest` passed over are moved aside, to `damaged` beside the directory. Of the
        history is saved what JSON can hold: names become strings.

        Raises:
            ValueError: if there is a checkpoint of this or a later epoch, or if it is opened to be read only.
            OSError: if this checkpoint, or the one before it in the background, cannot be written.
        """
        if self._read_only:
            raise ValueError(f"read_only: {self._directory} was opened with it, so nothing is saved there")
        with self._writing():
            self._manager.wait_until_finished()
        self._set_damaged_aside()
        self._empty()
        self._accuracies[epoch] = _accuracy(history) if self._best else None
        # A copy, because the caller's list grows while this one is written in the background; as it will be read.
        record = {"epoch": epoch, "history": json.loads(json.dumps(history)), "checksums": checksums(state)}
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), record=ocp.args.JsonSave(record | {"sha256": sha256_of(record)})
        )
        with self._writing():
            saved = self._manager.save(epoch, args=items)
        if not saved:
            raise ValueError(
                f"epoch: {epoch} was given, but {self._directory} has checkpoints of epochs {self.epochs()}, and only "
                "later ones can be added"
            )

    def restore_latest(self, like: PyTree) -> tuple[PyTree, History] | None:
        """State and history of the latest checkpoint that is whole, or None without any.

        A checkpoint that is damaged is named in a warning, and the one before it is taken.

        Args:
            like: has the state's structure, dtypes and placement.

        Raises:
            ValueError: if there are checkpoints, and all of them are damaged.
        """
        epochs, self._damaged = self.epochs(), []
        for epoch in reversed(epochs):
            restored = self._try_restore(epoch, like)
            # All take the same one, also if only one of them cannot read it.
            if all_processes(restored is not None):
                return restored
            self._damaged.append(epoch)
        if epochs:
            raise ValueError(f"none of the checkpoints in {self._directory}, {epochs}, can be read")
        return None

    def restore(self, epoch: int, like: PyTree) -> tuple[PyTree, History]:
        """State and history after `epoch` epochs. `like` has the state's structure, dtypes and placement.

        Raises:
            ValueError: if there is no such checkpoint, or if it is damaged.
        """
        epochs = self.epochs()
        if epoch not in epochs:
            raise ValueError(f"epoch: {epoch} was given, but {self._directory} has checkpoints of epochs {epochs}")
        directory = self._directory / str(epoch)
        with reading(f"the checkpoint {directory}"):
            state, record = read_by_all(lambda: (read_arrays(directory / "state", like), _read_record(directory)))
            _verify(state, record["checksums"])
        return state, record["history"]

    def epochs(self) -> list[int]:
        """Epochs of which there is a checkpoint, ascending."""
        self._manager.wait_until_finished()
        self._manager.reload()
        return sorted(self._manager.all_steps())

    def clear(self) -> None:
        """Deletes all of them, also those that are damaged."""
        self._delete(self.epochs())
        self._damaged = []

    def tidy(self) -> None:
        """Deletes what is not to be kept, as `save` does, which a kill may have prevented."""
        epochs = self.epochs()
        self._delete(set(epochs) - self._preserved(epochs) - set(self._damaged))

    def _preserved(self, epochs: Collection[int]) -> set[int]:
        for epoch in set(epochs) - self._accuracies.keys() if self._best else ():
            self._accuracies[epoch] = self._accuracy_on_disk(epoch)
        return preserved(epochs, self._accuracies, self._keep_epochs, self._best, self._is_scheduled)

    def _accuracy_on_disk(self, epoch: int) -> float | None:
        try:
            return _accuracy(_read_record(self._directory / str(epoch))["history"])
        # Whatever is wrong with it: what cannot be ranked is not deleted.
        except Exception:
            return None

    def _delete(self, epochs: Collection[int]) -> None:
        wait_for_processes("checkpoints to delete")  # which all have to have listed before one is gone
        if jax.process_index() == 0:
            aside = self._directory / _REMOVED
            aside.mkdir(exist_ok=True)
            for epoch in epochs:
                shutil.rmtree(aside / str(epoch), ignore_errors=True)
                (self._directory / str(epoch)).rename(aside / str(epoch))
        self._empty()
        wait_for_processes("deleted checkpoints")
        self._manager.reload()

    def _empty(self) -> None:
        """Deletes what was moved aside."""
        if jax.process_index() == 0:
            shutil.rmtree(self._directory / _REMOVED, ignore_errors=True)

    def _try_restore(self, epoch: int, like: PyTree) -> tuple[PyTree, History] | None:
        try:
            return self.restore(epoch, like)
        except ValueError as error:
            logging.getLogger(__name__).warning("%s; one before it is taken, if there is", error)
            return None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # Orbax raises a dozen kinds of error, also those of a write in the background.
        except Exception as error:
            raise OSError(f"a checkpoint cannot be written to {self._directory} ({reason(error)})") from error

    def _set_damaged_aside(self) -> None:
        for epoch in self._damaged if jax.process_index() == 0 else []:
            aside = self._directory.with_name("damaged") / f"{self._directory.name}-{epoch}"
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(exist_ok=True)
            (self._directory / str(epoch)).rename(aside)
        if self._damaged:
            wait_for_processes("damaged checkpoints")
            self._damaged = []
            self._manager.reload()


def _meet_unless_failed(*, key: str, timeout_ms: int) -> None:
    """Waits for the other processes, as Orbax does even after an error, for which the others would wait as well."""
    if (error := sys.exception()) is not None:
        raise error
    ocp.multihost.get_barrier_sync_fn()(key=key, timeout_ms=timeout_ms)


def _read_record(directory: Path) -> Any:
    with contextlib.closing(ocp.JsonCheckpointHandler()) as handler:
        record = handler.restore(directory / "record")
    content = {name: value for name, value in record.items() if name != "sha256"}
    if record["sha256"] != sha256_of(content):
        raise ValueError("its history was changed")
    # Those of the first versions do not say of which epoch they are, except in their history.
    epoch = record.get("epoch", (record["history"] or [{}])[-1].get("epoch", directory.name))
    if str(epoch) != directory.name:
        raise ValueError(f"it is of epoch {epoch}")
    return record


def _verify(state: PyTree, expected: dict[str, str]) -> None:
    found = checksums(state)
    changed = [name for name in found if found[name] != expected.get(name)]
    if changed:
        raise ValueError(f"its arrays {', '.join(changed)} were changed")


def _accuracy(history: History) -> float:
    return float(history[-1]["validation"]["accuracy"])
