"""What the papers look at in a run beside its accuracy, from the checkpoints that it kept."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.running.numbers import number
from experiments.running.records import settings_in
from experiments.running.trained import Trained, load_each, load_trained
from experiments.running.workdir import read_config
from slotjax import analysis
from slotjax.selectors import Selector, named_leaves

BINS = 41


def selection_changes(workdir: Path, epochs: tuple[int, ...]) -> dict[str, float]:
    """The share of selections that changed since the epoch before in `epochs`, by epoch.

    Probabilistic selections are samples, as in training: two of them differ even where no score has changed.

    Figure 7 of Aladago & Torresani (2021).
    """
    shares, before = {}, None
    for epoch in epochs:
        trained = load_trained(workdir, epoch)
        after = trained.selector.selection(trained.variables, _key(trained, epoch))
        if before is not None:
            shares[str(epoch)] = number(analysis.share_changed(before, after))
        before = after
    return shares


def weight_histograms(workdir: Path, epochs: tuple[int, ...]) -> dict[str, Any]:
    """Histograms of each weight's values: by its name, their `edges`, counts of those `offered`, and of those selected.

    The latter are by epoch. Before training, selections are distributed as what is offered.

    Figure 11 of Aladago & Torresani (2021).
    """
    found: dict[str, Any] = {}
    for epoch in epochs:
        trained = load_trained(workdir, epoch)
        histograms = analysis.offered_and_selected(trained.selector, trained.variables, BINS)
        for name, (offered, selected, edges) in histograms.items():
            rounded = [round(float(edge), 6) for edge in edges]
            weight = found.setdefault(name, {"edges": rounded, "offered": offered.tolist()})
            weight[str(epoch)] = selected.tolist()
    return found


def latent_distances(workdir: Path, epochs: tuple[int, ...]) -> dict[str, float]:
    """How far latent values are from the options that are selected, in deviations of the weight, by epoch.

    The mean over connections of `|u - W| / sigma`, with sigma that of the selected values; none for runs that have no
    latent values.
    """
    settings = settings_in(read_config(workdir), workdir / "config.json")
    is_latent = settings.optimizer != "sgd" or settings.initial == "given"
    if settings.scores != "factored" or settings.initial == "uniform" or not is_latent or not epochs:
        return {}
    trained = load_each(workdir, epochs)
    mean = jax.jit(partial(_distance, trained[0].selector))
    return {str(epoch): number(mean(one.variables)) for epoch, one in zip(epochs, trained, strict=True)}


def _distance(selector: Selector, variables: dict[str, Any]) -> jax.Array:
    weights, trains = named_leaves(selector.select(variables)), named_leaves(variables["params"])
    latent = {name: trains[f"{name}/u"] for name in weights if f"{name}/u" in trains}
    sums = [(jnp.abs(u - weights[name]) / weights[name].std()).sum() for name, u in latent.items()]
    return sum(sums, jnp.zeros(())) / sum(u.size for u in latent.values())


def _key(trained: Trained, epoch: int) -> Any:
    if trained.settings.selection != "probabilistic":
        return None
    return jax.random.fold_in(jax.random.key(trained.settings.seed), epoch)
