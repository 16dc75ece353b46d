"""What every mesh test gets: a mesh of its own kind, evidence when it fails, and the check that
nothing of it is left."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab.bed import add_logs, bed_of  # noqa: E402 (the tests' own package)


@pytest.fixture
def bed(request):
    """For a test that draws its own mesh."""
    yield from bed_of(request.node)


@pytest.fixture(scope="module")
def module_bed(request):
    """For tests of one file that share a mesh."""
    yield from bed_of(request.node)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    add_logs(item, call, (yield).get_result())
