"""The chaos suite: one fault a row, and for each row one line with PASS or FAIL and its figure.

QUILT_CHAOS=full takes the sizes and times of the fault matrix instead of compressed ones."""
import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "rest"), str(TESTS / "interop")]
from disk import Disk  # noqa: E402 (beside this file)
from lab.bed import add_logs, bed_of  # noqa: E402 (the tests' own package)
from plane import make_plane  # noqa: E402, F401 (of the tests of the REST API; a fixture)

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
def bed(request):
    """For a row that draws a mesh of its own."""
    yield from bed_of(request.node)


@pytest.fixture(scope="module")
def module_bed(request):
    """For rows of one file that share a mesh."""
    yield from bed_of(request.node)


@pytest.fixture
def disk(tmp_path):
    """A failing disk for what is in the directory "db" of the test's own."""
    directory = tmp_path / "db"
    directory.mkdir()
    return Disk(directory, tmp_path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    add_logs(item, call, report)
    row = item.get_closest_marker("row")
    if not row or (report.when != "call" and report.passed):
        return
    verdict = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}[report.outcome]
    ROWS.append(f"{row.args[0]:<4} {verdict}  {row.args[1]}: {getattr(item, 'figure', 'no figure')}")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("fault matrix")
    for line in ROWS:
        terminalreporter.write_line(line)
