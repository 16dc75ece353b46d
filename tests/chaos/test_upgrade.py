"""The file is brought to the next version: it is of the one or of the other, whenever the power goes."""
import random
import shutil
import signal
import sqlite3

import pytest
from load import check_file
from plane import BUILD, PROGRAM

NEXT = BUILD / "tests" / "chaos" / "quilt-mesh-control-next"
NODES = 40


def facts_of(plane, scratch):
    """What a file says that nobody has open, read from a copy of it: its version, what there is of that
    version, and its nodes."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(plane.directory, scratch)
    database = sqlite3.connect(scratch / plane.db.name)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def one(sql):
        return database.execute(sql).fetchone()[0]
    objects = {row[0] for row in database.execute("SELECT name FROM sqlite_schema")}
    facts = {
        "version": one("PRAGMA user_version"),
        "reservations": "reservations" in objects,
        "next": "next" in objects and "next_by_kind" in objects,
        "padded": one("SELECT count(*) FROM records WHERE body ->> '$.padding' IS NOT NULL"),
        "records": one("SELECT count(*) FROM records"),
        "wal": "wal" in objects,
        "rows": "row" in [row[1] for row in database.execute("PRAGMA table_info(records)")],
        "form": "form" in [row[1] for row in database.execute("PRAGMA table_info(subnets)")],
        "nodes": dict(database.execute("SELECT node_id, subnet FROM nodes"))}
    database.close()
    return facts


def check_form(facts, newest):
    """Everything of its version is there, and nothing of a later one."""
    version, is_next = facts["version"], facts["version"] == newest + 1
    assert 1 <= version <= newest + 1
    assert facts["reservations"] == (version >= 2)
    assert facts["rows"] == (version >= 3)
    assert facts["wal"] == (version >= 4)
    assert facts["next"] == facts["form"] == is_next
    assert facts["padded"] == (facts["records"] if is_next else 0)


@pytest.fixture
def old(disk, make_plane, tmp_path):
    """A file of the present version, as a crash leaves it, kept beside."""
    plane = make_plane(directory=disk.directory)
    plane.log_path = tmp_path / "control.log"
    plane.start()
    for number in range(NODES):
        plane.join(number)
    plane.kill()
    plane.env = disk.env()
    plane.kept = tmp_path / "kept"
    shutil.copytree(disk.directory, plane.kept)
    plane.newest = facts_of(plane, tmp_path / "scratch")["version"]
    return plane


# The tables and views of the first release, filled with what there is.
FIRST_RELEASE = """
    DROP VIEW nodes; DROP VIEW subnets; DROP VIEW reservations;
    ALTER TABLE records RENAME TO later_records;
    ALTER TABLE changes RENAME TO later_changes;
    CREATE TABLE records(
      kind TEXT NOT NULL, id TEXT NOT NULL,
      created_revision INTEGER NOT NULL, revision INTEGER NOT NULL,
      key TEXT, body TEXT NOT NULL,
      PRIMARY KEY(kind, id), UNIQUE(kind, key)) STRICT, WITHOUT ROWID;
    CREATE TABLE changes(
      revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
      verb TEXT NOT NULL CHECK(verb IN ('create', 'update', 'delete')),
      at INTEGER NOT NULL, PRIMARY KEY(revision, kind, id)) STRICT, WITHOUT ROWID;
    INSERT INTO records SELECT kind, id, created_revision, revision, key, body FROM later_records;
    INSERT INTO changes SELECT revision, kind, id, verb, at FROM later_changes;
    DROP TABLE later_records; DROP TABLE later_changes; DROP TABLE wal;
    CREATE VIEW nodes AS SELECT id AS node_id, body ->> '$.hostname' AS hostname,
      body ->> '$.host_ip' AS host_ip, body ->> '$.subnet' AS subnet,
      body ->> '$.status' AS status, body ->> '$.has_left' AS has_left,
      datetime(body ->> '$.registered_at', 'unixepoch') AS registered_at, revision
      FROM records WHERE kind = 'node' ORDER BY created_revision;
    CREATE VIEW subnets AS SELECT id AS subnet, body ->> '$.state' AS state,
      body ->> '$.node_id' AS node_id, revision FROM records WHERE kind = 'lease';
    PRAGMA user_version=1;
"""


def make_older(plane):
    """The kept file becomes one of the first release."""
    database = sqlite3.connect(plane.kept / plane.db.name)
    database.executescript(FIRST_RELEASE)
    database.close()


@pytest.mark.row("F31", "kill -9 before each step of an upgrade")
@pytest.mark.parametrize("upgrade", ["first release to present", "present to next", "first release to next"])
def test_kill_while_upgrading(disk, old, tmp_path, figure, full, upgrade):
    if upgrade.startswith("first"):
        make_older(old)
    old.program = NEXT if upgrade.endswith("next") else PROGRAM
    stride = 1 if full else 16 if old.program == NEXT else 2
    step, seen = random.randint(1, stride) - stride, []
    while True:
        step += stride
        shutil.rmtree(disk.directory)
        shutil.copytree(old.kept, disk.directory)
        disk.heal()
        disk.set(kill_at=step, long_write=16384)  # of making room for the log: F2 hits those
        if old.spawn().wait_started():
            old.process.send_signal(signal.SIGTERM)
        code = old.wait_exit()
        facts = facts_of(old, tmp_path / "scratch")
        check_form(facts, old.newest)
        assert len(facts["nodes"]) == NODES
        disk.heal()
        if code == 0:
            break
        assert code == -signal.SIGKILL, old.log()
        seen.append(facts["version"])
        old.start()
        assert {node["node_id"]: node["subnet"] for node in old.nodes()} == facts["nodes"]
        old.stop()
        check_form(facts_of(old, tmp_path / "scratch"), old.newest)
        check_file(old)
    assert facts["version"] == old.newest + (old.program == NEXT)
    assert seen == sorted(seen) and len(set(seen)) >= 2
    figure(f"{upgrade}: {len(seen)} of {step - 1} steps, the file of version "
           f"{', '.join(f'{version} after {seen.count(version)}' for version in sorted(set(seen)))}; 0 of neither, "
           f"0 of {NODES} nodes lost")


@pytest.mark.row("F31", "a downgrade")
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_downgrade(old, tmp_path, figure, end):
    old.program = NEXT
    old.start()
    (old.stop if end == "stopped" else old.kill)()
    before = {path.name: path.read_bytes() for path in old.directory.iterdir()}
    old.program = PROGRAM
    assert old.spawn().wait_exit() == 1
    lines = [line for line in old.log().splitlines() if "level=error" in line]
    assert len(lines) == 1 and str(old.db) in lines[0], lines
    for words in (f"schema {old.newest + 1}", f"this one knows {old.newest}", "start that version again", "backup"):
        assert words in lines[0]
    if end == "stopped":
        assert {path.name: path.read_bytes() for path in old.directory.iterdir()} == before
    old.program = NEXT
    old.start()
    assert len(old.nodes()) == NODES
    figure(f"next to present, {end}: refused with one line, the next version goes on with all {NODES} nodes")
