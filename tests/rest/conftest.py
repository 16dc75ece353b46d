"""The tests of the REST API: a control plane of its own for each."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from plane import make_plane  # noqa: E402, F401 (beside this file; a fixture)


@pytest.fixture
def plane(make_plane):  # noqa: F811
    return make_plane().start()
