"""Who takes all he can get of the control plane: honest heartbeats go on, from elsewhere and from beside him."""
import contextlib
import ssl
import subprocess
import time

import pytest
from attacks import ATTACKER, Attack, Target
from beats import Beats, p99_ms
from lab.wait import wait_for
from plane import BUILD, is_sanitized
from secure import Node, SecurePlane


PLAIN, TLS = "http", "https"


class Honest:
    """A control plane, the ids of its nodes, and how they connect."""

    def __init__(self, plane, ids, connect=None):
        self.plane, self.ids, self.connect = plane, ids, connect
        is_encrypted = isinstance(plane, SecurePlane)
        self.scheme = "https" if is_encrypted else "http"
        self.attackers_context = ssl._create_unverified_context() if is_encrypted else None

    def beats(self):
        """Over connections that last and over new ones, from elsewhere and from the attacker's address."""
        return [Beats(self.plane, self.ids, is_new_each, self.connect, source)
                for source in (None, ATTACKER) for is_new_each in (False, True)]


def over_tls(plane, tmp_path):
    node = Node(plane, tmp_path, 254).join()
    context = node.context()
    return Honest(plane, [node.id], lambda: plane.connect(1, context))


@pytest.fixture
def honest(request, make_plane, tmp_path):
    if request.param == PLAIN:
        plane = make_plane().start()
        yield Honest(plane, [plane.join(number)["node_id"] for number in range(10)])
        return
    plane = SecurePlane(tmp_path).start()
    try:
        yield over_tls(plane, tmp_path)
    finally:
        plane.end()


def watch(honest, attack, seconds):
    """Heartbeats under attack; the attack's rate."""
    everyone = honest.beats()
    with contextlib.ExitStack() as stack:
        for beats in everyone:
            stack.enter_context(beats)
        wait_for(lambda: attack.done > 0, 20, "the attack to begin")
        before, began = attack.done, time.monotonic()
        time.sleep(seconds)
        rate = (attack.done - before) / (time.monotonic() - began)
    return everyone, rate


def judge(everyone, told, figure):
    """A sanitizer build is too slow to say anything by its times; that it lives and reports nothing, it says."""
    took_s = [one for beats in everyone for one in beats.took_s]
    missed, reopened = sum(beats.missed for beats in everyone), sum(beats.reopened for beats in everyone)
    assert took_s, "nobody was answered"
    figure(f"{told}: {len(took_s)} heartbeats, {missed} missed, p99 {p99_ms(took_s):.1f} ms"
           + (f", {reopened} connections opened again" if reopened else ""))
    if is_sanitized():
        return
    assert missed == 0
    assert everyone[0].reopened == 0, "one of elsewhere lost its place"
    assert all(len(beats.took_s) > 10 for beats in everyone)
    assert p99_ms(took_s) < 1000


@pytest.mark.row("F25", "slow clients")
@pytest.mark.parametrize("honest, kind, count, full_count", [
    (PLAIN, "slow headers", 1000, 3000),
    (PLAIN, "slow body", 1000, 1000),
    (PLAIN, "slow reading", 300, 1000),
    (TLS, "slow handshakes", 1000, 3000),
    (TLS, "slow headers", 300, 1000),
    (TLS, "slow body", 300, 1000),
    (TLS, "slow reading", 300, 1000),
], indirect=["honest"])
def test_slow_clients(honest, kind, count, full_count, full, figure):
    target = Target(honest.plane, honest.attackers_context, full_count if full else count)
    with Attack(kind, target) as attack:
        wait_for(lambda: attack.done >= target.count, 120, "the attacker's connections")
        everyone, _ = watch(honest, attack, 40 if full else 1.5)
    judge(everyone, f"{honest.scheme}, {kind}, {target.count:,} connections", figure)


@pytest.mark.row("F25", "floods")
@pytest.mark.parametrize("honest, kind", [
    (PLAIN, "nonsense"),
    (PLAIN, "malformed"),
    (PLAIN, "endless headers"),
    (PLAIN, "connections"),
    (PLAIN, "long bodies"),
    (TLS, "nonsense"),
    (TLS, "malformed"),
    (TLS, "endless headers"),
    (TLS, "connections"),
    (TLS, "handshakes"),
    (TLS, "long bodies"),
], indirect=["honest"])
def test_floods(honest, kind, full, figure):
    with Attack(kind, Target(honest.plane, honest.attackers_context, 1000)) as attack:
        everyone, rate = watch(honest, attack, 20 if full else 1.5)
    judge(everyone, f"{honest.scheme}, {kind}, {rate:,.0f} a second", figure)
    assert rate > (10000 if full and kind == "nonsense" else 1)


@pytest.mark.row("F25", "10,000 nodes are listed")
@pytest.mark.parametrize("scheme", [PLAIN, TLS])
@pytest.mark.parametrize("kind", ["lists", "snapshots"])
def test_long_lists(make_plane, tmp_path, scheme, kind, full, figure):
    plane = make_plane("--cluster-cidr", "10.0.0.0/8").start()
    subprocess.run([BUILD / "bench" / "load", f"127.0.0.1:{plane.port}", "64", "60", "fill", "10000"], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)
    with contextlib.ExitStack() as stack:
        if scheme == TLS:
            assert plane.stop() == 0
            plane = SecurePlane(tmp_path, *plane.options)
            stack.callback(plane.end)
            honest = over_tls(plane.start(), tmp_path)
        else:
            honest = Honest(plane, [plane.join(20000)["node_id"]])
        context = plane.admin() if scheme == TLS else None
        with Attack(kind, Target(plane, context, 1, 1 << 20)) as attack:
            everyone, rate = watch(honest, attack, 20 if full else 1.5)
    judge(everyone, f"{scheme}, {kind}, {rate:,.0f} a second", figure)
