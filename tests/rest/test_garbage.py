"""Whatever comes in at the port, the control plane lives on and changes nothing."""
import contextlib
import random
import socket
import time

import pytest


@pytest.fixture
def plane(make_plane):
    """Its nodes send no heartbeats: a slow machine must not make them time out meanwhile."""
    return make_plane("--node-timeout", "1h").start()


def send_raw(plane, data, read=True):
    with socket.create_connection(("127.0.0.1", plane.port), timeout=5) as raw:
        with contextlib.suppress(OSError):
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            return raw.recv(65536) if read else b""
    return b""


def assert_unharmed(plane, etag):
    reply = plane.ask("GET", "/api/nodes")
    assert (reply.status, reply.headers["ETag"]) == (200, etag)


def test_random_bytes(plane):
    plane.join(1)
    etag = plane.ask("GET", "/api/nodes").headers["ETag"]
    chance = random.Random(7)
    for _ in range(200):
        send_raw(plane, chance.randbytes(chance.randrange(1, 5000)))
    assert_unharmed(plane, etag)


def test_requests_with_one_byte_changed(plane):
    plane.join(1)
    etag = plane.ask("GET", "/api/nodes").headers["ETag"]
    chance = random.Random(8)
    request = (b"POST /api/nodes/00000000-0000-4000-8000-000000000000/heartbeat HTTP/1.1\r\n"
               b"Host: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    for _ in range(300):
        mutant = bytearray(request)
        mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        send_raw(plane, bytes(mutant))
    assert_unharmed(plane, etag)


def test_bodies_with_bytes_changed(plane):
    chance = random.Random(9)
    body = b'{"hostname":"node1","host_ip":"192.168.1.1","cpu_cores":8,"node_id":null}'
    connection = plane.connect()
    for _ in range(500):
        mutant = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        reply = plane.ask("POST", "/api/nodes/register", bytes(mutant), connection=connection)
        assert reply.status in (200, 400, 409, 422)
    for node in plane.nodes():
        assert node["subnet"] and node["hostname"]


def test_a_slow_sender_delays_nobody(plane):
    node_id = plane.join(1)["node_id"]
    slow = []
    for _ in range(100):
        raw = socket.create_connection(("127.0.0.1", plane.port))
        raw.sendall(b"POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        slow.append(raw)
    began = time.monotonic()
    assert [plane.beat(node_id) for _ in range(20)] == [200] * 20
    assert time.monotonic() - began < 2
    for raw in slow:
        raw.close()


def test_clients_that_leave_before_the_answer(plane):
    body = b'{"hostname":"gone","host_ip":"192.168.9.9"}'
    request = (b"POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
               + str(len(body)).encode() + b"\r\n\r\n" + body)
    for _ in range(50):
        send_raw(plane, request, read=False)
    assert len(plane.nodes()) <= 1
    assert plane.join(1)["node_id"]
