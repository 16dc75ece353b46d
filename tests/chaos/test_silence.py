"""Nodes that are silent, and a control plane that was away: who is down is down, and nobody else."""
import os
import signal
import time

import pytest
from agents import Agent
from disk import Disk
from lab.wait import seconds_until, wait_for
from swarm import Swarm

NODES = 100
# The times of the rows are those of the default timeout of 30 s; here they are as much shorter as
# the timeout is.
TIMEOUT_S = 30.0 if os.environ.get("QUILT_CHAOS") == "full" else 1.2


def scaled(seconds):
    return seconds * TIMEOUT_S / 30


@pytest.fixture
def plane(make_plane):
    return make_plane("--node-timeout", f"{TIMEOUT_S * 1000:.0f}ms").start()


def downs(plane):
    return sum(node["status"] == "down" for node in plane.nodes())


def revision(plane):
    return plane.metric("quilt_control_revision")


def readiness(plane):
    return plane.ask("GET", "/readyz").json()


@pytest.mark.row("F10", "the control plane comes back after 5 min")
def test_away_and_back(plane, figure):
    with Swarm(plane, NODES, scaled(10)) as swarm:
        time.sleep(scaled(12))
        before = revision(plane)
        plane.kill()
        time.sleep(scaled(300 if TIMEOUT_S > 10 else 60))
        assert swarm.unanswered > 0
        plane.start("--listen", f"127.0.0.1:{plane.port}")
        swarm.took_s.clear()
        time.sleep(scaled(45))
        assert downs(plane) == 0
        assert revision(plane) == before, "something was changed"
        p99_ms = swarm.p99_ms()
    assert "node down" not in plane.log_path.read_text() and not swarm.refused
    figure(f"0 of {NODES} down, 0 changes, p99 of a heartbeat after it {p99_ms:.1f} ms")
    assert p99_ms < 1000


@pytest.mark.row("F11", "60 of 100 are cut off")
def test_most_are_cut_off(plane, figure):
    with Swarm(plane, NODES, scaled(10)) as swarm:
        time.sleep(scaled(12))
        before = revision(plane)
        swarm.muted = set(swarm.ids[:60])
        took_s = seconds_until(lambda: readiness(plane)["doubt"], scaled(60), "an alarm")
        assert "60 of 100" in readiness(plane)["detail"]
        time.sleep(scaled(60))
        assert downs(plane) == 0 and revision(plane) == before
        assert plane.log().count("so many nodes are silent") == 1
        swarm.muted = set()
        wait_for(lambda: not readiness(plane)["doubt"], scaled(30), "the alarm to end")
        assert downs(plane) == 0 and revision(plane) == before
    figure(f"0 downs, alarm after {took_s / TIMEOUT_S * 30:.1f} s of a 30 s timeout")


@pytest.mark.row("F12", "one of 100 is dead")
def test_one_is_dead(plane, figure):
    with Swarm(plane, NODES, scaled(10)) as swarm:
        time.sleep(scaled(12))
        dead = swarm.ids[17]
        swarm.muted = {dead}
        time.sleep(0.02)  # a beat that was under way has come in
        assert plane.beat(dead) == 200  # the last one
        began = time.monotonic()
        wait_for(lambda: plane.status_of(dead) == "down", scaled(60), "the node to be down", 0.005)
        took_s = time.monotonic() - began
        assert downs(plane) == 1
    figure(f"down {took_s / TIMEOUT_S * 30:.1f} s after its last heartbeat (of a 30 s timeout), "
           "the 99 others up")
    assert TIMEOUT_S <= took_s <= scaled(35) + 0.3


@pytest.mark.row("F15", "the control plane is stopped for 60 s (SIGSTOP)")
def test_control_plane_stopped(plane, figure):
    with Swarm(plane, NODES, scaled(10)) as swarm:
        time.sleep(scaled(12))
        before = revision(plane)
        plane.process.send_signal(signal.SIGSTOP)
        time.sleep(scaled(60))
        plane.process.send_signal(signal.SIGCONT)
        time.sleep(scaled(45))
        assert downs(plane) == 0 and revision(plane) == before
        assert plane.log().count("silence is not counted") >= 1
    figure(f"0 of {NODES} down, 0 changes")


@pytest.fixture
def make_agent(tmp_path):
    agents = []

    def make(plane, name, ip, env=None):
        (tmp_path / name).mkdir()
        agents.append(Agent(plane, tmp_path / name, ip, env))
        agents[-1].wait_known()
        return agents[-1]
    yield make
    for agent in agents:
        agent.end()


@pytest.mark.row("F14", "an agent is stopped for 8, 18 and 60 s (SIGSTOP)")
def test_agent_stopped(plane, make_agent, figure):
    # Its latest heartbeat may be 11 s old when it is stopped: what is surely short of 30 s is 18 s.
    agents = [make_agent(plane, f"agent{n}", f"192.168.1.{n + 11}") for n in range(4)]
    stopped = agents[0]
    for seconds, changes in [(8, 0), (18, 0), (60, 2)]:
        time.sleep(scaled(11))  # it has beaten since
        before = revision(plane)
        stopped.process.send_signal(signal.SIGSTOP)
        if changes:
            wait_for(lambda: plane.status_of(stopped.node_id()) == "down", scaled(60), "it to be down")
        else:
            time.sleep(scaled(seconds))
        stopped.process.send_signal(signal.SIGCONT)
        wait_for(lambda: plane.status_of(stopped.node_id()) == "up", scaled(20) + 1, "it to be up")
        time.sleep(scaled(15))
        assert revision(plane) - before == changes
    assert downs(plane) == 0
    figure("8 s: nothing; 18 s: nothing; longer than the timeout: down once, up once")


JUMPS = {"+1 h": 3600, "-1 h": -3600, "+10 y": 315360000, "-10 y": -315360000}


@pytest.mark.row("F16", "the wall clock jumps, of the control plane and of agents")
def test_wall_clock_jumps(make_plane, make_agent, tmp_path, figure):
    plane = make_plane("--node-timeout", f"{TIMEOUT_S * 1000:.0f}ms")
    clocks = [Disk(tmp_path / "no", tmp_path)]
    plane.env = clocks[0].env()
    plane.start()
    (tmp_path / "clock").mkdir()
    clocks.append(Disk(tmp_path / "no", tmp_path / "clock"))
    for n in range(4):
        make_agent(plane, f"agent{n}", f"192.168.1.{n + 11}", clocks[1].env())
    before = revision(plane)
    began_s = plane.nodes()[0]["last_heartbeat"]
    for clock in clocks:
        for offset_s in JUMPS.values():
            clock.move_wall_clock(offset_s)
            time.sleep(scaled(15))
        for offset_s in range(0, -10, -1):  # back again and again
            clock.move_wall_clock(offset_s)
            time.sleep(scaled(2.5))
    clocks[0].move_wall_clock(JUMPS["+10 y"])
    wait_for(lambda: plane.nodes()[0]["last_heartbeat"] > began_s + 300000000, scaled(30) + 1,
             "the jump to be seen at all")
    assert downs(plane) == 0 and revision(plane) == before
    assert "node down" not in plane.log()
    figure(f"{', '.join(JUMPS)}, a second back each moment, on either side: 0 changes, 0 downs")
