"""How many examples a property is tried with: few in the quick tests, and many in those marked `fuzz`.

The short form tries the same examples every time, the long one others; of what fails it prints how to try it again.
"""

import os

import pytest
from hypothesis import given, settings

LONG = int(os.environ.get("SLOTJAX_FUZZ", "10000"))


def amounts(short, share=1.0):
    """Has a test run with `short` examples and, marked `fuzz`, with this share of what is asked for."""
    long = pytest.param(max(1, round(share * LONG)), marks=pytest.mark.fuzz, id="long")
    return pytest.mark.parametrize("amount", [pytest.param(short, id="short"), long] if short else [long])


def try_all(amount, strategy, holds):
    """Tries a property, a function of one argument."""
    is_long = "[long]" in os.environ["PYTEST_CURRENT_TEST"]
    chosen = settings(max_examples=amount, derandomize=not is_long, print_blob=is_long)
    chosen(given(strategy)(holds))()
