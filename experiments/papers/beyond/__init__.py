"""Experiments that are in neither paper."""

from experiments.papers.beyond import eighth, foreign, lenet, methods, mnist, record, resnet18, transformer

FIGURES = (
    *mnist.FIGURES,
    *methods.FIGURES,
    *eighth.FIGURES,
    *resnet18.FIGURES,
    *record.FIGURES,
    *transformer.FIGURES,
    *lenet.FIGURES,
    *foreign.FIGURES,
)

__all__ = ["FIGURES"]
