"""Steps assembled into batches ahead of time, in processes of their own, in order."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from slotjax.data.dataset import Batch

_LEAST = 4  # batches that are worth a process


def batches(assemble: Callable[[int], Batch], first_step: int, last_step: int, workers: int) -> Iterator[Batch]:
    """The batches of the steps from `first_step` to before `last_step`, in order; closing it ends the processes.

    Args:
        assemble: from a step to its batch; it is pickled into each worker.
        first_step: the first batch's step.
        last_step: the step after the last batch's.
        workers: processes that assemble batches; 0 assembles each when it is asked for. There are fewer where there
            are less than 4 batches for each, because a process takes seconds to start.

    Yields:
        One batch per step.
    """
    if first_step == last_step:
        return
    iterator = _open(assemble, first_step, last_step, min(workers, (last_step - first_step) // _LEAST))
    try:
        # Out of the memory that is shared with the workers, which would stay as long as anyone holds an array.
        yield from (Batch(*map(np.array, batch)) for batch in iterator) if workers else iterator
    finally:
        iterator.close()


def _open(assemble: Callable[[int], Batch], first_step: int, last_step: int, workers: int) -> Any:
    import grain

    # Grain's threads would keep hundreds of batches; here whole processes work ahead, two batches each.
    reading = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    work = _InWorker(assemble) if workers else assemble
    dataset = grain.MapDataset.range(first_step, last_step).map(work).to_iter_dataset(reading)
    if workers:
        _let_grain_read_its_flags()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2))
    return iter(dataset)


class _InWorker:
    """A function for a worker, which ends when the process that started it ends, however that ends."""

    def __init__(self, assemble: Callable[[int], Batch]):
        self._assemble = assemble

    def __call__(self, step: int) -> Batch:
        _watch_parent()
        return self._assemble(step)


@cache
def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _let_grain_read_its_flags() -> None:
    from absl import flags

    # Grain's workers read absl flags, which a program that is no absl app never parses.
    if not flags.FLAGS.is_parsed():
        for name in flags.FLAGS:
            if name.startswith("grain_"):
                flags.FLAGS[name].present = 1
