"""Too many at once, and too little to serve them with: heartbeats of honest nodes go on."""
import contextlib
import http.client
import json
import random
import re
import select
import signal
import socket
import threading
import time

import pytest
from attacks import ATTACKER
from beats import Beats
from disk import SYNC
from lab.program import cpu_ns
from lab.wait import wait_for
from load import check_file
from memory import Memory
from plane import host_ip


def open_slowly(plane, count):
    """Connections from the attacker's address, as far as they are taken."""
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((ATTACKER, 0))
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", plane.port))
        sockets.append(s)
    return sockets


def close_all(sockets):
    for s in sockets:
        s.close()


@pytest.mark.row("F23", "little memory (RLIMIT_AS)")
def test_little_memory(make_plane, tmp_path, figure):
    ends = []
    for mib in (32, 64, 128, 320):
        directory = tmp_path / f"{mib}"
        directory.mkdir()
        plane = make_plane(directory=directory)
        plane.prefix = ["prlimit", f"--as={mib << 20}"]
        granted = crowd_memory(plane) if plane.spawn().wait_started() else {}
        plane.process.send_signal(signal.SIGTERM)
        code = plane.wait_exit()
        assert code == 0 or (code in (1, 127) and "memory" in plane.log()), f"{code}: {plane.log()}"
        ends.append(f"{mib} MiB: " + ("lives" if code == 0 else f"ended after {len(granted)} answers"))
        plane.prefix = []
        plane.start()
        nodes = {node["node_id"]: node["subnet"] for node in plane.nodes()}
        assert granted.items() <= nodes.items()
        plane.stop()
        check_file(plane)
    figure(", ".join(ends) + "; 0 answered lost, files whole")


def crowd_memory(plane):
    """Registrations beside large bodies and many streams."""
    granted, sockets = {}, []
    with contextlib.suppress(OSError, http.client.HTTPException):
        for number in range(200):
            s = socket.create_connection(("127.0.0.1", plane.port), 5)
            sockets.append(s)
            if number % 2:
                s.sendall(b"POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n")
                s.sendall(b"x" * 1000000)
            else:
                s.sendall(b"GET /api/nodes HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            reply = plane.register(number)
            if reply.status == 200:
                granted[reply.json()["node_id"]] = reply.json()["subnet"]
    close_all(sockets)
    return granted


ASKED = [("POST", "/api/nodes/register"), ("GET", "/api/nodes"), ("POST", "/api/nodes/{id}/heartbeat"),
         ("GET", "/metrics"), ("GET", "/api/nodes/{id}")]


def ask_without_memory(plane, first, granted):
    """Requests until it ends, or for a while; how each was answered. granted: what was answered so far."""
    statuses = []
    with contextlib.suppress(OSError, http.client.HTTPException):
        for number in range(first, first + 40):
            for method, path in ASKED:
                body = {"hostname": f"node{number}", "host_ip": host_ip(number)} if "register" in path else None
                reply = plane.ask(method, path.format(id=next(iter(granted), "none")), body)
                statuses.append(reply.status)
                if "register" in path and reply.status == 200:
                    granted[reply.json()["node_id"]] = reply.json()["subnet"]
                assert reply.status in (200, 404, 500, 503), f"{method} {path}: {reply.status} {reply.body}"
    return statuses


@pytest.mark.row("F23", "allocations fail: 1 % of all, and fewer")
def test_failing_allocations(make_plane, tmp_path, figure, full):
    plane, memory = make_plane("--cluster-cidr", "10.0.0.0/9", "--node-prefix", "25"), Memory(tmp_path)
    plane.env = memory.env()
    rates = [10000, 1000, 100, 20]
    granted, ends, refused, failed, answers = {}, 0, 0, 0, 0
    rounds = 200 if full else 24
    for number in range(rounds):
        plane.start()
        stored = {node["node_id"]: node["subnet"] for node in plane.nodes()}
        assert granted.items() <= stored.items(), "an answered registration is lost"
        seed = random.randrange(1 << 32)
        memory.fail(rates[number % len(rates)], seed)
        statuses = ask_without_memory(plane, number * 100, granted)
        failed += memory.counts()[1]
        memory.fail(0)
        if plane.process.poll() is None:
            plane.process.send_signal(signal.SIGTERM)
        code = plane.wait_exit()
        assert code == 0 or (code == 1 and "level=error" in plane.log()), f"seed {seed}: {code}: {plane.log()}"
        ends, refused, answers = ends + (code == 1), refused + sum(s >= 500 for s in statuses), answers + len(statuses)
    plane.start()
    assert granted.items() <= {node["node_id"]: node["subnet"] for node in plane.nodes()}.items()
    plane.stop()
    check_file(plane)
    assert failed >= ends > rounds // 4 and len(granted) > rounds // 4
    figure(f"{failed} failed in {rounds} runs: {ends} ended with a line and 1, {refused} requests refused, "
           f"{answers - refused} answered; 0 answered registrations of {len(granted)} lost, the file whole")


@pytest.mark.row("F24", "64 open files, 200 clients")
def test_few_files(make_plane, figure):
    plane = make_plane()
    plane.prefix = ["prlimit", "--nofile=64:64"]
    plane.start()
    ids = [plane.join(number)["node_id"] for number in range(10)]
    with Beats(plane, ids, False) as old:
        wait_for(lambda: old.took_s, 5, "the first heartbeat")
        clients = open_slowly(plane, 200)
        with Beats(plane, ids, True) as new:
            before, began = cpu_ns(plane.process.pid), time.monotonic()
            time.sleep(3)
            share = (cpu_ns(plane.process.pid) - before) / 1e9 / (time.monotonic() - began)
            close_all(clients)
    new_text = f"new connections: {len(new.took_s)} heartbeats, {new.missed} missed"
    figure(f"{len(old.took_s)} heartbeats, {old.missed} missed, p99 {old.p99_ms():.1f} ms; {new_text}; "
           f"{share * 100:.0f} % CPU")
    assert old.missed == 0 and len(old.took_s) > 100
    assert new.missed == 0 and len(new.took_s) > 100
    assert share < 0.5
    assert plane.register(50).status == 200


class Registration:
    """One host's, on a connection of its own, until it is answered with 200: who is put off comes again."""

    def __init__(self, plane, number):
        self.plane, self.number = plane, number
        self.put_off, self.due, self.socket, self.reply = [], 0, None, None

    def start(self):
        body = json.dumps({"hostname": f"herd{self.number}", "host_ip": host_ip(self.number)})
        self.reply = b""
        self.socket = socket.create_connection(("127.0.0.1", self.plane.port), 10)
        self.socket.sendall(f"POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def read(self):
        """Whether it is over."""
        data = self.socket.recv(65536)
        self.reply += data
        if data:
            return False
        self.socket.close()
        head = self.reply.decode()
        if head.startswith("HTTP/1.1 200"):
            return True
        assert head.startswith("HTTP/1.1 503"), head
        self.put_off.append(int(re.search("Retry-After: ([0-9]+)", head).group(1)))
        self.due = time.monotonic() + self.put_off[-1]
        return False


def run_herd(herd, deadline_s):
    """All start at once; returns when all are in."""
    waiting, poll, by_fd = list(herd), select.poll(), {}
    end = time.monotonic() + deadline_s
    while waiting or by_fd:
        assert time.monotonic() < end, f"{len(waiting) + len(by_fd)} are not in after {deadline_s} s"
        for one in [one for one in waiting if one.due <= time.monotonic()]:
            waiting.remove(one)
            one.start()
            by_fd[one.socket.fileno()] = one
            poll.register(one.socket, select.POLLIN)
        for fd, _ in poll.poll(50):
            one = by_fd[fd]
            is_in = one.read()
            if one.socket.fileno() < 0:
                poll.unregister(fd)
                del by_fd[fd]
                if not is_in:
                    waiting.append(one)


@pytest.mark.row("F10b", "a herd of 4,000 registers at once, and the disk takes a second a commit")
def test_a_herd_is_paced(make_plane, disk, figure):
    plane = make_plane("--cluster-cidr", "10.64.0.0/12", directory=disk.directory)
    plane.env = disk.env()
    plane.start()
    ids = [plane.join(5000 + number)["node_id"] for number in range(10)]
    disk.set(delay_calls=SYNC, delay_ms=1000)
    herd = [Registration(plane, number) for number in range(4000)]
    with Beats(plane, ids, False) as beats:
        began = time.monotonic()
        run_herd(herd, 60)
        took_s = time.monotonic() - began
    put_off = [one for one in herd if one.put_off]
    figure(f"all in after {took_s:.1f} s, {len(put_off):,} were put off; {len(beats.took_s)} heartbeats, "
           f"{beats.missed} missed, p99 {beats.p99_ms():.0f} ms")
    assert put_off and {wait for one in put_off for wait in one.put_off} <= {1, 2, 3}
    assert plane.metric("quilt_control_put_off_total") == sum(len(one.put_off) for one in herd)
    assert beats.missed == 0 and beats.p99_ms() < 1000
    assert len({node["subnet"] for node in plane.nodes()}) == 4010


@pytest.mark.row("F27", "50 registrations of one identity at once")
def test_one_identity_many_times(make_plane, figure):
    plane = make_plane().start()
    first = plane.join(1)
    identity = {"node_id": first["node_id"], "node_token": first["node_token"]}
    gate, replies = threading.Barrier(50), []

    def register(number):
        connection = plane.connect()
        connection.connect()
        gate.wait()
        # Half of them from elsewhere: the one node moves, it is not doubled.
        replies.append(plane.register(1 + number % 2, connection=connection, **identity))
        connection.close()
    threads = [threading.Thread(target=register, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 50
    assert {(reply.json()["node_id"], reply.json()["subnet"]) for reply in replies} == {
        (first["node_id"], first["subnet"])}
    assert [node["node_id"] for node in plane.nodes()] == [first["node_id"]]
    plane.restart()
    assert [node["subnet"] for node in plane.nodes()] == [first["subnet"]]
    figure("50 answers, 1 node, 1 subnet")
