"""A ticket that tests may damage."""

import shutil

import pytest

import slotjax
from tests import paper
from tests.slotjax.tickets.trained_variables import trained


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "ticket"
    selector = paper.slot_machine(5, scores="factored", options="seeded")
    slotjax.save_ticket(path, selector, trained(selector))
    return path


@pytest.fixture
def ticket(saved, tmp_path):
    shutil.copy(saved, tmp_path / "ticket")
    return tmp_path / "ticket"
