"""What a run shows while it trains: a bar on a terminal, one line per epoch elsewhere."""

import sys
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm


class Progress:
    """Shows one record of metrics after another; a context manager.

    >>> record = {"epoch": 1, "train": {"loss": 0.5}, "validation": {"accuracy": 0.9}, "test": {"accuracy": 0.8}}
    >>> with Progress(epochs=2, done=0) as progress:
    ...     progress.show(record | {"train": {"loss": 0.5, "accuracy": 0.95}})
    epoch 1/2: loss 0.5000, accuracy: train 95.00 %, validation 90.00 %, test 80.00 %
    """

    def __init__(self, epochs: int, done: int) -> None:
        self._epochs = epochs
        # tqdm draws nothing when `disable` is None and the stream is no terminal.
        self._bar = tqdm(total=epochs, initial=done, unit="epoch", file=sys.stdout, disable=None, dynamic_ncols=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, record: dict[str, Any]) -> None:
        """Shows the metrics of one more epoch."""
        accuracies = {name: f"{100 * record[name]['accuracy']:.2f} %" for name in ("train", "validation", "test")}
        loss = f"{record['train']['loss']:.4f}"
        if self._bar.disable:
            shares = ", ".join(f"{name} {accuracy}" for name, accuracy in accuracies.items())
            print(f"epoch {record['epoch']}/{self._epochs}: loss {loss}, accuracy: {shares}", flush=True)
        else:
            self._bar.set_postfix({"loss": loss, **accuracies}, refresh=False)
            self._bar.update()
