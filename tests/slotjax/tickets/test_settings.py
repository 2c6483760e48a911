"""The selector that a ticket gives equals the one that made it, or is None."""

import dataclasses
import json
import re
from typing import ClassVar

import jax
import numpy as np
import pytest

import slotjax
from slotjax import distributions
from slotjax.selectors import decided, drawn_about_zero, make_selector, matrices_and_kernels
from slotjax.tickets import settings
from tests import paper
from tests.slotjax.selectors.test_contract import DISTRIBUTIONS, SELECTORS
from tests.slotjax.tickets.made_tickets import MADE, VECTORS

PARAMS = {
    "dense": {"kernel": np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)},
    "bias": np.arange(5, dtype=np.float32),
}
GLOROT, HALF = distributions.glorot_uniform(), slotjax.edge_popup(0.5)


def through_json(selector):
    """What a ticket holds of a selector, as it is read back."""
    return json.loads(json.dumps(settings.described(selector), sort_keys=True, allow_nan=False))


def with_distribution(distribution, **arguments):
    return slotjax.slot_machine(3, distribution=distribution, **arguments)


COMPLETE = {
    "default": slotjax.slot_machine(),
    "score_scale": paper.slot_machine(4, score_scale=0.25),
    "explicit": slotjax.slot_machine(2, "probabilistic", scores="explicit", options="stored", sparse=True),
    "network": slotjax.slot_machine(5, share="network", initial="given", exact=True),
    "fan": with_distribution(distributions.kaiming_normal("fan_out")),
    "matrix": with_distribution(GLOROT.for_matrix(inputs=2)),
    "scaled": slotjax.edge_popup(0.3, distribution=distributions.scaled_for(0.3, GLOROT.for_matrix(1))),
    "own, scaled": slotjax.supermask(distribution=distributions.scaled_for(0.3, distributions.own_scale("normal"))),
    "supermask": slotjax.supermask(evaluation="sampled", rescale=True, options="seeded"),
    "biprop": slotjax.biprop(0.3, options="seeded", distribution=GLOROT),
    "multicoat": slotjax.multicoat([0.5, 0.25]),
    "partly frozen": slotjax.partly_frozen(HALF, 0.3, 0.2),
    "partly frozen, decided": decided(slotjax.partly_frozen(slotjax.slot_machine(4)), ["b", "a"]),
    "global": slotjax.edge_popup(1 / 3, ranking="global"),
    "random": slotjax.random_selection(),
    "learned": slotjax.learned(),
    "learned, drawn": slotjax.learned(GLOROT),
    "fixed": slotjax.fixed(),
    "where by name": slotjax.slot_machine(where=matrices_and_kernels),
    "where values vary": with_distribution(GLOROT, where=drawn_about_zero),
    "decided": decided(slotjax.slot_machine(), ["b", "a"]),
    # In the order of the patterns, which is not that of the alphabet.
    "partition": slotjax.partition({"z.*": HALF, "b.*": slotjax.fixed(), ".*": slotjax.learned()}),
    "nested": slotjax.partition({"z.*": slotjax.partition({"(?i)z.*": HALF, ".*": slotjax.learned()}), ".*": HALF}),
}


@pytest.mark.parametrize("selector", COMPLETE.values(), ids=COMPLETE)
def test_a_selector_is_made_anew_from_what_a_ticket_says(selector):
    again = settings.remade(through_json(selector))
    assert again == selector
    assert hash(again) == hash(selector)


def test_every_method_is_made_anew():
    for make in SELECTORS.values():
        selector = make()
        is_foreign = getattr(selector.settings, "distribution", None) is DISTRIBUTIONS["initializer"]
        assert settings.remade(through_json(selector)) == (None if is_foreign else selector)


@dataclasses.dataclass(frozen=True)
class Disguised(type(HALF.settings)):
    """A method of one's own under the name and with the arguments of another."""

    name: ClassVar = "edge_popup"


def own_rule(name, leaf):
    return name.endswith("kernel")


def own_flags():
    mixed = slotjax.partition({"DENSE.*": slotjax.slot_machine(2)})
    return dataclasses.replace(mixed, rules=((re.compile("DENSE.*", re.IGNORECASE), mixed.rules[0][1]),))


INCOMPLETE = {
    "where": lambda: slotjax.slot_machine(where=own_rule),
    "initializer": lambda: slotjax.slot_machine(options="stored", distribution=jax.nn.initializers.he_normal()),
    "scale": lambda: with_distribution(distributions.Distribution("normal", lambda shape: 0.1)),
    "scaled scale": lambda: slotjax.edge_popup(
        distribution=distributions.scaled_for(0.5, distributions.Distribution("normal", lambda shape: 0.1))
    ),
    "disguised": lambda: make_selector(Disguised(**vars(HALF.settings)), HALF.where),
    "partition": lambda: slotjax.partition({"a": HALF, ".*": slotjax.slot_machine(where=own_rule)}),
    "flags": own_flags,
}


@pytest.mark.parametrize("make", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_selector_that_a_ticket_cannot_say_is_none(make):
    told = through_json(make())
    assert settings.remade(told) is None
    assert "edge_popup" in str(told) or "slot_machine" in str(told)


def altered(change):
    told = through_json(slotjax.slot_machine(3, distribution=GLOROT))
    change(told)
    return told


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"method": "slot_machine", "k": 3},
        {"dense": {"method": "slot_machine"}},
        {"method": "partition", "rules": [["(", through_json(HALF)]]},
        {"method": "partition", "rules": [["a", through_json(HALF)], ["a", through_json(slotjax.fixed())]]},
        altered(lambda told: told.update(method="os.system")),
        altered(lambda told: told.update(method=[])),
        altered(lambda told: told.update(k=0)),
        altered(lambda told: told.update(k="3")),
        altered(lambda told: told.update(more=1)),
        altered(lambda told: told.update(where="own_rule")),
        altered(lambda told: told.update(where=["b", "a"])),
        altered(lambda told: told.pop("where")),
        altered(lambda told: told.pop("k")),
        altered(lambda told: told.pop("distribution")),
        altered(lambda told: told["distribution"].update(kind="cauchy")),
        altered(lambda told: told["distribution"]["scale"].update(more=1)),
        altered(lambda told: told["distribution"]["scale"].pop("gain")),
    ],
)
def test_what_no_selector_says_is_none(told):
    assert settings.remade(told) is None


@pytest.mark.slow
def test_a_deep_forgery_takes_no_long_time():
    told = through_json(HALF)
    for _ in range(100):
        told = {"method": "partition", "rules": [[".*", told]]}
    assert settings.remade(told) is not None
    for _ in range(10_000):
        told = {"method": "partition", "rules": [[".*", told]]}
    assert settings.remade(told) is None


def test_a_loaded_selector_reads_the_variables(tmp_path):
    selector = slotjax.partition({".*/kernel": slotjax.slot_machine(3), ".*": slotjax.learned()})
    variables = selector.init(jax.random.key(0), PARAMS)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    ticket = slotjax.load_ticket(tmp_path / "ticket")
    assert ticket.selector == selector
    assert (ticket.selector.select(variables)["dense"]["kernel"] == ticket.weights["dense"]["kernel"]).all()


SAYS_ALL = {
    "own-stratified-k12",
    "biprop-normal-float16",
    "own-bell-k8",
    "partly-supermask",
    "partly-slots-k5",
}  # made since tickets do


@pytest.mark.parametrize("name", [*MADE, "format1"])
def test_tickets_that_do_not_say_all_of_it_have_none(name):
    ticket = slotjax.load_ticket(VECTORS / f"{name}.ticket")
    assert (ticket.selector is not None) == (name in SAYS_ALL)
    assert "method" in str(ticket.settings)
