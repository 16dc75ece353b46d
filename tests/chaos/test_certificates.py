"""Certificates and a wall clock that jumps: who is connected stays so, who connects anew is told why not."""
import time
from contextlib import ExitStack

import pytest
from disk import Disk
from lab import kernel
from lab.mesh import TlsMesh
from lab.wait import seconds_until, wait_for

TEN_YEARS_S = 315360000
TIMEOUT_S = 1.5


@pytest.fixture
def clock(tmp_path):
    return Disk(tmp_path / "no", tmp_path)


@pytest.fixture
def mesh(bed, clock):
    """Three hosts over TLS; the agents' wall clock is ours to move."""
    mesh = bed.mesh(hosts=3, kind=TlsMesh, is_started=False,
                    control_options=f"--node-timeout {TIMEOUT_S * 1000:.0f}ms")
    mesh.start_control()
    for node in mesh.nodes:
        mesh.start_runtime(node)
        mesh.agents[node.name] = node.start(mesh.agent_command(node), env=clock.env()).wait_ready()
    mesh.wait_joined()
    return mesh


def nodes(mesh):
    return mesh.get("/api/nodes")["nodes"]


def wait_beaten(mesh):
    """By then every agent beats over a connection that it has."""
    since = max(node["last_heartbeat"] for node in nodes(mesh)) + 1
    wait_for(lambda: all(node["last_heartbeat"] >= since for node in nodes(mesh)), 10, "a heartbeat of everybody")


def are_up(mesh):
    return {node["status"] for node in nodes(mesh)} == {"up"}


@pytest.mark.row("F16", "the agents' wall clock jumps past all certificates")
def test_the_wall_clock_leaves_all_certificates_behind(mesh, clock, figure):
    wait_beaten(mesh)
    before = [(node["node_id"], node["subnet"]) for node in nodes(mesh)]
    with ExitStack() as stack:
        changes = [stack.enter_context(kernel.ChangeLog(node)) for node in mesh.nodes]
        for offset_s in (TEN_YEARS_S, -TEN_YEARS_S):
            clock.move_wall_clock(offset_s)
            time.sleep(4 * TIMEOUT_S)
            assert are_up(mesh), "a session that is open lives on"
        assert not any("node down" in line for line in mesh.control.log().splitlines())

        clock.move_wall_clock(TEN_YEARS_S)
        mesh.control.kill()
        mesh.control.start().wait_ready()
        for agent in mesh.agents.values():
            wait_for(lambda agent=agent: "have it renewed, or set the clock" in agent.log(), 20, agent.log)
            assert agent.is_alive()
        clock.move_wall_clock(0)
        back_s = seconds_until(lambda: all("the control plane is back" in agent.log()
                                           for agent in mesh.agents.values()), 30, "all to be back")
        wait_beaten(mesh)
        assert are_up(mesh)
        assert [(node["node_id"], node["subnet"]) for node in nodes(mesh)] == before
    assert [line for log in changes for line in log.lines()] == []
    figure(f"+10 y, -10 y: 3 sessions live on, 0 changes; anew: told to set the clock; set, back in {back_s:.1f} s")
