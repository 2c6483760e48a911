"""What a run came to."""

from typing import Any

import jax
from jaxtyping import PyTree

import slotjax

History = list[dict[str, Any]]


def best_record(history: History) -> dict[str, Any]:
    """The trained epoch of the best validation accuracy, the first if several are equal.

    >>> history = [{"epoch": e, "validation": {"accuracy": a}} for e, a in ((0, 0.99), (1, 0.8), (2, 0.9), (3, 0.9))]
    >>> best_record(history)["epoch"]
    2
    """
    return max(
        (record for record in history if record["epoch"] > 0), key=lambda record: record["validation"]["accuracy"]
    )


def summarize(history: History, selector: slotjax.Selector, variables: PyTree, frozen_sha256: str) -> dict[str, Any]:
    """The content of `summary.json`: connections, accuracies, seconds, and the frozen values' hash before and after."""
    best = best_record(history)
    selection = jax.tree.leaves(jax.eval_shape(selector.selection, variables))
    weights = jax.tree.leaves(jax.eval_shape(selector.select, variables))
    return {
        "connections": sum(leaf.size for leaf in selection),
        "trained": "scores only" if len(weights) == len(selection) else "scores and parameters that are not selected",
        "untrained_test_accuracy": history[0]["test"]["accuracy"],
        "best_epoch": best["epoch"],
        "best_validation_accuracy": best["validation"]["accuracy"],
        "test_accuracy_at_best_validation": best["test"]["accuracy"],
        "last_test_accuracy": history[-1]["test"]["accuracy"],
        "seconds": round(sum(record["time"]["seconds"] for record in history[1:]), 1),
        "frozen_sha256_before": history[0]["frozen_sha256"],
        "frozen_sha256_after": frozen_sha256,
    }


def table(summary: dict[str, Any], k: int) -> str:
    """The summary, one row per line.

    >>> accuracies = {"untrained_test_accuracy": 0.1, "best_validation_accuracy": 0.98, "best_epoch": 7}
    >>> hashes = {"frozen_sha256_before": "ab", "frozen_sha256_after": "ab"}
    >>> rest = {"connections": 266200, "trained": "scores only", "test_accuracy_at_best_validation": 0.97, "seconds": 9}
    >>> print(table(accuracies | hashes | rest, k=8).splitlines()[2])
    test accuracy before training      10.00 % (a random selection)
    """
    before, after = summary["frozen_sha256_before"], summary["frozen_sha256_after"]
    rows = {
        "connections": f"{summary['connections']:,}",
        "options per connection (K)": str(k),
        "test accuracy before training": f"{_percent(summary['untrained_test_accuracy'])} (a random selection)",
        "best validation accuracy": f"{_percent(summary['best_validation_accuracy'])} (epoch {summary['best_epoch']})",
        "test accuracy at that epoch": _percent(summary["test_accuracy_at_best_validation"]),
        "training": f"{summary['seconds']:.1f} s",
        "what was trained": summary["trained"],
        "SHA-256 of what is frozen, before": before,
        "SHA-256 of what is frozen, after": f"{after} ({'the same' if before == after else 'CHANGED'})",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
