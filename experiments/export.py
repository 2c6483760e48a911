"""Writes the trained selection of a run as a ticket, a few bits per connection, or for other libraries.

    python -m experiments.export --workdir=runs/... --out=lenet.ticket
    python -m experiments.export --ticket=lenet.ticket --format=torch --out=lenet.safetensors

A LeNet with K = 8 seeded options takes 101 kB; `python -m experiments.evaluate` reads it.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

from absl import flags

import slotjax
from experiments.files import replaced_whole
from experiments.formats import FORMATS
from experiments.program import one_sentence, prepare, start
from experiments.running.components import MODEL_SETTINGS
from experiments.running.shipped import Shipped, open_ticket
from experiments.running.sources import check_out
from experiments.running.trained import load_trained
from slotjax.tickets import LargeTicket, describe_ticket


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_string("workdir", None, "The run, as given to experiments.train.", flag_values=values)
    flags.DEFINE_string("ticket", None, "A ticket of such a run, in place of --workdir.", flag_values=values)
    flags.DEFINE_string("out", None, "The file to write.", flag_values=values)
    flags.DEFINE_enum("format", "ticket", ["ticket", *FORMATS], "What to write.", flag_values=values)
    flags.DEFINE_integer(
        "epoch",
        None,
        "Epoch whose checkpoint is taken. Default: that of the best validation accuracy.",
        flag_values=values,
    )


def export(workdir: Path, out: Path, epoch: int | None = None) -> dict[str, Any]:
    """Writes the ticket, and returns what it says of the run.

    Raises:
        ValueError: if the run or the checkpoint does not exist, if the ticket cannot be written, or if it would
            overwrite a file of the run.
    """
    check_out(out, workdir)
    trained = load_trained(workdir, epoch)
    settings, history = trained.settings, trained.history
    model = {name: getattr(settings, name) for name in (*MODEL_SETTINGS, "compute_dtype")}
    metadata = {
        "model": settings.model,
        "model_settings": model,
        "dataset": settings.dataset,
        **trained.inputs._asdict(),
        "epoch": len(history) - 1,
    }
    collections = {"batch_stats": trained.batch_stats} if trained.batch_stats else None
    try:
        with replaced_whole(out) as temporary, warnings.catch_warnings():
            # `main` says it, with the name of the file that stays.
            warnings.simplefilter("ignore", LargeTicket)
            slotjax.save_ticket(
                temporary, trained.selector, trained.variables, collections, metadata, history[0].get("proof")
            )
    except OSError as error:
        raise ValueError(f"--out: {out} cannot be written ({error.strerror})") from error
    return metadata | {"test": history[-1]["test"]}


def convert(shipped: Shipped, format_name: str, out: Path) -> None:
    """Writes the network of a ticket in another format.

    Raises:
        ImportError: if a package that writes it is not installed.
        ValueError: if the file cannot be written, or the network not be converted.
    """
    try:
        with replaced_whole(out) as temporary:
            FORMATS[format_name].write(shipped, temporary)
    except OSError as error:
        raise ValueError(f"--out: {out} cannot be written ({error.strerror})") from error


def main(arguments: list[str]) -> None:
    """Exports the run or the ticket of the flags."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ImportError, ValueError, OSError):
        _check(values)
        out, name = Path(values.out), values.format
        if values.ticket:
            _convert_and_say(Path(values.ticket), name, out)
        elif name == "ticket":
            _say(out, export(Path(values.workdir), out, values.epoch))
        else:
            check_out(out, Path(values.workdir))
            with tempfile.TemporaryDirectory() as directory:
                export(Path(values.workdir), Path(directory) / "ticket", values.epoch)
                _convert_and_say(Path(directory) / "ticket", name, out)


def _check(values: flags.FlagValues) -> None:
    if values.ticket and (values.workdir or values.epoch is not None or values.format == "ticket"):
        raise ValueError("--ticket: it takes another --format, and neither --workdir nor --epoch")
    for name in ("workdir", "out"):
        if not values[name].value and not (name == "workdir" and values.ticket):
            raise ValueError(f"--{name}: it must be given")


def _convert_and_say(ticket: Path, name: str, out: Path) -> None:
    convert(open_ticket(ticket), name, out)
    print(f"{out}: {out.stat().st_size:,} bytes. {FORMATS[name].lacks}")


def _say(out: Path, said: dict[str, Any]) -> None:
    accuracy = said["test"]["accuracy"]
    print(f"{out}: {out.stat().st_size:,} bytes, epoch {said['epoch']}, test accuracy {100 * accuracy:.2f} %")
    advice = describe_ticket(out).advice
    if advice is not None:
        print(advice)


if __name__ == "__main__":
    define_flags()
    start(main)
