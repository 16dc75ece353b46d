"""One agent and the control plane: it is stopped, it lives in a time of its own, its control plane's file
is damaged."""
import os
import random
import signal
import time

import pytest
from agents import Agent
from lab.wait import wait_for
from plane import problem

# The times of the rows are those of the default timeout of 30 s; here they are as much shorter as
# the timeout is.
TIMEOUT_S = 30.0 if os.environ.get("QUILT_CHAOS") == "full" else 1.2
TIMEOUT = ["--node-timeout", f"{TIMEOUT_S * 1000:.0f}ms"]


def scaled(seconds):
    return seconds * TIMEOUT_S / 30


def downs(plane):
    return sum(node["status"] == "down" for node in plane.nodes())


def revision(plane):
    return plane.metric("quilt_control_revision")


@pytest.fixture
def make_agent(tmp_path):
    agents = []

    def make(plane, name, ip, *args, **kwargs):
        (tmp_path / name).mkdir()
        agents.append(Agent(plane, tmp_path / name, ip, *args, **kwargs))
        agents[-1].wait_known()
        return agents[-1]
    yield make
    for agent in agents:
        agent.end()


# ---- F14 ----------------------------------------------------------------------------------------


@pytest.mark.row("F14", "an agent is stopped for 8, 20 and 60 s (SIGSTOP)")
def test_agent_stopped(make_plane, make_agent, figure):
    plane = make_plane(*TIMEOUT).start()
    stopped, *_ = [make_agent(plane, f"agent{n}", f"192.168.1.{n + 11}") for n in range(4)]
    node_id = stopped.node_id()
    for seconds, changes in [(8, 0), (20, 0), (60, 2)]:
        stopped.wait_beat(scaled(12) + 1)
        before = revision(plane)
        stopped.process.send_signal(signal.SIGSTOP)
        time.sleep(scaled(seconds))
        assert plane.status_of(node_id) == ("down" if changes else "up")
        stopped.process.send_signal(signal.SIGCONT)
        wait_for(lambda: plane.status_of(node_id) == "up", scaled(20) + 1, "it to be up")
        time.sleep(scaled(15))
        assert revision(plane) - before == changes
    assert downs(plane) == 0
    figure("8 s: nothing; 20 s: nothing; 60 s: down once, up once")


@pytest.mark.row("F14", "a stopped agent whose node has registered elsewhere meanwhile")
def test_stale_generation(make_plane, figure):
    plane = make_plane(*TIMEOUT).start()
    old = plane.join(1, generation=0)
    proof = {"node_id": old["node_id"], "node_token": old["node_token"]}
    new = plane.join(2, hostname="node1", generation=old["generation"], **proof)
    before, refused = revision(plane), 0
    for status in ("up", "down"):
        wait_for(lambda status=status: plane.status_of(old["node_id"]) == status, 3 * TIMEOUT_S + 1, status)
        for _ in range(20):
            reply = plane.ask("POST", f"/api/nodes/{old['node_id']}/heartbeat", {"generation": old["generation"]})
            refused += problem(reply, 409, "register again")["code"] == "stale_generation"
    assert plane.status_of(old["node_id"]) == "down" and revision(plane) == before + 1
    assert plane.ask("POST", f"/api/nodes/{old['node_id']}/heartbeat", {"generation": new["generation"]}).status == 200
    wait_for(lambda: plane.status_of(old["node_id"]) == "up", 2, "it to be up again")
    figure(f"{refused} of 40 stale heartbeats refused, 0 stale writes, the latest generation is heard")


# ---- F17 ----------------------------------------------------------------------------------------

ELSEWHEN = ["unshare", "--time", "--fork", "--kill-child", "--monotonic", "1000000000", "--boottime", "1000000000"]


@pytest.mark.row("F17", "a clock that has run for 10^9 s (unshare --time)")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a time namespace")
def test_machine_that_has_run_for_ever(make_plane, make_agent, figure):
    plane = make_plane(*TIMEOUT)
    plane.prefix = ELSEWHEN
    plane.start()
    agents = [make_agent(plane, f"agent{n}", f"192.168.1.{n + 11}", prefix=ELSEWHEN if n % 2 else ())
              for n in range(4)]
    before, began = [agent.heartbeats() for agent in agents], time.monotonic()
    time.sleep(scaled(100))
    each_s = [(time.monotonic() - began) / (agent.heartbeats() - count) for agent, count in zip(agents, before)]
    # 10 s +-10 %, and two ends of the interval that we do not see
    assert all(scaled(10) * 0.8 <= interval <= scaled(10) * 1.3 for interval in each_s), each_s
    assert downs(plane) == 0
    agents[3].wait_beat(scaled(12) + 1)
    changes, node_id = revision(plane), agents[3].node_id()
    agents[3].process.kill()
    began = time.monotonic()
    wait_for(lambda: plane.status_of(node_id) == "down", 2 * TIMEOUT_S + 2, "it to be down", 0.005)
    down_s = time.monotonic() - began
    assert TIMEOUT_S * 0.99 <= down_s <= scaled(35) + 1 and revision(plane) == changes + 1
    # The next boot's clock begins at zero again, and what is stored does not care.
    kill_group(plane)
    plane.prefix = []
    plane.start("--listen", f"127.0.0.1:{plane.port}")
    time.sleep(scaled(45))
    assert downs(plane) == 1 and revision(plane) == changes + 1
    figure(f"a heartbeat every {min(each_s):.2f} to {max(each_s):.2f} s (of {scaled(10):.2f} s), a dead one down after "
           f"{down_s:.1f} s (timeout {TIMEOUT_S:.1f} s); after a boot to a clock of zero 0 changes")


def kill_group(plane):
    """Kills what unshare runs; unshare itself ends with it."""
    pid = plane.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        os.kill(int(children.read().split()[0]), signal.SIGKILL)
    plane.wait_exit()


# ---- F6, the agents' side -----------------------------------------------------------------------


@pytest.mark.row("F6", "a damaged database: its agents")
def test_agents_of_a_damaged_file(make_plane, make_agent, figure):
    plane = make_plane(*TIMEOUT).start()
    agents = [make_agent(plane, f"agent{n}", f"192.168.1.{n + 11}") for n in range(4)]
    wait_for(lambda: all(len(agent.programmed()) == 3 for agent in agents), 10, lambda: agents[0].status())
    plane.kill()
    plane.db.write_bytes(random.Random(1).randbytes(2048))
    for _ in range(3):
        assert plane.spawn("--listen", f"127.0.0.1:{plane.port}").wait_exit() == 65
        time.sleep(scaled(30))
    assert all(len(agent.programmed()) == 3 for agent in agents)
    assert all("removed" not in agent.log() for agent in agents)
    figure("3 starts refused with 65; 4 agents keep all 12 routes")
