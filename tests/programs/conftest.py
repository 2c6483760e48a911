"""A run that is never interrupted, for all tests to compare with."""

import json

import pytest

from tests.programs.training_process import EPOCHS, finish


@pytest.fixture(scope="session")
def unbroken(digits, once):
    def train(directory):
        code, output, errors = finish(digits, directory / "run", EPOCHS, "--keep_epochs=3,6")
        assert code == 0, errors
        (directory / "said.json").write_text(json.dumps([output, errors]))

    directory = once("unbroken", train)
    return directory / "run", *json.loads((directory / "said.json").read_text())
