"""The small ImageNet as a stream, and a copy of it that a test may damage."""

import shutil

import pytest

from slotjax import data
from tests.small_imagenet import SIZE


@pytest.fixture(scope="session")
def stream(prepared):
    return data.load_imagenet(str(prepared), SIZE)


@pytest.fixture
def own(prepared, tmp_path):
    """A copy of the dataset that a test may damage."""
    shutil.copytree(prepared / "imagenet2012", tmp_path / "imagenet2012")
    return tmp_path
