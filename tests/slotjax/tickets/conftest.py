"""A ticket that tests may damage."""

import pytest

import slotjax
from tests import paper
from tests.slotjax.tickets.trained_variables import trained


@pytest.fixture
def ticket(tmp_path):
    selector = paper.slot_machine(5, scores="factored", options="seeded")
    slotjax.save_ticket(tmp_path / "ticket", selector, trained(selector))
    return tmp_path / "ticket"
