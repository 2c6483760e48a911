"""Experiments that are in neither paper."""

from experiments.papers.beyond import eighth, mnist, resnet18

FIGURES = (*mnist.FIGURES, *eighth.FIGURES, *resnet18.FIGURES)

__all__ = ["FIGURES"]
