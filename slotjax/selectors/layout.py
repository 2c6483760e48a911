"""Whether variables are those that a selector made: the names and shapes of what is frozen."""

from collections.abc import Iterable

from slotjax.selectors.selector import Weight


def check_names(weight: Weight, expected: Iterable[str]) -> None:
    """Raises unless exactly these values are frozen."""
    if set(weight.frozen) != set(expected):
        raise ValueError(
            f"variables: {weight.name!r} has frozen {sorted(weight.frozen)}, but this selector needs "
            f"{sorted(expected)}; they were made by another selector, or with another choice of options or scores"
        )


def check_options(weight: Weight, k: int, shape: tuple[int, ...], what: str) -> None:
    """Raises unless stored options are `(k, *shape)`, or `(k,)` if shared, and stored scores `(k, *shape)`."""
    options, whole = weight.frozen.get("options"), (k, *shape)
    if options is not None and options.shape not in (whole, whole[:1]):
        raise ValueError(f"variables: {weight.name!r} has {what}, but options of shape {options.shape}")
    scores = weight.frozen.get("scores")
    if scores is not None and scores.shape != whole:
        raise ValueError(f"variables: {weight.name!r} has {what}, but initial scores of shape {scores.shape}")
