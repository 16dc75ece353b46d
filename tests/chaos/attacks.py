"""Those who take all they can get of an HTTP server, from one address. Each runs in a process of its own, so
that it takes no time from those who measure."""
import contextlib
import multiprocessing
import os
import random
import select
import socket
import struct
import time

ATTACKER = "127.0.0.2"
ABORT = struct.pack("ii", 1, 0)  # closing resets, and leaves no port behind in TIME_WAIT
HOST = b"Host: localhost\r\n"


class Target:
    """context: of TLS; None: plain HTTP. receives: what the attacker's sockets hold of answers."""

    def __init__(self, plane, context, count, receives=4096):
        self.port, self.count, self.context, self.receives = plane.port, count, context, receives

    def dial(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receives)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        s.settimeout(5)
        s.bind((ATTACKER, 0))
        s.connect(("127.0.0.1", self.port))
        return s

    def open(self):
        s = self.dial()
        try:
            return self.context.wrap_socket(s, server_hostname="localhost") if self.context else s
        except OSError:
            s.close()
            raise


class Attack:
    """kind: one of KINDS. done: so many requests or connections."""

    def __init__(self, kind, target):
        context = multiprocessing.get_context("fork")
        self.counter, self.is_over = context.Value("q", 0), context.Event()
        self.process = context.Process(target=self.run, args=(KINDS[kind], target), daemon=True)

    def run(self, attack, target):
        while not self.is_over.is_set():
            with contextlib.suppress(OSError):  # refused, cut off: then again
                for count in attack(target):
                    self.counter.value += count
                    if self.is_over.is_set():
                        return

    @property
    def done(self):
        return self.counter.value

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *args):
        self.is_over.set()
        self.process.join(10)
        assert self.process.exitcode == 0, "the attack broke down"


# ---- many requests ----------------------------------------------------------------------------------


def post(path, body, *headers):
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", HOST + b"Content-Length: %d" % len(body), *headers, b"", body])


# What a server answers and goes on.
NONSENSE = [
    b"GET /nothing/here HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /api/nodes/%00%ff%2e%2e HTTP/1.1\r\n" + HOST + b"\r\n",
    b"BREW /api/nodes HTTP/1.1\r\n" + HOST + b"\r\n",
    post(b"/api/nodes/register", b"not json!"),
    post(b"/api/nodes/register", b'{"hostname": 1, "host_ip": [[[]]]}'),
    post(b"/api/nodes/register", b'{"a":' * 40 + b"1" + b"}" * 40),
    post(b"/api/nodes/no-such/heartbeat", b"", b"Authorization: Bearer " + b"0" * 64),
    post(b"/api/nodes/no-such/heartbeat", b"\xff\xfe\x00", b"Expect: 100-continue"),
]

# What ends the connection.
MALFORMED = [
    b"\0" * 100 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  /  HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\nHost: a\nHost: b\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 400,
    b"POST /api/nodes/register HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/nodes/register HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"POST /api/nodes/register HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
]


def nonsense(target):
    """Pipelined, as fast as it is answered; what is told are the answers."""
    batch = b"".join(NONSENSE * 4)
    with target.open() as s:
        while True:
            s.sendall(batch)
            left = len(NONSENSE) * 4
            while left > 0:
                data = s.recv(65536)
                if not data:
                    return
                left -= data.count(b"HTTP/1.1 ")
            yield len(NONSENSE) * 4


def malformed(target):
    """A connection for each."""
    while True:
        with contextlib.suppress(OSError), target.open() as s:
            s.sendall(random.choice([*MALFORMED, os.urandom(300) + b"\r\n\r\n"]))
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        yield 1


def endless_headers(target):
    """Each connection gets headers until it is cut off."""
    lines = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 200) for i in range(40))
    while True:
        with contextlib.suppress(OSError), target.open() as s:
            s.sendall(b"GET /livez HTTP/1.1\r\n" + HOST)
            for _ in range(100):
                s.sendall(lines)
        yield 1


def connections(target):
    """Opened as fast as can be, and kept while there is room; nothing is said on them."""
    with contextlib.ExitStack() as stack:
        for _ in range(5 * target.count):
            stack.enter_context(target.dial())
            yield 1


def handshakes(target):
    """Whole ones, each for nothing."""
    while True:
        target.open().close()
        yield 1


def long_bodies(target):
    """Several at once that are as long as they may be and take long to read; told when all are answered."""
    text = b'{"hostname":"' + b"\\u0041" * 174000 + b'"}'
    values = b"[" + b"{}," * 349000 + b"1]"
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(target.open()) for _ in range(8)]
        requests = [post(b"/api/nodes/register", (text, values)[i % 2]) for i in range(8)]
        while True:
            for s, request in zip(opened, requests):
                s.sendall(request[:-1])
            for s, request in zip(opened, requests):
                s.sendall(request[-1:])
            for s in opened:
                if not s.recv(65536):
                    return
            yield len(opened)


def lists(target):
    """All nodes, again and again."""
    with target.open() as s:
        s.sendall(b"GET /api/nodes HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert b'"revision":' in last_of(s), "the list was cut"
    yield 1


def snapshots(target):
    """The same as the beginning of a stream."""
    with target.open() as s:
        s.sendall(b"GET /api/nodes HTTP/1.1\r\n" + HOST + b"Accept: text/event-stream\r\n\r\n")
        assert last_of(s, b"\n\n\r\n").endswith(b"\n\n\r\n"), "the snapshot was cut"
    yield 1


def last_of(s, end=None):
    """The last bytes that come until it is closed, or until this end has come."""
    last = b""
    while not end or not last.endswith(end):
        data = s.recv(1 << 20)
        if not data:
            break
        last = (last + data)[-64:]
    return last


# ---- slow ones --------------------------------------------------------------------------------------

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 400


def slowly(begin, more, is_raw=False):
    """So many connections: each says how it begins, and then a byte now and then, or reads one (None)."""
    def attack(target):
        with contextlib.ExitStack() as stack:
            opened = []
            while len(opened) < target.count:
                with contextlib.suppress(OSError):
                    s = stack.enter_context(target.dial() if is_raw else target.open())
                    s.sendall(begin)
                    s.setblocking(False)
                    opened.append(s)
                    yield 1
            while True:
                drip(opened, more)
                time.sleep(0.25)
                yield 0
    return attack


def drip(sockets, more):
    poll = select.poll()
    for s in sockets:
        poll.register(s, select.POLLOUT if more else select.POLLIN)
    ready = {fd for fd, _ in poll.poll(100)}
    for s in sockets:
        if s.fileno() not in ready:
            continue
        with contextlib.suppress(OSError):
            if more:
                s.send(more)
            else:
                s.recv(1)


KINDS = {
    "nonsense": nonsense,
    "malformed": malformed,
    "endless headers": endless_headers,
    "connections": connections,
    "handshakes": handshakes,
    "long bodies": long_bodies,
    "lists": lists,
    "snapshots": snapshots,
    "slow headers": slowly(b"POST /api/nodes/register HTTP/1.1\r\n" + HOST + b"X-Slow: ", b"a"),
    "slow body": slowly(b"POST /api/nodes/register HTTP/1.1\r\n" + HOST + b"Content-Length: 4096\r\n\r\n", b"a"),
    "slow reading": slowly((b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n") * 20, None),
    "slow handshakes": slowly(HELLO, b"\xaa", is_raw=True),
}
