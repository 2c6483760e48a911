"""Writes the trained selection of a run as a ticket: a few bits per connection.

    python -m experiments.export --workdir=runs/... --out=lenet.ticket

A LeNet with K = 8 seeded options takes 101 kB; `python -m experiments.evaluate` reads it.
"""

import warnings
from pathlib import Path
from typing import Any

from absl import flags

import slotjax
from experiments.files import replaced_whole
from experiments.program import one_sentence, prepare, start
from experiments.running.components import MODEL_SETTINGS
from experiments.running.sources import check_out
from experiments.running.trained import load_trained
from slotjax.tickets import LargeTicket, describe_ticket


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `start`."""
    flags.DEFINE_string("workdir", None, "The run, as given to experiments.train.", flag_values=values)
    flags.DEFINE_string("out", None, "The ticket to write.", flag_values=values)
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


def main(arguments: list[str]) -> None:
    """Exports the run of the flags."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError, OSError):
        for name in ("workdir", "out"):
            if not values[name].value:
                raise ValueError(f"--{name}: it must be given")
        said = export(Path(values.workdir), Path(values.out), values.epoch)
        size, accuracy = Path(values.out).stat().st_size, said["test"]["accuracy"]
        print(f"{values.out}: {size:,} bytes, epoch {said['epoch']}, test accuracy {100 * accuracy:.2f} %")
        advice = describe_ticket(values.out).advice
        if advice is not None:
            print(advice)


if __name__ == "__main__":
    define_flags()
    start(main)
