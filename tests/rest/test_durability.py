"""What was answered survives: kill -9, restart, a stop under load, a full disk, a damaged file."""
import contextlib
import http.client
import os
import random
import re
import signal
import sqlite3
import subprocess
import time

import pytest
from lab.wait import wait_for
from load import check_file, start_load
from plane import problem
from secure import SecurePlane

NOBODY = 65534
FULL = os.environ.get("QUILT_TEST_FULL") == "1"
KILL_ROUNDS = int(os.environ.get("QUILT_KILL_ROUNDS", "200" if FULL else "20"))


def test_kill_9_loses_no_answered_registration(make_plane):
    plane = make_plane("--cluster-cidr", "10.0.0.0/9", "--node-prefix", "25").start()
    chance = random.Random(42)
    known = {}
    revision = 0
    for round_number in range(KILL_ROUNDS):
        threads = start_load(plane, round_number * 200)
        time.sleep(chance.uniform(0.002, 0.05))
        plane.kill()
        for thread in threads:
            thread.join()
        for thread in threads:
            known.update({grant["node_id"]: grant["subnet"] for grant in thread.granted})
        plane.start()
        nodes = plane.nodes()
        assert len({node["subnet"] for node in nodes}) == len(nodes)
        stored = {node["node_id"]: node["subnet"] for node in nodes}
        assert known.items() <= stored.items()
        assert plane.metric("quilt_control_revision") >= revision
        revision = plane.metric("quilt_control_revision")
    assert len(known) > KILL_ROUNDS  # the load was one
    plane.stop()
    check_file(plane)


def test_a_stop_under_load_answers_what_is_stored_and_stores_what_is_answered(plane):
    threads = start_load(plane, 0, clients=8, each=30)
    time.sleep(0.03)
    began = time.monotonic()
    assert plane.stop() == 0
    assert time.monotonic() - began < 2
    for thread in threads:
        thread.join()
    granted = [grant["node_id"] for thread in threads for grant in thread.granted]
    plane.start()
    assert sorted(node["node_id"] for node in plane.nodes()) == sorted(granted)


def test_a_restart_keeps_everything_and_goes_on(plane):
    one = plane.join(1)
    two = plane.join(2)
    plane.ask("POST", f"/api/nodes/{two['node_id']}/deregister")
    before, etag = plane.stored_nodes(), plane.ask("GET", "/api/nodes").headers["ETag"]
    plane.restart()
    assert plane.stored_nodes() == before
    assert plane.ask("GET", "/api/nodes").headers["ETag"] == etag
    assert plane.beat(one["node_id"]) == 200
    assert plane.beat(two["node_id"]) == 410
    again = plane.join(1, node_id=one["node_id"], node_token=one["node_token"])
    assert again["node_id"] == one["node_id"]
    assert plane.join(3)["subnet"] == "10.42.3.0/24"


def test_sigint_ends_it_too(plane):
    plane.process.send_signal(signal.SIGINT)
    assert plane.wait_exit() == 0


def test_the_file_is_whole_after_a_stop(plane):
    plane.join(1)
    plane.stop()
    assert not plane.db.with_name("mesh.db-wal").exists()
    assert plane.db.stat().st_mode & 0o777 == 0o600
    check_file(plane)


# ---- starts that are refused --------------------------------------------------------------------


def test_a_second_one_on_the_same_file_is_refused(plane, make_plane):
    second = make_plane(directory=plane.directory)
    second.log_path = plane.directory / "second.log"
    assert second.spawn().wait_exit() == 1
    assert "locked by another process" in second.log()
    assert plane.join(1)["subnet"] == "10.42.1.0/24"


def test_options_that_contradict_the_cluster_are_refused(make_plane):
    plane = make_plane()
    plane.start("--cluster-cidr", "10.99.0.0/16", "--node-prefix", "26")
    assert plane.join(1)["subnet"] == "10.99.0.64/26"
    plane.stop()
    assert plane.spawn("--cluster-cidr", "10.98.0.0/16").wait_exit() == 1
    assert "10.98.0.0/16" in plane.log() and "10.99.0.0/16" in plane.log()
    assert plane.spawn("--node-prefix", "24").wait_exit() == 1
    assert "24" in plane.log() and "26" in plane.log()
    plane.start()  # what is not said is as it was
    assert plane.join(2)["subnet"] == "10.99.0.128/26"
    plane.restart("--cluster-cidr", "10.99.0.0/16")


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("damage", [
    lambda path: overwrite(path, 4100, b"\xa5" * 16),
    lambda path: path.write_bytes(b"Z" * 2048),
    lambda path: os.truncate(path, 8192),
    lambda path: os.truncate(path, 0),
    lambda path: overwrite(path, 0, b"not a database at all"),
], ids=["16 bytes inside", "random bytes", "cut", "empty", "header"])
def test_a_damaged_file_is_exit_65_with_a_way_out(make_plane, damage):
    plane = make_plane().start()
    for number in range(30):
        plane.join(number)
    plane.stop()
    damage(plane.db)
    damaged = plane.db.read_bytes()
    assert plane.spawn().wait_exit() == 65
    assert str(plane.db) in plane.log() and "restore the file from a backup" in plane.log()
    assert plane.db.read_bytes() == damaged  # nothing was made worse


def test_a_file_without_its_cluster_is_exit_65(make_plane):
    """As one that was made by an older version and lost its log is."""
    plane = make_plane().start()
    assert plane.stop() == 0
    database = sqlite3.connect(plane.db)
    database.execute("DELETE FROM records")
    database.execute("DELETE FROM changes")
    database.commit()
    database.close()
    assert plane.spawn().wait_exit() == 65
    assert "it has no record of a cluster" in plane.log() and "cluster founded" not in plane.log()
    assert "node accept-cluster" in plane.log()


def test_a_lost_log_is_exit_65_and_does_not_found_another_cluster(make_plane):
    plane = make_plane().start()
    cluster = plane.ask("GET", "/api/nodes").json()["cluster_id"]
    plane.join(1)
    plane.kill()
    plane.db.with_name("mesh.db-wal").unlink()
    assert plane.spawn().wait_exit() == 65
    assert f"{plane.db}-wal, which has the latest changes, is gone" in plane.log()
    command = f"sqlite3 '{plane.db}' 'UPDATE wal SET need = 0'"
    assert command in plane.log()
    database = sqlite3.connect(plane.db)
    database.execute(command.split("' '")[1].rstrip("'"))
    database.commit()
    database.close()
    plane.start()
    assert plane.ask("GET", "/api/nodes").json() == {"cluster_id": cluster, "nodes": [], "revision": 1}


def test_what_is_to_be_done_is_told_to_its_end_however_long_the_files_names_are(make_plane, tmp_path):
    directory = tmp_path / ("of-a-cluster-" * 8)
    directory.mkdir()
    plane = make_plane(directory=directory).start()
    plane.join(1)
    plane.kill()
    plane.db.with_name("mesh.db-wal").unlink()
    assert plane.spawn().wait_exit() == 65
    assert plane.log().rstrip().endswith('give every node a new token)"')


def test_a_log_that_is_deleted_in_use_ends_the_control_plane_and_loses_nothing(plane):
    plane.join(1)
    plane.db.with_name("mesh.db-wal").unlink()
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert plane.register(2).status != 200
    assert plane.wait_exit() == 1
    assert "was moved or deleted while it was in use; what was in it has been put into the file" in plane.log()
    plane.start()
    assert [node["hostname"] for node in plane.nodes()] == ["node1"]


@pytest.fixture
def unprivileged(make_plane, tmp_path):
    """Runs as nobody, in a directory of his."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    directory = tmp_path / "db"
    directory.mkdir()
    os.chown(directory, NOBODY, NOBODY)
    for parent in directory.parents:
        if parent.stat().st_mode & 0o1 == 0:
            parent.chmod(parent.stat().st_mode | 0o11)
    plane = make_plane(directory=directory)
    plane.log_path = tmp_path / "control.log"
    plane.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return plane


@pytest.mark.parametrize("of_root", ["mesh.db", "mesh.db-wal", "."])
def test_what_belongs_to_another_user_is_told_with_both_and_the_command(unprivileged, of_root):
    plane = unprivileged.start()
    plane.kill()
    path = plane.directory / of_root
    os.chown(path, 0, 0)
    path.chmod(0o755 if of_root == "." else 0o600)
    assert plane.spawn().wait_exit() == 1
    command = f"chown nobody {path}" if of_root == "." else f"chown -R nobody {plane.directory}"
    assert f"{path} belongs to root, and this runs as nobody: '{command}' as root" in plane.log()
    os.chown(path, NOBODY, NOBODY)
    plane.start()


def test_a_ca_that_may_not_be_looked_at_is_not_a_missing_one(unprivileged):
    plane = unprivileged.start("--tls", "auto")
    plane.kill()
    pki = plane.directory / "pki"
    os.chown(pki, 0, 0)
    for options in [], ["--tls", "auto"]:
        assert plane.spawn(*options).wait_exit() == 1
        assert f"'chown nobody {pki}' as root" in plane.log()
    plane.db.rename(plane.directory / "elsewhere")
    assert plane.spawn().wait_exit() == 65
    assert "ca.pem is of a cluster already" in plane.log() and not plane.db.exists()


def test_files_that_root_has_copied_are_told_all_at_once(unprivileged):
    plane = unprivileged.start("--tls", "auto")
    plane.kill()
    for path in (plane.directory / "pki").iterdir():
        os.chown(path, 0, 0)
    assert plane.spawn("--tls", "auto").wait_exit() == 1
    command = re.search(r"'(chown -R nobody \S+)' as root", plane.log())[1]
    assert command.endswith(f"{plane.directory}/pki")
    subprocess.run(command.split(), check=True)
    plane.start("--tls", "auto")


def test_a_directory_that_is_not_ours_founds_nothing(unprivileged):
    os.chown(unprivileged.directory, 0, 0)
    assert unprivileged.spawn().wait_exit() == 1
    assert f"{unprivileged.directory} belongs to root, and this runs as nobody" in unprivileged.log()
    assert list(unprivileged.directory.iterdir()) == []


def test_a_read_only_file_system_is_told_with_what_to_do(small_disk, make_plane, tmp_path):
    plane = make_plane(directory=small_disk)
    plane.log_path = tmp_path / "control.log"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for _ in range(2):
        assert plane.spawn().wait_exit() == 1
        assert "the file system there is read-only; mount it writable" in plane.log()
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        plane.start()
        assert plane.stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)


def test_a_file_of_another_program_is_exit_65(make_plane):
    plane = make_plane()
    database = sqlite3.connect(plane.db)
    database.execute("CREATE TABLE songs(title)")
    database.commit()
    database.close()
    assert plane.spawn().wait_exit() == 65
    assert "another program" in plane.log()


@pytest.mark.parametrize("sql", ["DROP TABLE records", "PRAGMA user_version=0", "PRAGMA user_version=-1"])
def test_a_file_without_its_tables_or_version_is_exit_65(make_plane, sql):
    plane = make_plane().start()
    assert plane.stop() == 0
    database = sqlite3.connect(plane.db)
    database.execute(sql)
    database.close()
    assert plane.spawn().wait_exit() == 65
    assert "restore the file from a backup" in plane.log()


def test_a_directory_in_the_place_of_the_file_is_told(make_plane):
    plane = make_plane()
    plane.db.mkdir()
    assert plane.spawn().wait_exit() == 1
    assert "it is a directory; --db-path names the file in it" in plane.log()


def test_a_file_that_vanishes_ends_the_control_plane(plane):
    plane.join(1)
    plane.db.unlink()
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert plane.register(2).status != 200
    assert plane.wait_exit() == 1
    assert "moved or deleted" in plane.log()


@pytest.mark.parametrize("options", [
    ["--node-timeout", "0s"], ["--node-timeout", "forever"], ["--listen", "8080"],
    ["--cluster-cidr", "10.42.1.0/16"], ["--cluster-cidr", "224.0.0.0/8"],
    ["--node-prefix", "31"], ["--node-prefix", "0"], ["--log-level", "loud"], ["--unknown"],
    ["word"]], ids=" ".join)
def test_usage_errors_are_exit_2(make_plane, options):
    assert make_plane().spawn(*options).wait_exit() == 2


def test_an_address_that_is_not_to_be_had_is_exit_1_and_told_with_its_option(plane, make_plane, tmp_path):
    other = make_plane(directory=tmp_path / "other")
    other.directory.mkdir()
    for address, why in ((f"127.0.0.1:{plane.port}", "Address already in use; 'ss -ltnp' shows which program has it"),
                         ("192.0.2.1:8080", "Cannot assign requested address; this host has no such address")):
        assert other.spawn("--listen", address).wait_exit() == 1
        assert f"serve the REST API (--listen): HTTP server: listen on {address}: {why}" in other.log()


def test_plain_http_beyond_the_host_is_said_once(make_plane):
    plane = make_plane().start("--listen", "0.0.0.0:0")
    assert plane.log().count("plain HTTP") == 1
    plane.restart()
    assert "plain HTTP" not in plane.log()


# ---- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "quilt-test", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)


def full_secure(small_disk, tmp_path):
    """Over TLS, with a log elsewhere, and no room for anything."""
    plane = SecurePlane(small_disk)
    plane.log_path = tmp_path / "control.log"
    plane.start()
    fill(small_disk)
    return plane


@pytest.mark.parametrize("finds", ["a token", "the probe"])
def test_whoever_finds_the_disk_full_has_it_logged_with_the_file(small_disk, tmp_path, finds):
    plane = full_secure(small_disk, tmp_path)
    try:
        if finds == "a token":
            replies = wait_for(lambda: [reply for reply in [plane.ask("POST", "/api/tokens", {})] if reply.status != 201],
                               20, "no room for a token")
            problem(replies[0], 507, "storage full", str(plane.db))
        else:
            wait_for(lambda: plane.ask("GET", "/health").status == 503, 20, "no room for the probe")
        assert plane.log().count("the store is full") == 1 and str(plane.db) in plane.log().split("the store is full")[1]
        problem(plane.ask("POST", "/api/ca/rotate", {}), 507, "No space left on device")
        (small_disk / "filler").unlink()
        wait_for(lambda: plane.ask("GET", "/health").status == 200, 5, "health to be 200")
        assert "the store has room again" in plane.log()
    finally:
        plane.end()


def test_a_full_disk_refuses_changes_and_nothing_else(small_disk, make_plane, tmp_path):
    plane = make_plane(directory=small_disk)
    plane.log_path = tmp_path / "control.log"
    plane.start()
    one = plane.join(1)
    fill(small_disk)
    refused = None
    for number in range(2, 200):  # the log may have some room left in its last page
        reply = plane.register(number)
        if reply.status != 200:
            refused = number
            break
    problem(reply, 507, "storage full")
    count = len(plane.nodes())
    assert count == refused - 1
    assert plane.beat(one["node_id"]) == 200
    wait_for(lambda: plane.ask("GET", "/health").status == 503, 5, "health to be 503")
    problem(plane.ask("GET", "/readyz"), 503)
    problem(plane.ask("DELETE", f"/api/nodes/{one['node_id']}"), 507, "storage full")
    assert plane.ask("GET", "/livez").status == 200
    (small_disk / "filler").unlink()
    wait_for(lambda: plane.register(refused).status == 200, 5, "room to be seen")
    wait_for(lambda: plane.ask("GET", "/health").status == 200, 5, "health to be 200")
    before = plane.stored_nodes()
    assert len(before) == count + 1
    plane.restart()
    assert plane.stored_nodes() == before
    plane.stop()
