"""What a run shows while it trains: a bar on a terminal, one line per epoch elsewhere."""

import sys
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from experiments.running.numbers import bits

_SPLITS = ("train", "validation", "test")


class Progress:
    """Shows one record of metrics after another; a context manager. Of a text, losses rather than accuracies.

    >>> record = {"epoch": 1, "train": {"loss": 0.5}, "validation": {"accuracy": 0.9}, "test": {"accuracy": 0.8}}
    >>> with Progress(epochs=2, done=0) as progress:
    ...     progress.show(record | {"train": {"loss": 0.5, "accuracy": 0.95}})
    epoch 1/2: loss 0.5000, accuracy: train 95.00 %, validation 90.00 %, test 80.00 %
    >>> losses = {name: {"loss": 1.5, "accuracy": 0.5} for name in ("train", "validation", "test")}
    >>> with Progress(epochs=2, done=0, text=True) as progress:
    ...     progress.show(losses | {"epoch": 1})
    epoch 1/2: loss 1.5000, bits per character: train 2.164, validation 2.164, test 2.164, next is right 50.00 %
    """

    def __init__(self, epochs: int, done: int, text: bool = False) -> None:
        self._epochs, self._text = epochs, text
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
        loss, shown = f"{record['train']['loss']:.4f}", {name: self._shown(record[name]) for name in _SPLITS}
        if self._bar.disable:
            what = "bits per character" if self._text else "accuracy"
            values = ", ".join(f"{name} {value}" for name, value in shown.items())
            right = f", next is right {100 * record['test']['accuracy']:.2f} %" if self._text else ""
            print(f"epoch {record['epoch']}/{self._epochs}: loss {loss}, {what}: {values}{right}", flush=True)
        else:
            self._bar.set_postfix({"loss": loss, **shown}, refresh=False)
            self._bar.update()

    def _shown(self, measured: dict[str, Any]) -> str:
        return f"{bits(measured['loss']):.3f}" if self._text else f"{100 * measured['accuracy']:.2f} %"
