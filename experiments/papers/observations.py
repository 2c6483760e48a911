"""What the papers look at in a run beside its accuracy, from the checkpoints that it kept."""

from pathlib import Path
from typing import Any

import jax

from experiments.running.numbers import number
from experiments.running.trained import Trained, load_trained
from slotjax import analysis

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


def _key(trained: Trained, epoch: int) -> Any:
    if trained.settings.selection != "probabilistic":
        return None
    return jax.random.fold_in(jax.random.key(trained.settings.seed), epoch)
