"""A network as it is in a ticket that experiments.export wrote, without the run that it came from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

import slotjax
from experiments.configuration.choices import CHOICES
from experiments.configuration.settings import Request, Settings
from experiments.flags.concerns import check_given
from experiments.flags.resolve import resolve
from experiments.running.components import Inputs, Network, Source, inputs_from, inputs_of, load_source, network


class Shipped(NamedTuple):
    """A ticket, and what its metadata say of the network: its settings, its inputs, and the network itself."""

    ticket: slotjax.tickets.Ticket
    settings: Settings
    inputs: Inputs
    network: Network

    @property
    def batch_stats(self) -> PyTree:
        """Running statistics of batches; `{}` without batch norm."""
        return self.ticket.collections.get("batch_stats", {})


def open_ticket(path: Path) -> Shipped:
    """The network of a ticket.

    Raises:
        ValueError: if the ticket cannot be read, or experiments.export did not write it.
        OSError: if it is not there.
    """
    ticket = slotjax.load_ticket(path)
    known = ticket.metadata
    if known.get("model") not in CHOICES["model"] or "classes" not in known:
        raise ValueError(
            f"--ticket: {path} does not say of which network it is, so experiments.export did not write it"
        )
    inputs, settings = inputs_from(known), _settings(known)
    shipped = Shipped(ticket, settings, inputs, network(settings, inputs))
    arrays = ticket.weights, shipped.batch_stats
    _check_fits(arrays, (shipped.network.shapes, shipped.network.batch_stats), path)
    return shipped


def logits_of(shipped: Shipped) -> Callable[[Any], Any]:
    """The network as a function from images, as the dataset has them, to logits."""
    return lambda images: shipped.network.apply(shipped.ticket.weights, shipped.batch_stats, images)[0]


def source_for(settings: Settings, inputs: Inputs, name: str | None, data_dir: str | None) -> Source:
    """The dataset of that name, by default the one that a network was trained on.

    Raises:
        ValueError: if the network does not fit it, or nothing of it is in a directory that is given.
        ImportError: if a package that reads it is not installed.
        RunError: if it cannot be read.
    """
    settings = replace(settings, dataset=name or settings.dataset)
    check_given(() if data_dir is None else ("data_dir",), settings)
    source = load_source(settings, data_dir)
    if inputs_of(source) != inputs:
        raise ValueError(f"--dataset: it has {inputs_of(source)}, but the ticket was trained for {inputs}")
    return source


def _settings(known: dict[str, Any]) -> Settings:
    """Those that a ticket's network and its images need."""
    given = {"padding": "SAME"} | known.get("model_settings", {})  # the padding of the first tickets, which have none
    image_size = known["image_shape"][0]
    return resolve(Request(model=known["model"], dataset=known["dataset"], image_size=image_size, **given))


def _check_fits(weights: Any, shapes: Any, path: Path) -> None:
    given, expected = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (weights, shapes))
    if given != expected:
        raise ValueError(f"--ticket: {path} has weights of shapes {given}, but its network needs {expected}")
