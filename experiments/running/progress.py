"""What a run shows while it trains: what it does and a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from experiments.running.numbers import bits

_SPLITS = ("train", "validation", "test")
_FORMAT = "{desc} {n_fmt}/{total_fmt} |{bar:20}| {remaining} left{postfix}"
FEW = 20  # epochs, of which each has a line
SECONDS = 5.0  # from one line to the next, where there are more


class Progress:
    """Shows one record of metrics after another; a context manager. Of a text, losses rather than accuracies.

    >>> record = {"epoch": 1, "train": {"loss": 0.5}, "validation": {"accuracy": 0.9}, "test": {"accuracy": 0.8}}
    >>> with Progress(epochs=2) as progress:
    ...     progress.begin(done=0)
    ...     progress.show(record | {"train": {"loss": 0.5, "accuracy": 0.95}})
    epoch 1/2: loss 0.5000, accuracy: train 95.00 %, validation 90.00 %, test 80.00 %
    >>> losses = {name: {"loss": 1.5, "accuracy": 0.5} for name in ("train", "validation", "test")}
    >>> with Progress(epochs=2, text=True) as progress:
    ...     progress.begin(done=0)
    ...     progress.show(losses | {"epoch": 1})
    epoch 1/2: loss 1.5000, bits per character: train 2.164, validation 2.164, test 2.164, next is right 50.00 %
    """

    def __init__(self, epochs: int, text: bool = False, title: str = "") -> None:
        self._epochs, self._text, self._title = epochs, text, title
        self._bar: tqdm | None = None
        self._shown_at = -float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def doing(self, what: str) -> None:
        """Says on a terminal what takes time before there is anything to show; elsewhere it is silent."""
        if self._bar is not None:
            self._bar.set_description_str(what)
        elif sys.stdout.isatty():
            print(self._title, flush=True)
            self._bar = self._drawn(what, leave=False)

    def say(self, sentence: str) -> None:
        """Prints a sentence, above the bar if there is one."""
        tqdm.write(sentence, file=sys.stdout)
        sys.stdout.flush()

    def begin(self, done: int) -> None:
        """Goes on after so many epochs; the next one is compiled first."""
        self.doing(f"compiling, then training epoch {done + 1},")

    def show(self, record: dict[str, Any]) -> None:
        """Shows the metrics of one more epoch."""
        values = ", ".join(f"{name} {self._measured(record[name])}" for name in _SPLITS)
        loss = f"loss {record['train']['loss']:.4f}"
        if self._bar is None:
            self._print(record, f"{loss}, {'bits per character' if self._text else 'accuracy'}: {values}")
            return
        if self._bar.leave:
            self._bar.set_postfix_str(f"{loss}, {values}", refresh=False)
            self._bar.update()
            return
        # A new bar measures time from here, or compiling would count for all epochs that follow.
        self._bar.close()
        self._bar = self._drawn("epoch", initial=record["epoch"])
        self._bar.set_postfix_str(f"{loss}, {values}")

    def _drawn(self, what: str, **options: Any) -> tqdm:
        return tqdm(total=self._epochs, file=sys.stdout, dynamic_ncols=True, bar_format=_FORMAT, desc=what, **options)

    def _print(self, record: dict[str, Any], values: str) -> None:
        epoch, now = record["epoch"], time.monotonic()
        if self._epochs <= FEW or epoch == self._epochs or now - self._shown_at >= SECONDS:
            self._shown_at = now
            right = f", next is right {100 * record['test']['accuracy']:.2f} %" if self._text else ""
            print(f"epoch {epoch}/{self._epochs}: {values}{right}", flush=True)

    def _measured(self, measured: dict[str, Any]) -> str:
        return f"{bits(measured['loss']):.3f}" if self._text else f"{100 * measured['accuracy']:.2f} %"
