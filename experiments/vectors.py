"""Vectors of 512 bits where the processor has them, of which XLA uses half unless it is told otherwise."""

import os
import re
from pathlib import Path

_OPTION = "--xla_cpu_prefer_vector_width"
_PROCESSOR = Path("/proc/cpuinfo")


def prefer_wide_vectors(processor: Path = _PROCESSOR) -> None:
    """Has XLA use whole registers in this process and its children; to be called before anything is compiled.

    It changes no random value; what is computed from them may differ in its last bits. `XLA_FLAGS` has the last word:
    where it mentions the width, or names a file of flags, it stays as it is.

    Args:
        processor: a file that describes the processor, as Linux does. Where there is none, nothing is changed.
    """
    given = os.environ.get("XLA_FLAGS", "").strip()
    if (not given or given.startswith("-")) and _OPTION not in given and _has_avx512(processor):
        os.environ["XLA_FLAGS"] = f"{given} {_OPTION}=512".strip()


def _has_avx512(processor: Path) -> bool:
    described = processor.read_text() if processor.is_file() else ""
    return re.search(r"^flags\s*:.*\bavx512f\b", described, re.MULTILINE) is not None
