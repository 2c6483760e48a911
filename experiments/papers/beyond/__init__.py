"""Experiments that are in neither paper."""

from experiments.papers.beyond import mnist, resnet18

FIGURES = (*mnist.FIGURES, *resnet18.FIGURES)

__all__ = ["FIGURES"]
