"""The papers' recipes: what a setting is where the user gives none."""

import dataclasses
from typing import Any, NamedTuple

from experiments.settings import Settings


class Recipe(NamedTuple):
    """Optimization and distribution of one method."""

    learning_rate: float
    weight_decay: float
    schedule: str
    epochs: int
    distribution: str


def recipe(settings: Settings) -> Recipe:
    """What the papers do with the method of the settings.

    Slot machines, learned weights and finetuning: section 4.1 of Aladago & Torresani (2021). Edge-popup and supermasks:
    sections 4.1 and 4.4 of Ramanujan et al. (2020), which gives the latter the absurd rate of 200 as Zhou et al. do.
    Nearest initial scores, which are not in the papers, train like weights.

    >>> recipe(Settings(k=64)).learning_rate, recipe(Settings(selection="probabilistic")).weight_decay
    (0.1, 0.0)
    >>> recipe(Settings(method="edge_popup"))[2:]
    ('cosine', 100, 'signed_kaiming_constant')
    """
    if settings.method == "slot_machine":
        return Recipe(*_slot_machine(settings), "warm_restarts", 200, "glorot_uniform")
    if settings.method == "learned":
        return Recipe(0.01, 1e-4, "warm_restarts", 100 if settings.init_from else 200, "glorot_uniform")
    if settings.method == "edge_popup":
        return Recipe(0.1, 1e-4, "cosine", 100, "signed_kaiming_constant")
    if settings.method == "supermask":
        return Recipe(200.0, 0.0, "cosine", 100, "signed_kaiming_constant")
    return Recipe(0.0, 0.0, "constant", 1, "glorot_uniform")


def resolve(settings: Settings) -> Settings:
    """The settings with the recipe's values where none is given.

    >>> resolve(Settings(k=64)).learning_rate
    0.1
    """
    values: dict[str, Any] = recipe(settings)._asdict()
    return dataclasses.replace(settings, **{name: values[name] for name in values if getattr(settings, name) is None})


def _slot_machine(settings: Settings) -> tuple[float, float]:
    if settings.selection == "probabilistic":
        return 25.0, 0.0
    if settings.initial == "nearest":
        return 0.05, 0.0
    return (0.2 if settings.k <= 8 else 0.1), 1e-4
