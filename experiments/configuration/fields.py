"""Fields of dataclasses that are flags too."""

import dataclasses
from collections.abc import Callable
from typing import Any


def flag(default: Any, define: Callable[..., Any], explanation: str) -> Any:
    """A field with what its flag needs: absl's function that defines it, and its explanation without the default.

    >>> flag(8, print, "Options per connection.").default
    8
    """
    return dataclasses.field(default=default, metadata={"define": define, "explanation": explanation})
