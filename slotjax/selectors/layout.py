"""Whether variables are those that a selector made: the names and shapes of what is frozen."""

from collections.abc import Iterable

import numpy as np

from slotjax.options import Made, MisfitError, Source
from slotjax.selectors.selector import Weight


def check_made(weight: Weight, source: Source, shape: tuple[int, ...], more: Made | None = None) -> None:
    """Raises for frozen values of another source, or for a stack of them."""
    made = weight.frozen.made.get("shape", shape)
    if len(made) != len(shape):
        weight.frozen.check({"shape": shape})
    weight.frozen.check({**source.made(made), **(more or {})})


def check_no_weight(weight: Weight) -> None:
    """Raises for the weight itself in place of its scores."""
    if np.shape(weight.trainable) == weight.frozen.made.get("shape"):
        raise MisfitError("has a weight in 'params', but it must have scores, as `init` returned them")


def check_names(weight: Weight, expected: Iterable[str]) -> None:
    """Raises unless exactly these values are frozen."""
    if set(weight.frozen) != set(expected):
        raise MisfitError(
            f"has frozen {sorted(weight.frozen)}, but this selector needs {sorted(expected)}; they were made by "
            "another selector, or with another choice of options, scores or distribution"
        )


def check_options(weight: Weight, k: int, shape: tuple[int, ...], what: str) -> None:
    """Raises unless stored options are `(k, *shape)`, or `(k,)` if shared, and stored scores `(k, *shape)`."""
    options, whole = weight.frozen.get("options"), (k, *shape)
    if options is not None and options.shape not in (whole, whole[:1]):
        raise MisfitError(f"has {what}, but options of shape {options.shape}")
    scores = weight.frozen.get("scores")
    if scores is not None and scores.shape != whole:
        raise MisfitError(f"has {what}, but initial scores of shape {scores.shape}")
