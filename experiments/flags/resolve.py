"""From what is asked for to what a run has."""

import dataclasses
from typing import Any

from experiments.configuration.recipes import value_of
from experiments.configuration.settings import Request, Settings
from experiments.methods import method_of


def resolve(request: Request) -> Settings:
    """The settings of a run: what is asked for, and the method's recipe for what is not said.

    Raises:
        ValueError: for an unknown method.

    >>> resolve(Request(k=64)).learning_rate, resolve(Request(selection="probabilistic")).weight_decay
    (0.1, 0.0)
    >>> settings = resolve(Request(model="resnet50", dataset="imagenet2012", method="edge_popup"))
    >>> settings.learning_rate, settings.weight_decay, settings.schedule, settings.epochs, settings.warmup_epochs
    (0.256, 3.0517578125e-05, 'cosine', 100, 5)
    """
    values: dict[str, Any] = {name: value_of(rows, request) for name, rows in method_of(request).recipe.items()}
    asked = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    values |= {name: value for name, value in asked.items() if value is not None or name not in values}
    if request.warmup_epochs is None:  # those who ask for fewer epochs want to see one
        values["warmup_epochs"] = max(0, min(values["warmup_epochs"], values["epochs"] - 1))
    return Settings(**values)
