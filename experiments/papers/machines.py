"""What the ledger's runs were trained on."""

from collections import Counter
from typing import Any

from experiments.papers.results import Ledger


def machines_sentence(lines: Ledger) -> str:
    """The devices of the ledger's runs, the most used first, and what is not float32 in them.

    >>> hardware = {"platform": "gpu", "devices": ["NVIDIA H200"]}
    >>> print(machines_sentence({"key": {"hardware": hardware}}))
    Trained on: NVIDIA H200 (1 run; float32 products and convolutions are TF32 inside).
    """
    counts = Counter(_devices(line.get("hardware")) for line in lines.values())
    described = (
        f"{devices} ({runs} run{'s' * (runs > 1)}{inside})" for (devices, inside), runs in counts.most_common()
    )
    return f"Trained on: {', '.join(described)}."


def _devices(hardware: dict[str, Any] | None) -> tuple[str, str]:
    if not hardware or not hardware["devices"]:
        return "machines that are not named", ""
    count, name = len(hardware["devices"]), hardware["devices"][0].replace("cpu", "CPU")
    # What JAX does on GPUs, if nobody asks for more.
    is_tf32 = hardware["platform"] == "gpu" and hardware.get("matmul_precision") in (None, "default")
    inside = "; float32 products and convolutions are TF32 inside" * is_tf32
    return f"{count} x {name}" if count > 1 else name, inside
