"""The event stream: what comes first, what comes then, and going on where one was."""
import json
import socket
import time

import pytest
from lab.wait import wait_for
from plane import is_sanitized


class Stream:
    """A follower: reads events one by one."""

    def __init__(self, plane, last_id=None):
        self.connection = plane.connect(timeout_s=12)
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        self.connection.request("GET", "/api/nodes", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"] == "text/event-stream"

    def block(self):
        """The lines up to the next empty one; None at the end."""
        lines = []
        while True:
            line = self.response.readline()
            if not line:
                return None
            if line == b"\n":
                return lines
            lines.append(line.decode().rstrip("\n"))

    def event(self):
        """(type, id, data) of the next event; comments are passed over; None at the end."""
        while True:
            lines = self.block()
            if lines is None:
                return None
            if all(line.startswith(":") for line in lines):
                continue
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            return fields["event"], int(fields["id"]), json.loads(fields["data"])

    def close(self):
        self.response.close()  # it has its own hand on the socket
        self.connection.close()


def test_first_a_snapshot_then_each_change(plane):
    one = plane.join(1)["node_id"]
    stream = Stream(plane)
    kind, revision, data = stream.event()
    assert (kind, data["revision"]) == ("snapshot", revision)
    assert data["nodes"] == plane.nodes()
    two = plane.join(2)["node_id"]
    kind, second, data = stream.event()
    assert (kind, data["node_id"], data["status"]) == ("node", two, "up")
    assert second > revision
    plane.ask("POST", f"/api/nodes/{one}/deregister")
    kind, third, data = stream.event()
    assert (kind, data["node_id"], data["status"]) == ("node", one, "down")
    plane.ask("DELETE", f"/api/nodes/{two}")
    kind, fourth, data = stream.event()
    assert (kind, data) == ("node-deleted", {"node_id": two})
    assert second < third < fourth
    stream.close()


@pytest.mark.parametrize("accept, is_stream", [
    ("text/html, text/event-stream;q=0.5", True),
    ("TEXT/Event-Stream", True),
    ("text/event-stream ; charset=utf-8; q=0.01", True),
    ("application/json, text/event-stream;q=0", False),
    ("text/event-stream; q=0.000", False),
    ("text/event-streams", False),
    ('text/html;x="text/event-stream"', False),
    ("text/*", False),
    ("*/*", False),
    ("", False),
])
def test_only_who_names_the_stream_gets_it(plane, accept, is_stream):
    connection = plane.connect()
    connection.request("GET", "/api/nodes", headers={"Accept": accept})
    response = connection.getresponse()
    kind = "text/event-stream" if is_stream else "application/json"
    assert response.headers["Content-Type"] == kind
    response.close()
    connection.close()


def test_heartbeats_are_no_events(plane):
    one = plane.join(1)["node_id"]
    stream = Stream(plane)
    stream.event()
    for _ in range(3):
        plane.beat(one)
    two = plane.join(2)["node_id"]
    assert stream.event()[2]["node_id"] == two
    stream.close()


def test_who_comes_back_gets_exactly_what_it_missed(plane):
    stream = Stream(plane)
    _, revision, _ = stream.event()
    stream.close()
    ids = [plane.join(number)["node_id"] for number in range(5)]
    stream = Stream(plane, revision)
    events = [stream.event() for _ in range(5)]
    assert [(kind, data["node_id"]) for kind, _, data in events] == [("node", i) for i in ids]
    stream.close()
    stream = Stream(plane, events[2][1])
    assert [stream.event()[2]["node_id"] for _ in range(2)] == ids[3:]
    last = plane.join(9)["node_id"]
    assert stream.event()[2]["node_id"] == last
    stream.close()


def test_ids_that_cannot_be_resumed_get_a_snapshot(plane):
    plane.join(1)
    revision = int(plane.metric("quilt_control_revision"))
    for last_id in (revision + 1, 10**30, "", "-1", "x", "1; DROP", 0):
        stream = Stream(plane, last_id)
        assert stream.event()[0] == "snapshot", last_id
        stream.close()


def test_after_a_restart_the_present_is_resumed_and_the_past_is_a_snapshot(plane):
    plane.join(1)
    revision = int(plane.metric("quilt_control_revision"))
    plane.restart()
    stream, old = Stream(plane, revision), Stream(plane, revision - 1)
    assert old.event()[0] == "snapshot"
    two = plane.join(2)["node_id"]
    assert stream.event()[2]["node_id"] == two
    stream.close()
    old.close()


def test_silence_is_filled_with_comments(plane):
    stream = Stream(plane, int(plane.metric("quilt_control_revision")))
    stream.block()  # says at once that it is there
    began = time.monotonic()
    assert all(line.startswith(":") for line in stream.block())
    assert time.monotonic() - began < 10
    stream.close()


def test_a_stop_ends_the_streams_in_order(plane):
    streams = [Stream(plane) for _ in range(20)]
    for stream in streams:
        assert stream.event()[0] == "snapshot"
    began = time.monotonic()
    assert plane.stop() == 0
    assert time.monotonic() - began < 2
    assert [stream.event() for stream in streams] == [None] * 20
    for stream in streams:
        stream.close()


def test_followers_are_counted_and_forgotten(plane):
    streams = [Stream(plane) for _ in range(30)]
    assert plane.metric("quilt_control_watchers") == 30
    for stream in streams:
        stream.close()
    wait_for(lambda: plane.metric("quilt_control_watchers") == 0, 10, "followers to be forgotten")


def test_a_follower_that_does_not_read_disturbs_nobody(plane):
    """Thousands of events for a client that takes none: it costs no memory to speak of, and the
    others hear everything at once."""
    deaf = socket.create_connection(("127.0.0.1", plane.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(b"GET /api/nodes HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
    one = plane.join(1)
    wait_for(lambda: plane.metric("quilt_control_watchers") == 1, 5, "the follower")
    stream = Stream(plane)
    stream.event()
    before = plane.metric("process_resident_memory_bytes")
    connection = plane.connect()
    identity = {key: one[key] for key in ("node_id", "node_token")}
    for number in range(1500):
        reply = plane.register(1, connection, hostname=f"name{number}", **identity)
        assert reply.status == 200
        assert stream.event()[2]["hostname"] == f"name{number}"
    grown = plane.metric("process_resident_memory_bytes") - before
    assert grown < 8 * 1024 * 1024 or is_sanitized()
    deaf.close()
    stream.close()


def test_250_followers_hear_of_a_change_within_a_moment(plane):
    streams = [Stream(plane) for _ in range(250)]
    for stream in streams:
        stream.event()
    node_id = plane.join(1)["node_id"]
    assert {stream.event()[2]["node_id"] for stream in streams} == {node_id}
    for stream in streams:
        stream.close()
