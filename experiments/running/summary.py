"""The results of a run."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree

import slotjax
from experiments.configuration.settings import Request
from experiments.methods import describe
from experiments.running.numbers import bits, number
from slotjax import analysis, data, training
from slotjax.selectors import Optimizer, is_factorable, named_leaves


def best_record(history: training.History) -> dict[str, Any]:
    """The trained epoch of the best validation accuracy, the first if several are equal.

    >>> history = [{"epoch": e, "validation": {"accuracy": a}} for e, a in ((0, 0.99), (1, 0.8), (2, 0.9), (3, 0.9))]
    >>> best_record(history)["epoch"]
    2
    """
    return max(
        (record for record in history if record["epoch"] > 0), key=lambda record: record["validation"]["accuracy"]
    )


def summarize(
    history: training.History,
    selector: slotjax.Selector,
    variables: PyTree,
    proof: str | None,
    optimizer: Optimizer,
) -> dict[str, Any]:
    """The content of `summary.json`: connections, accuracies, seconds, and the proof that options are as they were."""
    scores = "scores" if is_factorable(optimizer, variables["params"]) else "latent values (not the paper's scores)"
    best = best_record(history)
    weights = named_leaves(jax.eval_shape(selector.select, variables))
    selected = list(named_leaves(jax.eval_shape(selector.selection, variables)))
    chosen = selected or list(weights)

    @jax.jit
    def sparsity(variables: PyTree) -> jax.Array:
        weights = named_leaves(selector.select(variables))
        return analysis.sparsity([weights[name] for name in chosen])

    return {
        "connections": sum(weights[name].size for name in chosen),
        "sparsity": number(sparsity(variables)),
        "trained": _trained(list(weights), selected, list(named_leaves(variables["params"])), scores),
        "untrained_test_accuracy": history[0]["test"]["accuracy"],
        "best_epoch": best["epoch"],
        "best_validation_accuracy": best["validation"]["accuracy"],
        "test_accuracy_at_best_validation": best["test"]["accuracy"],
        "last_test_accuracy": history[-1]["test"]["accuracy"],
        "untrained_test_loss": history[0]["test"]["loss"],
        "test_loss_at_best_validation": best["test"]["loss"],
        "last_validation_loss": history[-1]["validation"]["loss"],
        "last_test_loss": history[-1]["test"]["loss"],
        **_parameters(weights, set(selected), set(named_leaves(variables["params"]))),
        "seconds": round(sum(record["time"]["seconds"] for record in history[1:]), 1),
        "proof": proof,
    }


def table(summary: dict[str, Any], request: Request, more: Mapping[str, str] | None = None) -> str:
    """The summary, one row per line, and more rows if there are any.

    >>> accuracies = {"untrained_test_accuracy": 0.1, "best_validation_accuracy": 0.98, "best_epoch": 7}
    >>> rest = {"connections": 266200, "trained": "scores only", "test_accuracy_at_best_validation": 0.97, "seconds": 9}
    >>> print(table(accuracies | rest | {"sparsity": 0.0, "proof": "ab"}, Request()).splitlines()[2])
    test accuracy before training  10.00 %
    """
    proof = summary.get("proof")
    rows = {
        "method": describe(request),
        "connections": f"{summary['connections']:,}, of which {_percent(summary['sparsity'])} are 0",
        "test accuracy before training": _percent(summary["untrained_test_accuracy"]),
        "best validation accuracy": f"{_percent(summary['best_validation_accuracy'])} (epoch {summary['best_epoch']})",
        "test accuracy at that epoch": _percent(summary["test_accuracy_at_best_validation"]),
        **(_text_rows(summary) if request.dataset in data.TEXTS else {}),
        "training": f"{summary['seconds']:.1f} s",
        "what was trained": summary["trained"],
        "SHA-256 of all options": f"{proof}, before and after" if proof else "nothing is frozen",
        **(more or {}),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _text_rows(summary: dict[str, Any]) -> dict[str, str]:
    losses = {"at that epoch": summary["test_loss_at_best_validation"], "at the end": summary["last_test_loss"]}
    return {
        f"test loss {when}": f"{loss:.4f} nats, {bits(loss):.3f} bits per character" for when, loss in losses.items()
    }


def _parameters(weights: dict[str, Any], selected: set[str], trainable: set[str]) -> dict[str, int]:
    """How many parameters the network has, and how many of them were learned and not selected."""
    learned = (set(weights) - selected) & trainable
    return {
        "parameters": sum(leaf.size for leaf in weights.values()),
        "learned_parameters": sum(weights[name].size for name in learned),
    }


def _trained(weights: list[str], selected: list[str], trainable: list[str], scores: str = "scores") -> str:
    """What the optimizer changed, and what stayed as it was without being selected.

    >>> _trained(["a/kernel", "a/bias"], ["a/kernel"], ["a/kernel", "a/bias"])
    'scores and parameters that are not selected (bias)'
    >>> _trained(["a/kernel", "a/bias"], ["a/kernel"], ["a/kernel/u", "a/kernel/a"])
    'scores only; fixed: bias'
    """
    rest = set(weights) - set(selected)
    learned, kept = _last(rest & set(trainable)), _last(rest - set(trainable))
    if any(name == one or name.startswith(f"{one}/") for name in trainable for one in selected):
        what = f"{scores} and parameters that are not selected ({learned})" if learned else f"{scores} only"
    elif selected:
        what = f"parameters that are not selected ({learned})" if learned else "nothing"
    else:
        what = f"weights ({learned})" if learned else "nothing"
    return f"{what}; fixed: {kept}" if kept else what


def _last(names: set[str]) -> str:
    return ", ".join(sorted({name.rsplit("/", 1)[-1] for name in names}))


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
