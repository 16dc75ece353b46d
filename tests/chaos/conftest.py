"""The chaos suite: one fault a row, and for each row one line with PASS or FAIL and its figure.

QUILT_CHAOS=full takes the sizes and times of the fault matrix instead of compressed ones."""
import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "rest"), str(TESTS / "interop")]
from disk import Disk  # noqa: E402 (beside this file)
from plane import Plane  # noqa: E402 (of the tests of the REST API)

FULL = os.environ.get("QUILT_CHAOS") == "full"
ROWS = []


def pytest_configure(config):
    config.addinivalue_line("markers", "row(id, title): a row of the fault matrix")


@pytest.fixture
def full():
    """Whether the whole of each row is wanted."""
    return FULL


@pytest.fixture
def figure(request):
    """Says the row's figure; the latest counts."""
    def say(text):
        request.node.figure = text
    return say


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
def disk(tmp_path):
    """A failing disk for what is in the directory "db" of the test's own."""
    directory = tmp_path / "db"
    directory.mkdir()
    return Disk(directory, tmp_path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    row = item.get_closest_marker("row")
    if not row or (report.when != "call" and report.passed):
        return
    verdict = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}[report.outcome]
    ROWS.append(f"{row.args[0]:<4} {verdict}  {row.args[1]}: {getattr(item, 'figure', 'no figure')}")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("fault matrix")
    for line in ROWS:
        terminalreporter.write_line(line)
