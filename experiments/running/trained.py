"""What an earlier run in a workdir trained."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

import slotjax
from experiments.configuration.settings import Settings
from experiments.methods import selector_of
from experiments.running.components import Inputs, draw, network, optimizer_of, start_of
from experiments.running.fingerprint import fingerprint
from experiments.running.records import inputs_in, settings_in
from experiments.running.summary import best_record
from experiments.running.workdir import read_config
from slotjax import training


class Trained(NamedTuple):
    """A network as it was after one epoch of a run."""

    settings: Settings
    inputs: Inputs
    selector: slotjax.Selector
    variables: dict[str, PyTree]
    batch_stats: PyTree
    history: training.History


def load_trained(workdir: Path, epoch: int | None = None) -> Trained:
    """The network after `epoch` epochs, or at the best validation accuracy of which there is a checkpoint.

    Raises:
        ValueError: if there is no run, or no checkpoint of that epoch, or if what was frozen is lost.
    """
    return load_each(workdir, [epoch])[0]


def load_each(workdir: Path, epochs: Sequence[int | None]) -> list[Trained]:
    """The network after each of these epochs, as `load_trained` gives it; what is frozen is drawn once for all."""
    config, path = read_config(workdir), workdir / "config.json"
    settings, inputs = settings_in(config, path), inputs_in(config, path)
    selector, built = selector_of(settings), network(settings, inputs)
    # What a finetuning started from is not needed again, only its structure.
    like = start_of(settings, built) if settings.init_from is None else jax.tree.map(_zeros, built.shapes)
    variables = draw(selector, jax.random.key(settings.seed), like)
    optimizer = optimizer_of(settings, 1)[1]
    state = training.init_state(jax.random.key(0), variables["params"], optimizer, built.batch_stats)
    with training.Checkpoints(workdir / "checkpoints", read_only=True) as checkpoints:
        restored = [_restore(checkpoints, state, epoch, workdir) for epoch in epochs]
    sha256 = restored[0][1][0]["frozen_sha256"]
    frozen = restore_frozen(workdir, variables["frozen"], sha256)
    return [
        Trained(
            settings=settings,
            inputs=inputs,
            selector=selector,
            variables={"params": state.params, "frozen": frozen},
            batch_stats=state.batch_stats,
            history=history,
        )
        for state, history in restored
    ]


def restore_frozen(workdir: Path, redrawn: PyTree, sha256: str | None) -> PyTree:
    """What is frozen in a run; nothing, if weights are learned.

    Args:
        workdir: of the run.
        redrawn: what the seed gives. With a warning it is taken if what the run has written down is damaged.
        sha256: the fingerprint of what is frozen, if it is known yet.

    Raises:
        ValueError: if neither has this fingerprint.
    """
    if not jax.tree.leaves(redrawn):
        return redrawn
    try:
        return _read_frozen(workdir / "frozen", redrawn, sha256)
    except ValueError as error:
        if sha256 not in (None, fingerprint(redrawn)):
            raise ValueError(f"--workdir: {error}, and the seed gives other values than the run has") from error
        print(f"{error}; its values are drawn again from the seed.", file=sys.stderr, flush=True)
        return redrawn


def _read_frozen(directory: Path, like: PyTree, sha256: str | None) -> PyTree:
    frozen = training.restore_arrays(directory, like)
    if sha256 not in (None, fingerprint(frozen)):
        raise ValueError(f"{directory} is damaged (its values are not those that the run started with)")
    return frozen


def starting_weights(source: str, settings: Settings, inputs: Inputs) -> tuple[PyTree, PyTree]:
    """What the run `source`, `WORKDIR[@EPOCH]`, selected, and its batch statistics, to start a run of `settings` from.

    Raises:
        ValueError: if there is no such run or epoch, or if it is of another network.
    """
    workdir, _, epoch = source.partition("@")
    if epoch and not re.fullmatch("[0-9]{1,10}", epoch):
        raise ValueError(f"--init_from: {source!r} was given, but it must be WORKDIR or WORKDIR@EPOCH")
    try:
        trained = load_trained(Path(workdir), int(epoch) if epoch else None)
    except (ValueError, OSError) as error:
        # These flags are not what was given here.
        said = re.sub(r"^--(workdir: |epoch: \d+ was given, but )", "", str(error))
        raise ValueError(f"--init_from: {source!r} was given, but {said}") from error
    there, here = ((of.model, of.padding, of.width_multiplier, of.affine) for of in (trained.settings, settings))
    if (*there, trained.inputs) != (*here, inputs):
        raise ValueError(
            f"--init_from: the run in {workdir} has {(*there, trained.inputs)}, but this one has {(*here, inputs)}"
        )
    return jax.jit(trained.selector.select)(trained.variables), trained.batch_stats


def _restore(
    checkpoints: training.Checkpoints, state: Any, epoch: int | None, workdir: Path
) -> tuple[Any, training.History]:
    epochs = checkpoints.epochs()
    if epoch is None:
        restored = checkpoints.restore_latest(state)
        if restored is None:
            raise ValueError(f"--workdir: the run in {workdir} has no checkpoint")
        epoch = int(best_record([record for record in restored[1] if record["epoch"] in epochs])["epoch"])
    if epoch not in epochs:
        raise ValueError(f"--epoch: {epoch} was given, but the run in {workdir} has checkpoints of epochs {epochs}")
    return checkpoints.restore(epoch, state)


def _zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.numpy.zeros(leaf.shape, leaf.dtype)
