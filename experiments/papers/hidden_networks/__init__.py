"""Ramanujan et al., "What's Hidden in a Randomly Weighted Neural Network?" (CVPR 2020): its runs and figures."""

from experiments.papers.hidden_networks import cifar, imagenet
from experiments.papers.hidden_networks.runs import NETWORKS, edge_popup, learned, network_title

FIGURES = (*cifar.FIGURES, *imagenet.FIGURES)

__all__ = ["FIGURES", "NETWORKS", "edge_popup", "learned", "network_title"]
