"""Crashes and a disk that fails: what was answered is stored, and nothing is ever given twice."""
import contextlib
import errno
import http.client
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
from disk import RENAME, SYNC, TRUNCATE, UNLINK, WRITE, Replay
from lab.wait import seconds_until, wait_for
from load import check_file, start_load
from plane import Plane, problem

KILLS = int(os.environ.get("QUILT_KILL_ROUNDS", "0"))
FOUNDINGS = 10
WIDE = ["--cluster-cidr", "10.0.0.0/9", "--node-prefix", "25"]


def on(disk, make_plane, *options):
    """A control plane whose database is on that disk."""
    plane = make_plane(*options, directory=disk.directory)
    plane.log_path = disk.path.with_name("control.log")
    plane.env = disk.env()
    return plane


class Acts:
    """One client's changes, and what of them was answered."""

    def __init__(self):
        self.granted = {}  # subnet by node_id, of what must be there
        self.gone = set()
        self.refused = []

    def run(self, plane, nodes=3, first=0):
        """True when the control plane has answered everything."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._run(plane, range(first, first + nodes))
            return True
        return False

    def _run(self, plane, numbers):
        for number in numbers:
            reply = plane.register(number)
            if reply.status == 200:
                self.granted[reply.json()["node_id"]] = reply.json()["subnet"]
            else:
                self.refused.append(reply.status)
        for node_id in list(self.granted)[::3]:
            del self.granted[node_id]  # from now on it may be there or not
            reply = plane.ask("DELETE", f"/api/nodes/{node_id}")
            if reply.status == 204:
                self.gone.add(node_id)
            else:
                self.refused.append(reply.status)

    def check(self, plane):
        """Everything that was answered is so, and no subnet is there twice."""
        nodes = {node["node_id"]: node["subnet"] for node in plane.nodes()}
        assert self.granted.items() <= nodes.items(), "an answered registration is lost"
        assert not self.gone & nodes.keys(), "an answered deletion is lost"
        assert len(set(nodes.values())) == len(nodes), "a subnet is there twice"
        return len(self.granted) + len(self.gone)


def start_hurt(plane):
    """Starts it where the start itself may be hit. True when it is ready."""
    return plane.spawn().wait_started()


# ---- F1 to F4 -----------------------------------------------------------------------------------


@pytest.mark.row("F1", "kill -9 at random moments under registration load")
def test_kill_under_load(make_plane, figure, full):
    rounds = KILLS or (1000 if full else 25)
    plane = make_plane(*WIDE).start()
    chance = random.Random()
    known, asked, busy_s, unanswered = {}, set(), 0, 0
    for number in range(rounds):
        threads = start_load(plane, number * 40, each=10)
        began = time.monotonic()
        time.sleep(chance.uniform(0.002, 0.05))
        plane.kill()
        busy_s += time.monotonic() - began
        for thread in threads:
            thread.join()
            known.update({grant["node_id"]: grant["subnet"] for grant in thread.granted})
            asked |= thread.asked
        if number % 50 == 49:
            check_file(plane)  # as the crash left it, read by SQLite's own recovery
        plane.start()
        nodes = plane.nodes()
        stored = {node["node_id"]: node["subnet"] for node in nodes}
        assert len(set(stored.values())) == len(stored), "a subnet is there twice"
        assert known.items() <= stored.items(), "an answered registration is lost"
        # What is stored and was not answered is what was under way: one a client at most.
        extra = [node["hostname"] for node in nodes if node["node_id"] not in known]
        assert set(extra) <= asked, "a node that nobody asked for"
        assert len(extra) <= unanswered + len(threads), "more was stored than asked for"
        unanswered = len(extra)
    plane.stop()
    check_file(plane)
    assert len(known) > rounds
    assert len(known) / busy_s >= 100, "that was no load"
    figure(f"{rounds:,} kills, {len(known):,} answered ({len(known) / busy_s:.0f}/s), 0 lost, "
           f"{unanswered} stored before the answer, 0 subnets doubled")


@pytest.mark.row("F2", "kill -9 before each step of founding, committing and stopping")
def test_kill_at_each_step(disk, make_plane, figure, full):
    plane = on(disk, make_plane)
    # The quick part takes every other one, now these, now those.
    stride = 1 if full else 2
    step, rounds, answered = random.randint(1, stride) - stride, 0, 0
    while True:
        step += stride
        rounds += 1
        shutil.rmtree(disk.directory)
        disk.directory.mkdir()
        disk.heal()
        # The room for the log is made in long writes, and each is as the other.
        disk.set(kill_at=step, long_write=0 if full else 16384)
        acts = Acts()
        if start_hurt(plane) and acts.run(plane, 8 if full else 2):
            plane.process.send_signal(signal.SIGTERM)
        code = plane.wait_exit()
        disk.heal()
        if code == 0:
            break
        assert code == -signal.SIGKILL, plane.log()
        plane.start()
        assert "is a backup" not in plane.log()
        assert {path.name for path in disk.directory.iterdir()} == {"mesh.db", "mesh.db-wal"}
        answered += acts.check(plane)
        plane.stop()
        check_file(plane)
    assert step > 25
    figure(f"{rounds - 1} of {step - 1} steps, {answered} answered changes, 0 lost")


def test_founding_where_no_file_can_be_renamed_without_replacing(disk, make_plane):
    plane = on(disk, make_plane)
    disk.set(fail_calls=RENAME, fail_from=1, fail_count=99, fail_errno=errno.EINVAL)
    plane.start()
    assert {path.name for path in disk.directory.iterdir()} == {"mesh.db", "mesh.db-wal"}
    plane.join(1)
    plane.restart()
    assert len(plane.nodes()) == 1


def cut_points(steps, wanted):
    """Indices into the trace: after and before each sync that there is room for, spread evenly."""
    syncs = [index for index, step in enumerate(steps) if step.call == SYNC]
    rare = [index for index, step in enumerate(steps) if step.call in (RENAME, UNLINK, TRUNCATE)]
    near = sorted({min(max(0, at + d), len(steps) - 1) for at in syncs for d in (-1, 0)})
    stride = max(1, len(near) // wanted)
    return sorted(set(near[::stride]) | set(rare))


@pytest.mark.row("F3", "power cut: what was not synced is gone, or torn, or there")
def test_power_cut(disk, make_plane, tmp_path, figure, full):
    plane = on(disk, make_plane, *WIDE)
    plane.env = disk.env(is_traced=True)
    plane.start()
    each = 400 if full else 60  # in full the log is put back into the file on the way
    threads = start_load(plane, 0, clients=3, each=each)
    for thread in threads:
        thread.join()
    plane.stop()
    acks = sorted((at, grant) for thread in threads
                  for at, grant in zip(thread.granted_ns, thread.granted))
    assert len(acks) == 3 * each
    steps = disk.trace()
    points = cut_points(steps, 400 if full else 16)
    replay, cuts = Replay(disk.directory.stat().st_ino), 0
    for index, step in enumerate(steps):
        replay.apply(step)
        if index not in points:
            continue
        until = steps[index + 1].began_ns if index + 1 < len(steps) else acks[-1][0] + 1
        granted = {grant["node_id"]: grant["subnet"] for at, grant in acks if at < until}
        for kind in ("dropped", "torn", "kept") if full else ("dropped", "torn"):
            replay.write_state(tmp_path / "cut", kind)
            check_cut(tmp_path / "cut", granted, f"{kind} after step {index}")
            cuts += 1
    assert cuts >= (200 if full else 30) and steps[-1].began_ns > acks[-1][0]
    figure(f"{cuts} power cuts in {len(steps):,} steps, 0 answered lost, 0 subnets doubled")


def check_cut(directory, granted, where):
    plane = Plane(directory, *WIDE)
    plane.log_path = directory.with_name("cut.log")
    try:
        plane.start()
        nodes = {node["node_id"]: node["subnet"] for node in plane.nodes()}
        assert granted.items() <= nodes.items(), f"{where}: an answered registration is lost"
        assert len(set(nodes.values())) == len(nodes), f"{where}: a subnet is there twice"
    finally:
        plane.end()


@pytest.mark.row("F4", "EIO from sync and write, at each place")
@pytest.mark.parametrize("calls", [SYNC, WRITE], ids=["sync", "write"])
def test_input_output_error(disk, make_plane, figure, calls):
    plane = on(disk, make_plane)
    answered = 0
    for place in range(1, 21):
        disk.heal()
        plane.start()
        acts = Acts()
        assert acts.run(plane)
        disk.set(fail_calls=calls, fail_from=place, fail_count=1, fail_errno=errno.EIO)
        assert not acts.run(plane, 30, first=100), "an error of the disk went by unseen"
        assert plane.wait_exit() == 1
        assert "disk I/O error" in plane.log()
        disk.heal()
        plane.start()
        answered += acts.check(plane)
        assert not acts.refused, "an error was answered as if it were an outcome"
        plane.stop()
        check_file(plane)
        shutil.rmtree(disk.directory)
        disk.directory.mkdir()
    figure(f"20 errors of {'sync' if calls == SYNC else 'write'}, 20 ends with 1, "
           f"{answered} answered changes, 0 wrong answers")


# ---- F5 and F6 ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "quilt-test", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.row("F5", "the disk is full")
def test_full_disk(small_disk, make_plane, tmp_path, figure):
    plane = make_plane(directory=small_disk)
    plane.log_path = tmp_path / "control.log"
    plane.start()
    one = plane.join(1)
    with open(small_disk / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    replies = [plane.register(number) for number in range(2, 60)]
    refused = [reply for reply in replies if reply.status != 200]
    assert refused
    for reply in refused:
        problem(reply, 507, "storage full")
    count = 1 + len(replies) - len(refused)
    assert len(plane.nodes()) == count
    for _ in range(20):
        assert plane.beat(one["node_id"]) == 200
    assert plane.ask("GET", "/health").status == 503
    (small_disk / "filler").unlink()
    took_s = seconds_until(lambda: plane.register(100).status == 200, 5, "room to be found")
    plane.restart()
    assert len(plane.nodes()) == count + 1
    plane.end()
    figure(f"{len(refused)} refused with 507, 20 of 20 heartbeats, works again after {took_s:.2f} s")


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES = {
    "16 bytes at 4100": lambda path: overwrite(path, 4100, b"\xa5" * 16),
    "random 2 KiB": lambda path: path.write_bytes(random.Random(1).randbytes(2048)),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut to one page": lambda path: os.truncate(path, 4096),
    "empty": lambda path: os.truncate(path, 0),
    "a page of zeros": lambda path: overwrite(path, 8192, bytes(4096)),
}


LOG_DAMAGES = {
    "the log is gone": lambda path: path.unlink(),
    "the log is cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "the log is empty": lambda path: os.truncate(path, 0),
    "the log is zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a page of the log is zeros": lambda path: overwrite(path, 4096, bytes(4096)),
}


def check_damaged_logs(plane):
    """As a crash leaves file and log, and then something is done to the log."""
    wal = plane.db.with_name("mesh.db-wal")
    plane.start()
    for number in range(100, 110):
        plane.join(number)
    plane.kill()
    file, log = plane.db.read_bytes(), wal.read_bytes()
    for name, damage in LOG_DAMAGES.items():
        damage(wal)
        assert plane.spawn().wait_exit() == 65, f"{name}: {plane.log()}"
        lines = [line for line in plane.log().splitlines() if "level=error" in line]
        assert len(lines) == 1 and str(wal) in lines[0] and "UPDATE wal" in lines[0], lines
        assert plane.db.read_bytes() == file, f"{name}: the refused file was changed"
        wal.write_bytes(log)
    plane.start()
    assert len(plane.nodes()) == 70
    plane.stop()


def delete_a_record(path):
    database = sqlite3.connect(path)
    database.execute("DELETE FROM records WHERE kind = 'lease' AND id = (SELECT min(id) FROM records "
                     "WHERE kind = 'lease')")
    database.commit()
    database.close()


@pytest.mark.row("F6", "a damaged database")
def test_damaged_file(make_plane, tmp_path, figure):
    plane = make_plane().start()
    for number in range(60):
        plane.join(number)
    plane.stop()
    whole = plane.db.read_bytes()
    for name, damage in {**DAMAGES, "a record is gone": delete_a_record}.items():
        plane.db.write_bytes(whole)
        damage(plane.db)
        damaged = plane.db.read_bytes()
        assert plane.spawn().wait_exit() == 65, f"{name}: {plane.log()}"
        lines = [line for line in plane.log().splitlines() if "level=error" in line]
        assert len(lines) == 1 and str(plane.db) in lines[0] and "restore" in lines[0], lines
        assert plane.db.read_bytes() == damaged, f"{name}: the refused file was changed"
    plane.db.write_bytes(whole)
    check_damaged_logs(plane)
    plane.start()
    plane.db.unlink()
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert plane.register(500).status != 200
    assert plane.wait_exit() == 1
    assert plane.spawn().wait_exit() == 65 and "restore" in plane.log(), plane.log()
    assert not plane.db.exists(), "a new empty one in the place of the lost one"
    figure(f"{len(DAMAGES) + len(LOG_DAMAGES) + 1} damages refused with 65 and one line; deleted while running: ended, "
           "not acknowledged, and not begun anew")


# ---- F29 and F32 --------------------------------------------------------------------------------


def found_at_once(planes, path):
    """There is no file yet: one makes it, and the others say so and leave."""
    for plane in planes:
        plane.db = path
        plane.spawn()
    wait_for(lambda: sum(plane.process.poll() is None for plane in planes) <= 1, 20, "the others to leave")
    (winner,) = [plane for plane in planes if plane.process.poll() is None]
    assert winner.wait_started()
    assert all(plane.process.poll() in (None, 1) for plane in planes)
    winner.stop()


@pytest.mark.row("F29", "two control planes on one file")
def test_two_on_one_file(make_plane, figure):
    first = make_plane()
    others = [make_plane() for _ in range(5)]
    for number, plane in enumerate(others):
        plane.log_path = first.directory / f"other{number}.log"
    first.start()
    for plane in others:
        plane.spawn()
    for plane in others:
        assert plane.wait_exit() == 1
        assert "locked by another process" in plane.log()
    assert first.join(1)["subnet"] == "10.42.1.0/24"
    first.stop()
    for number in range(FOUNDINGS):
        found_at_once(others, first.directory / f"fresh{number}.db")
    figure(f"5 of 5 refused beside a running one, 4 of 5 in each of {FOUNDINGS} times when all make the file")


@pytest.mark.row("F32", "each sync takes 2 s")
def test_slow_disk(disk, make_plane, figure):
    plane = on(disk, make_plane).start()
    ids = [plane.join(number)["node_id"] for number in range(10)]
    disk.set(delay_calls=SYNC, delay_ms=2000)
    replies = []
    threads = [threading.Thread(target=lambda n=n: replies.append(plane.register(n).status))
               for n in range(20, 28)]
    for thread in threads:
        thread.start()
    took_ms, connection = [], plane.connect()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for node_id in ids:
            began = time.monotonic()
            assert plane.beat(node_id, connection) == 200
            took_ms.append((time.monotonic() - began) * 1000)
        time.sleep(0.01)
    connection.close()
    for thread in threads:
        thread.join()
    disk.heal()
    assert replies == [200] * 8
    p99 = sorted(took_ms)[len(took_ms) * 99 // 100]
    figure(f"{len(took_ms)} heartbeats, p99 {p99:.1f} ms")
    assert p99 < 50
