"""The papers' recipes: what a setting is where the user gives none."""

import dataclasses
from typing import Any, NamedTuple

from experiments.configuration.settings import Settings

_LEARNED_EPOCHS = {"conv4": 330, "conv6": 330, "vgg19": 320}  # Table 1 of Aladago & Torresani


class Recipe(NamedTuple):
    """Optimization, distribution, network and data of one method."""

    learning_rate: float
    weight_decay: float
    schedule: str
    epochs: int
    distribution: str
    padding: str
    dropout: float
    augmentation: str
    batch_size: int = 128
    momentum: float = 0.9
    warmup_epochs: int = 0
    label_smoothing: float = 0.0


def recipe(settings: Settings) -> Recipe:
    """What the papers do with the method of the settings.

    Slot machines, learned weights and finetuning: section 4.1 of Aladago & Torresani (2021). Edge-popup and supermasks:
    sections 4.1 and 4.4 of Ramanujan et al. (2020), which gives the latter the absurd rate of 200 as Zhou et al. do.
    Adam, of learned weights: section 4.1 there. ImageNet: the configuration that they released. Nearest initial scores,
    which are not in the papers, train like weights.

    >>> recipe(Settings(k=64)).learning_rate, recipe(Settings(selection="probabilistic")).weight_decay
    (0.1, 0.0)
    >>> recipe(Settings(method="edge_popup"))[2:5]
    ('cosine', 100, 'signed_kaiming_constant')
    >>> recipe(Settings(model="vgg19", dataset="cifar10", method="learned"))[5:8]
    ('VALID', 0.5, 'flip')
    >>> recipe(Settings(model="resnet50", dataset="imagenet2012", method="edge_popup"))[:4]
    (0.256, 3.0517578125e-05, 'cosine', 100)
    """
    optimization, masks = _optimization(settings), settings.method in ("edge_popup", "supermask")
    distribution = "signed_kaiming_constant" if masks else "glorot_uniform"
    augmentation = ("flip_and_crop" if masks else "flip") if settings.dataset in ("cifar10", "cifar100") else "none"
    padding, dropout = ("SAME", 0.0) if masks else ("VALID", 0.5)
    papers = Recipe(*optimization, distribution, padding, dropout, augmentation)
    if settings.optimizer == "adam":
        rate = 2e-4 if settings.model == "conv2" else 3e-4
        papers = papers._replace(learning_rate=rate, weight_decay=0.0, schedule="constant", batch_size=60)
    return _of_imagenet(papers, settings) if settings.dataset == "imagenet2012" else papers


def resolve(settings: Settings) -> Settings:
    """The settings with the recipe's values where none is given.

    >>> resolve(Settings(k=64)).learning_rate
    0.1
    """
    values: dict[str, Any] = recipe(settings)._asdict()
    return dataclasses.replace(settings, **{name: values[name] for name in values if getattr(settings, name) is None})


def _optimization(settings: Settings) -> tuple[float, float, str, int]:
    """Learning rate, weight decay, schedule and epochs."""
    if settings.method == "slot_machine":
        return *_slot_machine(settings), "warm_restarts", 220 if settings.model == "vgg19" else 200
    if settings.method == "learned":
        rate = 0.1 if settings.model == "vgg19" or "resnet" in settings.model else 0.01
        return rate, 1e-4, "warm_restarts", 100 if settings.init_from else _LEARNED_EPOCHS.get(settings.model, 200)
    if settings.method == "edge_popup":
        return 0.1, 1e-4, "cosine", 100
    if settings.method == "supermask":
        return 200.0, 0.0, "cosine", 100
    return 0.0, 0.0, "constant", 1


def _of_imagenet(papers: Recipe, settings: Settings) -> Recipe:
    # The rates of slot machines and supermasks are of their scores, not of the data.
    if settings.method in ("edge_popup", "learned") and not settings.init_from:
        papers = papers._replace(learning_rate=0.256, weight_decay=2**-15)
    epochs = papers.epochs if settings.method == "random" else 100
    return papers._replace(
        schedule="cosine",
        epochs=epochs,
        batch_size=256,
        momentum=0.875,
        warmup_epochs=min(5, (settings.epochs or epochs) - 1),  # those who ask for fewer want to see an epoch
        label_smoothing=0.1,
    )


def _slot_machine(settings: Settings) -> tuple[float, float]:
    if settings.selection == "probabilistic":
        return 25.0, 0.0
    if settings.initial == "nearest":
        return 0.05, 0.0
    return (0.2 if settings.k <= 8 else 0.1), 1e-4
