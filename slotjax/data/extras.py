"""What to say where a package is missing that only an extra of slotjax installs."""

import sys
from importlib.util import find_spec

_MODULES = {"absl-py": "absl", "dm-haiku": "haiku", "pillow": "PIL"}  # all others are imported by their own names


def require(extra: str, what: str, *packages: str) -> None:
    """Raises unless all of `packages` are installed; imports none of them.

    Args:
        extra: the extra that brings them.
        what: what needs them; the sentence starts with it.
        packages: names as in `pyproject.toml`.

    Raises:
        ImportError: in one sentence, with the name of the extra.

    >>> slotjax.data.require("data", "this dataset", "numpy", "no-such-package", "nor-this")
    Traceback (most recent call last):
        ...
    ImportError: this dataset needs no-such-package and nor-this; install slotjax[data]
    """
    missing = [package for package in packages if not _installed(_MODULES.get(package, package.replace("-", "_")))]
    if missing:
        named = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise ImportError(f"{what} needs {named}; install slotjax[{extra}]")


def _installed(module: str) -> bool:
    return module in sys.modules or find_spec(module) is not None
