"""The event stream: what comes first, what comes then, and going on where one was."""
import json
import socket
import time

import pytest
from lab.wait import wait_for
from plane import is_sanitized, problem


class Stream:
    """A follower: reads events one by one."""

    def __init__(self, plane, last_id=None, kind=None):
        self.connection = plane.connect(timeout_s=12)
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        self.connection.request("GET", "/api/nodes" + (f"?kind={kind}" if kind else ""), headers=headers)
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
        """(type, id, data) of the next event; comments and bookmarks are passed over; None at the end."""
        while True:
            event = self.any_event()
            if event is None or event[0] != "bookmark":
                return event

    def any_event(self):
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


def test_a_quiet_stream_has_bookmarks_that_can_be_resumed(plane):
    stream = Stream(plane)
    assert stream.event()[0] == "snapshot"
    assert plane.ask("PUT", "/api/reservations/node7", {"subnet": "10.42.7.0/24"}).status == 200
    began = time.monotonic()
    kind, revision, data = stream.any_event()
    assert time.monotonic() - began < 10
    assert (kind, data, revision) == ("bookmark", {"revision": revision}, plane.metric("quilt_control_revision"))
    stream.close()
    one = plane.join(1)["node_id"]
    stream = Stream(plane, revision)
    assert stream.event()[2]["node_id"] == one
    stream.close()


def test_a_follower_hears_the_kinds_it_asks_for(plane):
    def reserve(host, subnet):
        assert plane.ask("PUT", f"/api/reservations/{host}", {"subnet": subnet}).status == 200
    reserve("node7", "10.42.7.0/24")
    plane.join(1)
    nodes, both = Stream(plane, kind="node"), Stream(plane, kind="node,reservation")
    reservations = Stream(plane, kind="reservation")
    assert nodes.event()[2].keys() == {"nodes", "cluster_id", "revision"}
    assert both.event()[2].keys() == {"nodes", "reservations", "cluster_id", "revision"}
    first = reservations.event()
    assert [one["host"] for one in first[2]["reservations"]] == ["node7"]
    two = plane.join(2)["node_id"]
    reserve("node8", "10.42.8.0/24")
    assert plane.ask("DELETE", "/api/reservations/node7").status == 204
    three = plane.join(3)["node_id"]
    assert [nodes.event()[2]["node_id"] for _ in range(2)] == [two, three]
    events = [reservations.event() for _ in range(2)]
    assert [(kind, data["host"]) for kind, _, data in events] == [("reservation", "node8"),
                                                                 ("reservation-deleted", "node7")]
    assert [both.event()[0] for _ in range(4)] == ["node", "reservation", "reservation-deleted", "node"]
    again = Stream(plane, first[1], kind="reservation")
    assert [again.event() for _ in range(2)] == events
    for stream in (nodes, both, reservations, again):
        stream.close()


@pytest.mark.parametrize("kind", ["nodes", "", "node,", "node,weather"])
def test_a_kind_that_there_is_not_is_refused(plane, kind):
    reply = plane.ask("GET", f"/api/nodes?kind={kind}", headers={"Accept": "text/event-stream"})
    problem(reply, 422, "kind: '", "there are node, reservation")


def test_who_asks_for_what_was_compacted_gets_a_snapshot(plane):
    """More changes than are kept, in ten thousands: whoever saw the first of them has missed too much."""
    one = plane.join(1)
    first = int(plane.metric("quilt_control_revision"))
    rename_many(plane, one, 10050)
    last = int(plane.metric("quilt_control_revision"))
    assert last - first == 10050
    old, young = Stream(plane, first), Stream(plane, last - 10000)
    assert old.event()[0] == "snapshot"
    seen = [young.event() for _ in range(10000)]
    assert {kind for kind, _, _ in seen} == {"node"}
    assert [revision for _, revision, _ in seen] == list(range(last - 9999, last + 1))
    old.close()
    young.close()


def rename_many(plane, one, count):
    """Changes of one node after the other, without waiting for each answer."""
    connection = socket.create_connection(("127.0.0.1", plane.port))
    reader = connection.makefile("rb")
    for start in range(0, count, 50):
        for number in range(start, min(start + 50, count)):
            body = json.dumps({"hostname": f"name{number}", "host_ip": "192.168.0.2", "node_id": one["node_id"],
                               "node_token": one["node_token"]})
            connection.sendall(f"POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
                               f"\r\n{body}".encode())
        for number in range(start, min(start + 50, count)):
            assert reader.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
    reader.close()
    connection.close()


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
    deaf.sendall(b"GET /api/nodes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
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
