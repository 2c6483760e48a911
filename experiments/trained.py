"""What an earlier run in a workdir trained."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

import slotjax
from experiments.components import Inputs, network, optimizer_of, selector_of
from experiments.settings import Settings
from experiments.summary import History, best_record
from experiments.workdir import read_config
from slotjax import training
from slotjax.training.checkpoints import restore_arrays


class Trained(NamedTuple):
    """A network as it was after one epoch of a run."""

    settings: Settings
    inputs: Inputs
    selector: slotjax.Selector
    variables: dict[str, PyTree]
    history: History


def load_trained(workdir: Path, epoch: int | None = None) -> Trained:
    """The network after `epoch` epochs, or at the best validation accuracy of which there is a checkpoint.

    Raises:
        ValueError: if there is no run, or no checkpoint of that epoch.
    """
    config = read_config(workdir)
    settings = Settings(**{name: _hashable(value) for name, value in config["settings"].items()})
    inputs = Inputs(tuple(config["inputs"]["image_shape"]), config["inputs"]["dtype"], config["inputs"]["classes"])
    selector, shapes = selector_of(settings), network(settings.model, inputs)[1]
    # What a finetuning started from is not needed again, only its structure.
    like = shapes if settings.init_from is None else jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape), shapes)
    variables = selector.init(jax.random.key(settings.seed), like)
    state = training.init_state(jax.random.key(0), variables["params"], optimizer_of(settings, 1)[1])
    with training.Checkpoints(workdir / "checkpoints") as checkpoints:
        state, history = _restore(checkpoints, state, epoch, workdir)
    frozen = restore_frozen(workdir, variables["frozen"])
    return Trained(settings, inputs, selector, {"params": state.params, "frozen": frozen}, history)


def restore_frozen(workdir: Path, like: PyTree) -> PyTree:
    """What is frozen in a run; nothing, if weights are learned."""
    return restore_arrays(workdir / "frozen", like) if jax.tree.leaves(like) else like


def starting_weights(source: str, model: str, inputs: Inputs) -> PyTree:
    """What the run `source`, `WORKDIR[@EPOCH]`, selected.

    Raises:
        ValueError: if there is no such run or epoch, or if it is of another network.
    """
    workdir, _, epoch = source.partition("@")
    if epoch and not epoch.isdigit():
        raise ValueError(f"--init_from: {source!r} was given, but it must be WORKDIR or WORKDIR@EPOCH")
    try:
        trained = load_trained(Path(workdir), int(epoch) if epoch else None)
    except (ValueError, OSError) as error:
        raise ValueError(f"--init_from: {source!r} was given, but {error}") from error
    there, here = (trained.settings.model, trained.inputs), (model, inputs)
    if there != here:
        raise ValueError(f"--init_from: the run in {workdir} has {there}, but this one has {here}")
    return trained.selector.select(trained.variables)


def _restore(checkpoints: training.Checkpoints, state: Any, epoch: int | None, workdir: Path) -> tuple[Any, History]:
    epochs = checkpoints.epochs()
    if not epochs:
        raise ValueError(f"--workdir: the run in {workdir} has no checkpoint yet")
    if epoch is None:
        history = checkpoints.restore(epochs[-1], state)[1]
        epoch = int(best_record([record for record in history if record["epoch"] in epochs])["epoch"])
    if epoch not in epochs:
        raise ValueError(f"--epoch: {epoch} was given, but the run in {workdir} has checkpoints of epochs {epochs}")
    return checkpoints.restore(epoch, state)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
