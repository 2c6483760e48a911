"""What the ledger's runs were trained on."""

from collections import Counter

from experiments.papers.results import Ledger


def machines_sentence(lines: Ledger) -> str:
    """The devices of the ledger's runs, the most used first, and what is not float32 in them.

    >>> hardware = {"platform": "gpu", "devices": ["NVIDIA H200"]}
    >>> print(machines_sentence({"key": {"hardware": hardware}}))
    Trained on: NVIDIA H200 (1 run; float32 products and convolutions are TF32 inside).
    """
    counts = Counter(_devices(line) for line in lines.values())
    return f"Trained on: {', '.join(_described(*counted) for counted in counts.most_common())}."


def _devices(line: dict) -> tuple[str, bool]:
    hardware = line["hardware"]
    count, name = len(hardware["devices"]), hardware["devices"][0].replace("cpu", "CPU")
    # What JAX does on GPUs, if nobody asks for more.
    is_tf32 = hardware["platform"] == "gpu" and hardware.get("matmul_precision") in (None, "default")
    return f"{count} x {name}" if count > 1 else name, is_tf32


def _described(devices: tuple[str, bool], runs: int) -> str:
    name, is_tf32 = devices
    return f"{name} ({runs} run{'s' * (runs > 1)}{'; float32 products and convolutions are TF32 inside' * is_tf32})"
