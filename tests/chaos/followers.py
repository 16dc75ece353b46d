"""Followers of the event stream that break off and come back at random: each is a process of its own, has a model
of what it heard, and writes down all that it was told."""
import contextlib
import http.client
import json
import multiprocessing
import pickle
import random
import socket
import struct
import time

# What a follower writes down. A value is None where the thing is gone.
#   ("open", revision it comes back with or None)    ("snapshot", revision, {key: value})
#   ("event", revision, key, value)                  ("bookmark", revision)
OPEN, SNAPSHOT, EVENT, BOOKMARK = "open", "snapshot", "event", "bookmark"
KINDS = (None, "node", "node,reservation", "reservation")
RECEIVE_BYTES = 65536


def node_value(node):
    return node["hostname"], node["host_ip"], node["subnet"], node["status"]


def of_data(kind, data):
    """Key and value of an event."""
    if kind == "node":
        return ("node", data["node_id"]), node_value(data)
    if kind == "node-deleted":
        return ("node", data["node_id"]), None
    return ("reservation", data["host"]), data["subnet"] if kind == "reservation" else None


def of_list(data):
    """Everything that a snapshot has, by key."""
    return {**dict(of_data("node", node) for node in data.get("nodes", [])),
            **dict(of_data("reservation", one) for one in data.get("reservations", []))}


class Follower:
    """kinds: one of KINDS. is_sleepy: now and then it does not read for so long that the stream overtakes it."""

    def __init__(self, port, kinds, seed, is_sleepy):
        self.port, self.kinds, self.is_sleepy = port, kinds, is_sleepy
        self.chance = random.Random(seed)
        self.record, self.model = [], {}
        self.last = None  # the revision up to which it knows all of its kinds
        self.bookmark = 0

    def follow_until(self, goal):
        """Until a bookmark says that it knows all up to goal.value, once that is not 0."""
        while not goal.value or self.bookmark < goal.value:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.follow(goal)
            time.sleep(self.chance.choice((0, 0, 0, 0.05, 0.3)))

    def follow(self, goal):
        if self.chance.random() < 0.05:
            self.last = None  # it has forgotten everything
        headers = {"Accept": "text/event-stream"}
        if self.last is not None:
            headers["Last-Event-ID"] = str(self.last)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.connect()
            sock = connection.sock
            connection.request("GET", "/api/nodes" + (f"?kind={self.kinds}" if self.kinds else ""), headers=headers)
            stream = connection.getresponse()
            if stream.status == 200:
                self.record.append((OPEN, self.last))
                self.read(sock, stream, goal)
            stream.close()
        finally:
            connection.close()

    def read(self, sock, stream, goal):
        """Until the stream ends, or this one has had enough of it: what it has read beyond that is thrown away."""
        rest, taken, enough = b"", 0, 10 ** self.chance.uniform(0, 3.2)
        while not goal.value or self.bookmark < goal.value:
            data = stream.read1(RECEIVE_BYTES)
            if not data:
                return
            *blocks, rest = (rest + data).split(b"\n\n")
            for block in blocks:
                self.take(block.decode())
                taken += 1
                if taken > enough and not goal.value:
                    self.break_off(sock)
                    return
            if self.is_sleepy and not goal.value and self.chance.random() < 0.02:
                time.sleep(self.chance.uniform(0.5, 3))

    def break_off(self, sock):
        """Half of them with a reset."""
        if self.chance.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def take(self, block):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if not fields:
            return
        kind, revision, data = fields["event"], int(fields["id"]), json.loads(fields["data"])
        if kind == BOOKMARK:
            self.bookmark = revision
            self.record.append((BOOKMARK, revision))
        elif kind == SNAPSHOT:
            self.model = of_list(data)
            self.record.append((SNAPSHOT, revision, dict(self.model)))
        else:
            key, value = of_data(kind, data)
            self.record.append((EVENT, revision, key, value))
            self.model[key] = value
            if value is None:
                del self.model[key]
        self.last = revision


def run(port, kinds, seed, is_sleepy, goal, path):
    follower = Follower(port, kinds, seed, is_sleepy)
    follower.follow_until(goal)
    with open(path, "wb") as file:
        pickle.dump((kinds, follower.record, follower.model), file)


class Followers:
    """Two of each set of kinds, and one more that reads too slowly at times."""

    def __init__(self, port, directory):
        context = multiprocessing.get_context("fork")
        self.goal = context.Value("q", 0)
        self.paths = [directory / f"follower{number}" for number in range(2 * len(KINDS) + 1)]
        self.processes = [
            context.Process(target=run, daemon=True,
                            args=(port, KINDS[number % len(KINDS)], number, number == 2 * len(KINDS), self.goal, path))
            for number, path in enumerate(self.paths)]
        for process in self.processes:
            process.start()

    def finish(self, revision, deadline_s):
        """When all know that they have heard all up to this revision: (kinds, record, model) of each."""
        self.goal.value = revision
        end = time.monotonic() + deadline_s
        for process in self.processes:
            process.join(max(0.1, end - time.monotonic()))
        assert [process.exitcode for process in self.processes] == [0] * len(self.processes), "not all came to the end"
        return [pickle.loads(path.read_bytes()) for path in self.paths]

    def end(self):
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()
