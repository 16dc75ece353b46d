"""What a watch promises: ordered, unique, atomic, reliable, resumable, bookmarked, each looked at for itself in what
followers were told that break off at random, while nodes and reservations change and the control plane is killed."""
import http.client
import json
import os
import random
import shutil
import sqlite3
import threading
import time

import pytest
import watch_history as watch
from followers import BOOKMARK, EVENT, OPEN, SNAPSHOT, Followers
from lab.wait import wait_for
from plane import Plane

IS_FULL = os.environ.get("QUILT_CHAOS") == "full"
CHANGES, KILLS = (100_000, 10) if IS_FULL else (6_000, 2)
WRITERS, NODES_EACH, PIPELINED = 4, 30, 20
QUIET_S = 25  # more than two intervals of bookmarks


class Writer(threading.Thread):
    """Changes nodes and reservations of its own, many at a time, until it has made count changes. answered: what must
    be so, (key, value or None) each."""

    def __init__(self, plane, number, count):
        super().__init__()
        self.plane, self.number, self.count = plane, number, count
        self.chance = random.Random(number)
        self.nodes, self.reserved = {}, set()
        self.made, self.answered, self.refused = 0, [], []

    def run(self):
        while self.made < self.count:
            try:
                connection = self.plane.connect()
                connection.connect()
                self.write(connection)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # it is being killed or started
            finally:
                connection.close()

    def write(self, connection):
        answers = Answers(connection.sock)
        while self.made < self.count:
            wishes = [self.wish() for _ in range(PIPELINED)]
            connection.sock.sendall(b"".join(to_bytes(*wish[:3]) for wish in wishes))
            for wish in wishes:
                reply = http.client.HTTPResponse(answers, method=wish[0])
                reply.begin()
                self.note(wish, reply.status, reply.read())

    def wish(self):
        """(method, path, body, what it is about)"""
        what = self.chance.random()
        index = self.chance.randrange(NODES_EACH)
        if what < 0.05:
            host = f"w{self.number}-h{index}"
            if host in self.reserved:
                self.reserved.discard(host)
                return "DELETE", f"/api/reservations/{host}", None, ("unreserve", host)
            self.reserved.add(host)
            subnet = f"10.{100 + self.number}.{index}.0/25"
            return "PUT", f"/api/reservations/{host}", {"subnet": subnet}, ("reserve", host, subnet)
        node = self.nodes.get(index)
        if node and what < 0.08:
            return "POST", f"/api/nodes/{node['node_id']}/deregister", None, ("leave", node["node_id"])
        if node and what < 0.11:
            del self.nodes[index]
            return "DELETE", f"/api/nodes/{node['node_id']}", None, ("delete", node["node_id"])
        self.made += 1
        body = {"hostname": f"w{self.number}-n{index}-{self.made}",
                "host_ip": f"172.{16 + self.number}.{self.made >> 8}.{self.made & 255}"}
        return "POST", "/api/nodes/register", {**body, **(node or {})}, ("register", index, body["hostname"])

    def note(self, wish, status, reply):
        what, name, *rest = wish[3]
        if status == 404 and what == "unreserve":
            return  # asked for before, when the control plane was killed
        if status not in (200, 204):
            self.refused.append((status, wish, reply))
        elif what == "register":
            grant = json.loads(reply)
            # A node that comes again gets no token: it has one.
            if "node_token" in grant:
                self.nodes[name] = {key: grant[key] for key in ("node_id", "node_token")}
            self.answered.append((("node", grant["node_id"]), rest[0]))
        elif what == "delete":
            self.answered.append((("node", name), None))


class Answers:
    """Where one answer after the other is read from: none of them closes it, and what was read ahead stays."""

    def __init__(self, sock):
        self.file = sock.makefile("rb")

    def makefile(self, _mode):
        return self

    def close(self):
        pass

    def __getattr__(self, name):
        return getattr(self.file, name)


def to_bytes(method, path, body):
    text = json.dumps(body).encode() if body else b""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


class Run:
    """Everything that the checks look at."""

    def __init__(self, plane, scratch):
        self.plane, self.scratch = plane, scratch
        self.history, self.answered, self.refused = watch.History(), [], []
        followers = Followers(plane.port, scratch.parent)
        try:
            self.change()
            self.told = followers.finish(int(plane.metric("quilt_control_revision")), QUIET_S + CHANGES / 1000)
        finally:
            followers.end()
        plane.stop()
        self.state = self.end_of_run()
        self.history.seal()

    def change(self):
        writers = [Writer(self.plane, number, CHANGES // WRITERS) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for kill in range(KILLS):
            due = CHANGES * (kill + 1) // (KILLS + 1)
            wait_for(lambda due=due: sum(writer.made for writer in writers) >= due, 600, "changes")
            self.plane.kill()
            self.end_of_run()
            self.plane.start("--listen", f"127.0.0.1:{self.plane.port}")
        for writer in writers:
            writer.join()
            self.answered += writer.answered
            self.refused += writer.refused

    def end_of_run(self):
        """Of the control plane, whose file is read from a copy."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self.plane.directory, self.scratch)
        database = sqlite3.connect(self.scratch / self.plane.db.name)
        state = self.history.add_run(self.plane.log(), database)
        database.close()
        return state


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("watch") / "db"
    directory.mkdir()
    plane = Plane(directory, "--cluster-cidr", "10.0.0.0/9", "--node-prefix", "25").start()
    try:
        yield Run(plane, directory.with_name("copy"))
    finally:
        plane.end()


CHECKS = {
    "ordered": ("time goes forward only", watch.check_ordered),
    "unique": ("nothing is told twice", watch.check_unique),
    "atomic": ("a change is told whole, and a snapshot is of one moment", watch.check_atomic),
    "reliable": ("nothing is left out", watch.check_reliable),
    "resumable": ("who comes back gets exactly what it missed", watch.check_resumable),
    "bookmarked": ("what is before a bookmark has been told", watch.check_bookmarked),
}


@pytest.mark.parametrize("name", [
    pytest.param(name, id=name, marks=pytest.mark.row(f"W{number}", f"watch, {name}: {title}"))
    for number, (name, (title, _)) in enumerate(CHECKS.items(), 1)])
def test_what_a_watch_promises(run, figure, name):
    _, check = CHECKS[name]
    looked, wrong = 0, []
    for kinds, record, _ in run.told:
        count, found = check(run.history, kinds, record)
        looked, wrong = looked + count, wrong + found
    figure(f"{looked:,} looked at, {len(wrong)} broken")
    assert looked >= len(run.told) and not wrong, wrong[:10]


@pytest.mark.row("W7", "watch: in the end what followers know is what the control plane has")
def test_models_are_equal(run, figure):
    events = sum(item[0] == EVENT for _, record, _ in run.told for item in record)
    streams = sum(item[0] == OPEN for _, record, _ in run.told for item in record)
    different = [kinds for kinds, _, model in run.told if model != watch.of_kinds(run.state, kinds)]
    figure(f"{len(run.history.all):,} changes, {KILLS} kills, {len(run.told)} followers in {streams:,} streams, "
           f"{events:,} events: {len(different)} models differ; {len(run.answered):,} answered changes, all told")
    assert not different and not run.refused, run.refused[:3]
    assert events >= CHANGES and streams > 3 * len(run.told)
    happened = {(key, value and value[0]) for key, value in run.history.changes.values() if key[0] == "node"}
    assert set(run.answered) <= happened


# ---- the checks find what they are for --------------------------------------------------------------


def a_record(run):
    return next(record for kinds, record, _ in run.told if kinds == "node,reservation").copy()


def find(record, *kinds):
    """Where such items follow one another."""
    names = [item[0] for item in record]
    return next(at for at in range(len(names)) if tuple(names[at:at + len(kinds)]) == kinds)


def swap(record):
    at = find(record, EVENT, EVENT)
    record[at], record[at + 1] = record[at + 1], record[at]


def double(record):
    at = find(record, EVENT, EVENT)
    record.insert(at, record[at])


def halve_event(record):
    at = find(record, EVENT)
    record[at] = (*record[at][:3], ("half",))


def halve_snapshot(record):
    at = max(at for at, item in enumerate(record) if item[0] == SNAPSHOT)
    _, revision, told = record[at]
    record[at] = (SNAPSHOT, revision, dict(list(told.items())[1:]))


def leave_out(record):
    del record[find(record, EVENT, EVENT, EVENT) + 1]


def miss_the_first(record):
    at = next(at for at in range(len(record)) if [item[0] for item in record[at:at + 3]] == [OPEN, EVENT, EVENT])
    del record[at + 1]


def forget_needlessly(record):
    at = find(record, OPEN, EVENT)
    record[at + 1] = (SNAPSHOT, record[at + 1][1], {})


def say_too_early(record):
    at = find(record, EVENT, EVENT)
    record.insert(at + 1, (BOOKMARK, record[at + 1][1]))


@pytest.mark.parametrize("name, spoil", [
    ("ordered", swap), ("unique", double), ("atomic", halve_event), ("atomic", halve_snapshot), ("reliable", leave_out),
    ("resumable", miss_the_first), ("resumable", forget_needlessly), ("bookmarked", say_too_early)])
def test_a_broken_promise_is_found(run, name, spoil):
    record = a_record(run)
    spoil(record)
    assert CHECKS[name][1](run.history, "node,reservation", record)[1]
