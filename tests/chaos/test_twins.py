"""Two agents with one identity: a host was cloned with its agent's state, or the second comes after the first."""
import json
import os
import shutil
import time
import urllib.error

import pytest
from agents import Agent
from lab.wait import seconds_until, wait_for

IS_FULL = os.environ.get("QUILT_CHAOS") == "full"
TIMEOUT_S = 30.0 if IS_FULL else 6.0  # time to wait is told in whole seconds
RUNS_AS = "another agent is running as this node"


@pytest.fixture
def cast(make_plane, tmp_path):
    """start(NAME, IP): an agent of the host "node", with what there is in the directory NAME. clone(NAME): such a
    directory, as the first agent's is now."""
    plane, agents = make_plane("--node-timeout", f"{TIMEOUT_S * 1000:.0f}ms").start(), []

    def start(name, ip):
        (tmp_path / name).mkdir(exist_ok=True)
        agents.append(Agent(plane, tmp_path / name, ip, name="node"))
        return agents[-1]

    def clone(name):
        shutil.copytree(tmp_path / "first" / "state", tmp_path / name / "state")
    yield plane, start, clone
    for agent in agents:
        agent.end()


def is_in(agent):
    return "msg=\"registered\"" in agent.log()


def readyz(agent):
    try:
        return 200, agent.ask("/readyz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.row("F28", "a cloned host: two agents with one identity")
@pytest.mark.parametrize("ip", ["192.168.1.11", "192.168.1.12"], ids=["the same address", "another address"])
def test_two_agents_with_one_identity(cast, figure, ip):
    plane, start, clone = cast
    first = start("first", "192.168.1.11")
    first.wait_known()
    wait_for(lambda: is_in(first), 10, first.log)
    clone("second")
    before, beats = plane.stored_nodes(), first.heartbeats()
    second = start("second", ip)
    took_s = seconds_until(lambda: RUNS_AS in second.log(), TIMEOUT_S + 20, second.log)
    time.sleep(TIMEOUT_S / 2)
    status, (code, ready) = second.status(), readyz(second)
    assert status["control_plane"]["mode"] == "refused" and not status["control_plane"]["registered"]
    assert any(RUNS_AS in said for said in status["problems"])
    assert code == 503 and RUNS_AS in json.loads(ready)["reasons"][0]
    assert second.log().count("level=error") == 1
    assert plane.log().count("two agents run as one node") == 1
    assert [{**node, "last_heartbeat": 0} for node in plane.stored_nodes()] == [
        {**node, "last_heartbeat": 0} for node in before], "the first was disturbed"
    assert first.heartbeats() - beats >= 2 and "level=warn" not in first.log()
    refused = plane.metric("quilt_control_identity_conflicts_total")
    said = f"409 {refused:.0f} times, said after {took_s:.1f} s; the first: 0 changes, 0 flaps"
    figure(said)
    if IS_FULL:
        first.process.kill()
        late_s = seconds_until(lambda: is_in(second), TIMEOUT_S + 25, second.log)
        figure(f"{said}; when it has died the second is let in after {late_s:.1f} s (timeout {TIMEOUT_S:.0f} s)")
        assert late_s > TIMEOUT_S * 0.6


@pytest.mark.row("F28", "a restart is no twin: killed and started again; back on another boot")
def test_who_comes_after_is_let_in(cast, figure):
    plane, start, clone = cast
    first = start("first", "192.168.1.11")
    wait_for(lambda: is_in(first), 10, first.log)
    node_id, again_s = first.node_id(), []
    for _ in range(3):
        first.process.kill()
        first.process.wait(10)
        first = start("first", "192.168.1.11")
        again_s.append(seconds_until(lambda first=first: is_in(first), 5, first.log))
    assert max(again_s) < 2
    first.wait_beat(TIMEOUT_S)
    clone("later")
    first.process.kill()
    began = time.monotonic()
    later = start("later", "192.168.1.12")  # where no lock says that the other has ended
    wait_for(lambda: is_in(later), TIMEOUT_S, later.log)
    later_s = time.monotonic() - began
    assert TIMEOUT_S * 0.6 < later_s < TIMEOUT_S
    assert "level=error" not in later.log()
    assert plane.metric("quilt_control_downs_total") == 0
    assert [node["node_id"] for node in plane.nodes()] == [node_id]
    figure(f"killed and started: in after {max(again_s) * 1000:.0f} ms at most; from elsewhere: in after {later_s:.1f} s "
           f"of silence (timeout {TIMEOUT_S:.0f} s), 0 downs")
