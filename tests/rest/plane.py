"""A control plane of the real program on loopback, for tests that talk to it as clients do."""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lab.wait import wait_for  # noqa: E402 (the tests' own package)

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))
PROGRAM = BUILD / "control" / "quilt-mesh-control"
READY = re.compile(r'msg="ready" listen=\S+?:(\d+) ')
SANITIZER_REPORT = re.compile(r"AddressSanitizer|runtime error:|LeakSanitizer")


def is_sanitized():
    """Whether the program is a sanitizer build, whose memory says nothing."""
    return b"__asan_init" in PROGRAM.read_bytes()


class Reply:
    """Status, headers and body of an answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Plane:
    """The program and its directory. It can be stopped, killed and started again."""

    def __init__(self, directory, *options):
        self.directory = Path(directory)
        self.db = self.directory / "mesh.db"
        self.log_path = self.directory / "control.log"
        self.options = list(options)
        self.program = PROGRAM
        self.prefix = []  # the words of a program that runs ours, as prlimit does
        self.env = {}     # what is added to our own environment
        self.process = None
        self.port = None

    def spawn(self, *options):
        """Starts it without waiting; it may well fail."""
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        argv = [*self.prefix, self.program, "--listen", "127.0.0.1:0", "--db-path", self.db, *self.options, *options]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **self.env})
        return self

    def start(self, *options):
        self.spawn(*options)
        self.port = int(wait_for(self._ready, 20, lambda: f"ready:\n{self.log()}").group(1))
        return self

    def _ready(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
        return READY.search(self.log())

    def wait_started(self):
        """After spawn(): until it is ready (True), or has ended."""
        wait_for(lambda: READY.search(self.log()) or self.process.poll() is not None, 20, self.log)
        found = READY.search(self.log())
        self.port = int(found.group(1)) if found else None
        return found is not None

    def log(self):
        """What it has said since its latest start."""
        return self.log_path.read_bytes()[self.log_from:].decode(errors="replace")

    def wait_exit(self, deadline_s=10):
        return self.process.wait(deadline_s)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self):
        self.process.kill()
        self.wait_exit()

    def restart(self, *options):
        assert self.stop() == 0
        return self.start(*options)

    def end(self):
        """At the end of a test: it must have lived until now, and must go when it is told to."""
        if self.process and self.process.poll() is None:
            assert self.stop() == 0, self.log()
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        assert not SANITIZER_REPORT.search(text), text[-8000:]

    # ---- talking --------------------------------------------------------------------------------

    def connect(self, timeout_s=20):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """One exchange. body: bytes, text, or what json can write."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        own = connection or self.connect()
        try:
            own.request(method, path, body=body, headers=headers or {})
            return Reply(own.getresponse())
        finally:
            if not connection:
                own.close()

    def register(self, number, connection=None, **fields):
        """As the number-th host: node NUMBER at 192.168.x.y."""
        wish = {"hostname": f"node{number}", "host_ip": host_ip(number), **fields}
        return self.ask("POST", "/api/nodes/register", wish, connection=connection)

    def join(self, number, **fields):
        """Registers, which has to work."""
        reply = self.register(number, **fields)
        assert reply.status == 200, reply.body
        return reply.json()

    def beat(self, node_id, connection=None):
        return self.ask("POST", f"/api/nodes/{node_id}/heartbeat", connection=connection).status

    def nodes(self):
        return self.ask("GET", "/api/nodes").json()["nodes"]

    def stored_nodes(self):
        """What a restart keeps of them."""
        return [{key: value for key, value in node.items() if key not in ("unknown", "last_heartbeat", "last_heartbeat_or_later", "agent")}
                for node in self.nodes()]

    def status_of(self, node_id):
        return self.ask("GET", f"/api/nodes/{node_id}").json()["status"]

    def metric(self, name):
        """The value of a sample, by its whole name with labels."""
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(name)


def read_to_end(response, deadline_s):
    """A stream that is to end. One that does not goes on for ever, and says so every few seconds."""
    end = time.monotonic() + deadline_s
    while response.readline():
        assert time.monotonic() < end, f"the stream goes on after {deadline_s} s"


def host_ip(number):
    return f"192.168.{number // 250}.{number % 250 + 1}"


def problem(reply, status, *words):
    """The answer is a problem of this status, and its detail has these words."""
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    value = reply.json()
    assert value["status"] == status
    assert value["title"]
    for word in words:
        assert word in value["detail"], value
    return value


@pytest.fixture
def make_plane(tmp_path):
    """Makes control planes that are not started yet; all are ended with the test."""
    planes = []

    def make(*options, directory=tmp_path):
        planes.append(Plane(directory, *options))
        return planes[-1]
    yield make
    for plane in planes:
        plane.end()
