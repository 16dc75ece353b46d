"""HTTP/2 floods against the runtime's gRPC: the connection is cut, its memory stays, and an honest client's
health check is answered meanwhile."""
import os
import re
import threading
import time

import floods
import grpc
import pytest
from lab.program import rss_mib
from runtime_host import Host, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")
MILLION = 1_000_000
GROWTH_MAX_MIB = 16


class Honest(threading.Thread):
    """Asks for health over a connection of its own until it is over."""

    def __init__(self, target):
        self.channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])
        self.check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.begin()

    def begin(self):
        super().__init__()
        self.took_s, self.failed, self.is_over = [], [], False

    def close(self):
        self.channel.close()

    def ask(self):
        began = time.monotonic()
        try:
            assert self.check(b"", timeout=5) == b"\x08\x01"
            self.took_s.append(time.monotonic() - began)
        except grpc.RpcError as e:
            self.failed.append(e.code().name)

    def run(self):
        while not self.is_over:
            self.ask()
            time.sleep(0.01)

    def __enter__(self):
        self.ask()
        self.start()
        return self

    def __exit__(self, *args):
        self.is_over = True
        self.join()
        self.ask()
        self.close()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("floods")).start()
    yield host
    host.end()


def cuts(host, reason):
    text = host.out("curl", "-sf", "http://127.0.0.1:9181/metrics")
    return int(re.search(rf'connections_cut_total{{reason="{reason}"}} (\d+)', text)[1])


@pytest.mark.parametrize("name, reason, count, deadline_s", [
    pytest.param(name, reason, count, deadline_s, id=name,
                 marks=pytest.mark.row("F26", f"gRPC, {name.replace('_', ' ')}"))
    for name, reason, count, deadline_s in [
        ("rapid_resets", "resets", MILLION, 5),
        ("continuations", "big-headers", 100_000, 5),
        ("settings", "settings", MILLION, 5),
        ("pings", "pings", MILLION, 5),
        ("tiny_data", "tiny-data", MILLION, 5),
        ("provoked_resets", "provoked-resets", MILLION, 5),
        ("window_zero", "stalled", 100, 40),
    ]])
def test_a_flood_is_cut_off(runtime, figure, name, reason, count, deadline_s):
    with Honest(f"unix:{runtime.socket}") as honest:
        before_mib, cuts_before = rss_mib(runtime.process.pid), cuts(runtime, reason)
        began = time.monotonic()
        flood = floods.Flood(str(runtime.socket))
        pace = {"batch_size": 64, "pause_s": 0.02} if name == "provoked_resets" else {}
        is_cut = flood.send(getattr(floods, name)(count), **pace) or flood.is_cut_within(deadline_s)
        took_s = time.monotonic() - began
        growth_mib = rss_mib(runtime.process.pid) - before_mib
    figure(f"cut={is_cut} when {flood.sent} were sent, after {took_s:.1f} s, RSS {growth_mib:+.1f} MiB, "
           f"{len(honest.took_s)} health checks answered, {len(honest.failed)} not, "
           f"the slowest in {max(honest.took_s) * 1000:.0f} ms")
    assert is_cut and cuts(runtime, reason) == cuts_before + 1
    assert growth_mib < GROWTH_MAX_MIB
    assert honest.failed == []
    assert 'msg="a gRPC connection was cut"' in runtime.log.read_text()


@pytest.mark.row("F26", "gRPC, 400 connections that say nothing")
def test_silent_connections_leave_room(runtime, figure):
    with Honest(f"unix:{runtime.socket}") as honest:
        before_mib, cuts_before = rss_mib(runtime.process.pid), cuts(runtime, "too-many")
        silent = [floods.Flood(str(runtime.socket)) for _ in range(400)]
        turned_away = wait_for(lambda: (count := sum(not one.is_open() for one in silent)) > 100 and count,
                               "connections to be turned away")
        growth_mib = rss_mib(runtime.process.pid) - before_mib
        for one in silent:
            one.socket.close()
    figure(f"{turned_away} turned away, RSS {growth_mib:+.1f} MiB, {len(honest.failed)} health checks not "
           "answered")
    assert cuts(runtime, "too-many") > cuts_before
    assert growth_mib < GROWTH_MAX_MIB
    assert honest.failed == []
