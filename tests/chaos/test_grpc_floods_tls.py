"""Floods against the runtime's gRPC over TLS: by who has a good certificate, and by who never shows one."""
import os
import socket
import subprocess
import time

import floods
import pytest
from lab.program import rss_mib
from test_grpc_access import HEALTH
from test_grpc_floods import GROWTH_MAX_MIB, MILLION, Honest, cuts
from tls_host import TARGET, TlsHost

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")
HALF = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class HonestOverTls(Honest):
    """In the runtime's host, with this node's certificate."""

    def __init__(self, host):  # pylint: disable=super-init-not-called  # it has no channel of its own
        self.caller = host.open_caller(host.paper)
        self.begin()

    def ask(self):
        began = time.monotonic()
        self.caller.stdin.write(f"{HEALTH}\n")
        self.caller.stdin.flush()
        said = self.caller.stdout.readline().strip()
        if said == f"{HEALTH} OK":
            self.took_s.append(time.monotonic() - began)
        else:
            self.failed.append(said)

    def close(self):
        self.caller.stdin.close()
        self.caller.stdout.close()
        assert self.caller.wait(20) == 0


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    host = TlsHost(tmp_path_factory.mktemp("floods")).start()
    yield host
    host.end()


class Pipe:
    """A socket whose other end openssl carries over TLS."""

    def __init__(self, host, paper):
        self.near, far = socket.socketpair()
        argv = ["openssl", "s_client", "-quiet", "-alpn", "h2", "-connect", TARGET, "-cert", paper.cert, "-key",
                paper.key]
        self.process = subprocess.Popen(host.argv(*argv), stdin=far, stdout=far, stderr=subprocess.DEVNULL)
        far.close()

    def close(self):
        self.near.close()
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("name, reason, count", [
    pytest.param(name, reason, count, id=name, marks=pytest.mark.row("F26", f"gRPC over TLS, {name.replace('_', ' ')}"))
    for name, reason, count in [("rapid_resets", "resets", MILLION), ("continuations", "big-headers", 100_000),
                                ("pings", "pings", MILLION), ("tiny_data", "tiny-data", MILLION)]])
def test_a_flood_inside_tls_is_cut_off(runtime, figure, name, reason, count):
    stranger = runtime.ca.issue("ada", "user/ada")
    with HonestOverTls(runtime) as honest:
        before_mib, cuts_before = rss_mib(runtime.process.pid), cuts(runtime, reason)
        pipe = Pipe(runtime, stranger)
        flood = floods.Flood(pipe.near)
        is_cut = flood.send(getattr(floods, name)(count)) or flood.is_cut_within(5)
        growth_mib = rss_mib(runtime.process.pid) - before_mib
        pipe.close()
    figure(f"cut={is_cut}, RSS {growth_mib:+.1f} MiB, {len(honest.took_s)} health checks answered, "
           f"{len(honest.failed)} not, the slowest in {max(honest.took_s) * 1000:.0f} ms")
    assert is_cut and cuts(runtime, reason) == cuts_before + 1
    assert growth_mib < GROWTH_MAX_MIB
    assert honest.failed == []


@pytest.mark.row("F26", "gRPC over TLS, 2,000 handshakes that are begun, and more that show no certificate")
def test_handshakes_that_lead_nowhere_keep_nobody_out(runtime, figure):
    with HonestOverTls(runtime) as honest:
        before_mib, cuts_before = rss_mib(runtime.process.pid), cuts(runtime, "too-many")
        whole = subprocess.Popen(runtime.argv("openssl", "s_time", "-connect", TARGET, "-new", "-time", "5"),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        halves = [begin_handshake(runtime) for _ in range(2000)]
        began = time.monotonic()
        assert runtime.statuses(runtime.paper, [HEALTH]) == {HEALTH: "OK"}
        newcomer_s = time.monotonic() - began
        growth_mib = rss_mib(runtime.process.pid) - before_mib
        for half in halves:
            half.close()
        whole.wait(20)
    figure(f"a newcomer is served within {newcomer_s:.2f} s, RSS {growth_mib:+.1f} MiB, {len(honest.took_s)} health "
           f"checks answered, {len(honest.failed)} not, the slowest in {max(honest.took_s) * 1000:.0f} ms")
    assert cuts(runtime, "too-many") >= cuts_before + 1900
    assert growth_mib < GROWTH_MAX_MIB and newcomer_s < 5
    assert honest.failed == []


def begin_handshake(runtime):
    s = runtime.open_socket()
    try:
        s.sendall(HALF)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return s
