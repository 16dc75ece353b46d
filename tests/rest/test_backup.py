"""A backup that is made while the control plane works is whole, and can be put in the place of what was
lost."""
import http.client
import json
import shutil
import subprocess

import pytest
from lab.wait import wait_for
from load import check_file, start_load
from plane import BUILD, problem

QUILTCTL = BUILD / "cli" / "quiltctl"


def quiltctl(plane, *words):
    return subprocess.run([str(word) for word in (QUILTCTL, "--control-plane", f"http://127.0.0.1:{plane.port}",
                                                  *words)], capture_output=True, text=True, timeout=60,
                          check=False)


def backup(plane, path):
    done = quiltctl(plane, "backup", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def restored(make_plane, tmp_path):
    """A control plane that starts on a backup."""
    def start(path, *options):
        directory = path.with_suffix(".restored")
        directory.mkdir()
        shutil.copy(path, directory / "mesh.db")
        return make_plane(*options, directory=directory).start()
    return start


def test_a_backup_under_load_has_all_that_was_answered_before_it(make_plane, restored, tmp_path):
    options = ["--cluster-cidr", "10.0.0.0/9", "--node-prefix", "25"]
    plane = make_plane(*options).start()
    threads = start_load(plane, 0, clients=4, each=150)
    copies = []
    while any(thread.is_alive() for thread in threads):
        answered = {grant["node_id"]: grant["subnet"] for thread in threads for grant in list(thread.granted)}
        copies.append((backup(plane, tmp_path / f"copy{len(copies)}"), answered))
    for thread in threads:
        thread.join()
    assert len(copies) >= 2 and len(copies[-1][1]) > 50
    for path, answered in (copies[len(copies) // 2], copies[-1]):
        other = restored(path, *options)
        nodes = {node["node_id"]: node["subnet"] for node in other.nodes()}
        assert answered.items() <= nodes.items()
        assert len(set(nodes.values())) == len(nodes)
        other.stop()
        check_file(other)


def test_who_is_restored_is_who_it_was(plane, restored, tmp_path):
    grants = [plane.join(number) for number in range(5)]
    before, etag = plane.stored_nodes(), plane.ask("GET", "/api/nodes").headers["ETag"]
    path = backup(plane, tmp_path / "copy")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("copy.*")) and not list(tmp_path.glob("copy-*"))
    plane.kill()
    other = restored(path)
    assert other.stored_nodes() == before
    assert other.ask("GET", "/api/nodes").headers["ETag"] == etag
    for number, grant in enumerate(grants):  # their tokens are still good
        again = other.join(number, node_id=grant["node_id"], node_token=grant["node_token"])
        assert again["subnet"] == grant["subnet"]
    assert other.join(7)["subnet"] == "10.42.6.0/24"
    assert grants[0]["node_token"].encode() not in path.read_bytes()


def test_a_backup_that_was_put_in_place_is_told_once(plane, restored, tmp_path):
    plane.join(1)
    assert "is a backup that was put in place" not in plane.log()
    other = restored(backup(plane, tmp_path / "copy"))
    assert "nodes that were revoked and tokens that were removed since it was made are good again" in other.log()
    other.kill()
    other.start()
    assert "is a backup" not in other.log()


def test_a_backup_beside_the_log_of_before_is_exit_65(plane, tmp_path):
    plane.join(1)
    path = backup(plane, tmp_path / "copy")
    plane.join(2)
    plane.kill()
    wal = plane.db.with_name("mesh.db-wal")
    log = wal.read_bytes()
    shutil.copy(path, plane.db)
    assert plane.spawn().wait_exit() == 65
    assert f"{wal} beside it is the log of the file before it; remove that" in plane.log()
    assert plane.db.read_bytes() == path.read_bytes() and wal.read_bytes() == log
    wal.unlink()
    plane.start()
    assert [node["hostname"] for node in plane.nodes()] == ["node1"]


def test_a_backup_changes_nothing_and_says_what_it_did(plane, tmp_path):
    plane.join(1)
    revision, size = plane.metric("quilt_control_revision"), plane.db.stat().st_size
    done = quiltctl(plane, "backup", tmp_path / "copy", "-o", "json")
    assert json.loads(done.stdout) == {"file": str(tmp_path / "copy"),
                                       "bytes": (tmp_path / "copy").stat().st_size}
    assert plane.metric("quilt_control_revision") == revision and plane.db.stat().st_size == size
    assert f"{tmp_path}/copy" in quiltctl(plane, "backup", tmp_path / "copy").stdout  # replaces it
    assert plane.log().count("backup made") == 2


def test_what_cannot_be_saved_is_said_and_leaves_the_old_file(plane, tmp_path):
    done = quiltctl(plane, "backup", tmp_path / "missing" / "copy")
    assert done.returncode == 1 and "missing" in done.stderr
    done = quiltctl(plane, "backup", tmp_path)
    assert done.returncode == 1 and f"{tmp_path} is a directory; name a file in it" in done.stderr
    (tmp_path / "copy").write_text("the one of yesterday")
    plane.kill()
    done = quiltctl(plane, "backup", tmp_path / "copy")
    assert done.returncode == 1 and "is quilt-mesh-control running" in done.stderr
    assert (tmp_path / "copy").read_text() == "the one of yesterday"
    assert quiltctl(plane, "backup").returncode == 2


def test_one_backup_at_a_time_and_a_client_that_leaves_harms_nothing(plane):
    for number in range(100):
        plane.join(number)
    connections = [plane.connect() for _ in range(20)]
    for connection in connections:
        connection.request("GET", "/api/backup")
    for connection in connections[::2]:
        connection.close()
    statuses = []
    for connection in connections[1::2]:
        response = connection.getresponse()
        body = response.read()
        statuses.append(response.status)
        assert body.startswith(b"SQLite format 3\0") if response.status == 200 else b"try again" in body
        connection.close()
    assert set(statuses) <= {200, 503}
    wait_for(lambda: plane.ask("GET", "/api/backup").status == 200, 5, "a backup to work again")
    reply = plane.ask("POST", "/api/backup")
    problem(reply, 405)
    assert "GET" in reply.headers["Allow"]


def test_a_stop_during_a_backup_is_a_stop(plane):
    plane.join(1)
    connection = plane.connect()
    connection.request("GET", "/api/backup")
    assert plane.stop() == 0
    try:
        assert connection.getresponse().status in (200, 503)
    except (OSError, http.client.HTTPException):
        pass  # the connection may be closed without an answer
    connection.close()
