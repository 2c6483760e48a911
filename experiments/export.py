"""Writes the trained selection of a run as a ticket: a few bits per connection.

    python -m experiments.export --workdir=runs/... --out=lenet.ticket

A LeNet with K = 8 seeded options takes 101 kB; `python -m experiments.evaluate` reads it.
"""

from pathlib import Path
from typing import Any

import jax
from absl import app, flags

import slotjax
from experiments.components import Inputs, network, optimizer_of, selector_of
from experiments.program import one_sentence, prepare
from experiments.settings import Settings
from experiments.summary import best_record
from experiments.workdir import read_config
from slotjax import training
from slotjax.training.checkpoints import restore_arrays


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags; to be called before `app.run`."""
    flags.DEFINE_string("workdir", None, "The run, as given to experiments.train.", flag_values=values)
    flags.DEFINE_string("out", None, "The ticket to write.", flag_values=values)
    flags.DEFINE_integer(
        "epoch",
        None,
        "Epoch whose checkpoint is taken. Unless given, that of the best validation accuracy.",
        flag_values=values,
    )


def export(workdir: Path, out: Path, epoch: int | None = None) -> dict[str, Any]:
    """Writes the ticket, and returns what it says of the run.

    Raises:
        ValueError: if there is no run, no checkpoint of that epoch, or if the ticket cannot be written.
    """
    config = read_config(workdir)
    settings = Settings(**{name: _hashable(value) for name, value in config["settings"].items()})
    inputs = Inputs(tuple(config["inputs"]["image_shape"]), config["inputs"]["dtype"], config["inputs"]["classes"])
    selector = selector_of(settings)
    variables = selector.init(jax.random.key(settings.seed), network(settings.model, inputs)[1])
    state = training.init_state(jax.random.key(0), variables["params"], optimizer_of(settings, 1)[1])
    with training.Checkpoints(workdir / "checkpoints") as checkpoints:
        state, history = _restore(checkpoints, state, epoch, workdir)
    frozen = restore_arrays(workdir / "frozen", variables["frozen"])
    metadata = {"model": settings.model, "dataset": settings.dataset, **inputs._asdict(), "epoch": len(history) - 1}
    try:
        slotjax.save_ticket(out, selector, {"params": state.params, "frozen": frozen}, metadata=metadata)
    except OSError as error:
        raise ValueError(f"--out: {out} cannot be written ({error.strerror})") from error
    return metadata | {"test": history[-1]["test"]}


def _restore(checkpoints: training.Checkpoints, state: Any, epoch: int | None, workdir: Path) -> tuple[Any, Any]:
    epochs = checkpoints.epochs()
    if not epochs:
        raise ValueError(f"--workdir: the run in {workdir} has no checkpoint yet")
    if epoch is None:
        epoch = best_record(checkpoints.restore(epochs[-1], state)[1])["epoch"]
    if epoch not in epochs:
        raise ValueError(f"--epoch: {epoch} was given, but the run in {workdir} has checkpoints of epochs {epochs}")
    return checkpoints.restore(epoch, state)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def main(arguments: list[str]) -> None:
    """Exports the run of the flags."""
    prepare(arguments)
    values = flags.FLAGS
    with one_sentence(ValueError):
        for name in ("workdir", "out"):
            if not values[name].value:
                raise ValueError(f"--{name}: it must be given")
        said = export(Path(values.workdir), Path(values.out), values.epoch)
    size = Path(values.out).stat().st_size
    print(f"{values.out}: {size:,} bytes, epoch {said['epoch']}, test accuracy {100 * said['test']['accuracy']:.2f} %")


if __name__ == "__main__":
    define_flags()
    app.run(main)
