"""A run that is never interrupted, for all tests to compare with."""

import pytest

from tests.programs.training_process import EPOCHS, finish


@pytest.fixture(scope="session")
def unbroken(digits, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken") / "run"
    code, output, errors = finish(digits, workdir, EPOCHS, "--keep_epochs=3,6")
    assert code == 0, errors
    return workdir, output, errors
