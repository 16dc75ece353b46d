"""The chaos suite: one fault a row, and at the end one table of all rows: what, its figure, PASS or FAIL. It is
in the build directory, too: fault-matrix.txt.

QUILT_CHAOS=full takes the sizes and times of the fault matrix instead of compressed ones."""
import os
import re
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(TESTS), str(TESTS / "rest"), str(TESTS / "interop")]
from disk import Disk  # noqa: E402 (beside this file)
from lab.bed import add_logs, bed_of  # noqa: E402 (the tests' own package)
from plane import BUILD, make_plane  # noqa: E402, F401 (of the tests of the REST API; a fixture)

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
    """Says the row's figure; the latest counts. Of a test that is several rows, each can have its own."""
    request.node.figures = {}

    def say(text, row=None):
        request.node.figures[row] = text
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
    if report.when != "call" and report.passed:
        return
    verdict = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}[report.outcome]
    figures = getattr(item, "figures", {})
    for row in item.iter_markers("row"):
        name, what = row.args
        ROWS.append((name, verdict, what, figures.get(name) or figures.get(None) or "no figure"))


def by_number(row):
    letter, number, rest = re.fullmatch(r"([A-Z]+)(\d+)(.*)", row[0]).groups()
    return letter, int(number), rest


def table():
    """A row begins with its name and its verdict; what and figure follow."""
    rows = sorted(ROWS, key=by_number)
    verdicts = [verdict for _, verdict, _, _ in rows]
    yield f"{time.strftime('%Y-%m-%d %H:%M')}, {'whole sizes and times' if FULL else 'compressed sizes and times'}"
    for name, verdict, what, text in rows:
        yield f"{name:<5}{verdict}  {what}: {text}"
    yield ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("PASS", "FAIL", "SKIP"))


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    lines = list(table())
    terminalreporter.section("fault matrix")
    for line in lines:
        terminalreporter.write_line(line)
    (BUILD / "fault-matrix.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
