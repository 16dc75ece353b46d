import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from plane import Plane  # noqa: E402 (beside this file)


@pytest.fixture
def make_plane(tmp_path):
    """Makes control planes that are not started yet; all are ended with the test."""
    planes = []

    def make(*options, directory=tmp_path):
        planes.append(Plane(directory, *options))
        return planes[-1]
    yield make
    for plane in planes:
        plane.end()


@pytest.fixture
def plane(make_plane):
    return make_plane().start()
