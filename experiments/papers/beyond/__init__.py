"""Experiments that are in neither paper."""

from experiments.papers.beyond import eighth, methods, mnist, record, resnet18

FIGURES = (*mnist.FIGURES, *methods.FIGURES, *eighth.FIGURES, *resnet18.FIGURES, *record.FIGURES)

__all__ = ["FIGURES"]
