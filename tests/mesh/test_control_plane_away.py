"""The control plane is away for far longer than the node timeout, and comes back: nothing changes
in any kernel table, neither at once nor later."""
import os
import time

from lab import kernel
from lab.traffic import Flow
from lab.wait import wait_for

IS_FULL = bool(os.environ.get("QUILT_TEST_FULL"))
NODE_TIMEOUT_S = 30 if IS_FULL else 2
AWAY_S = 600 if IS_FULL else 8


def all_beat_again(mesh, since_s):
    nodes = mesh.get("/api/nodes", check=False)
    return nodes and all(node["status"] == "up" and node["last_heartbeat"] >= since_s
                         for node in nodes["nodes"])


def test_an_absent_control_plane_changes_nothing_and_its_return_neither(bed):
    mesh = bed.mesh(control_options=f"--node-timeout {NODE_TIMEOUT_S}s")
    before = {node.name: kernel.dump(node) for node in mesh.nodes}
    watched = mesh.nodes[1]
    with kernel.ChangeLog(watched) as changes, \
            Flow(mesh.containers[0], mesh.containers[1], per_second=100) as flow:
        mesh.control.kill()
        end = time.monotonic() + AWAY_S
        # Not a wait for something to happen: the test is that for this long nothing does.
        while time.monotonic() < end:
            assert all(agent.is_alive() for agent in mesh.agents.values())
            assert mesh.routes_of(watched) == {"10.42.1.0/24", "10.42.3.0/24"}
            time.sleep(0.5)
        # An agent that starts now knows its peers from its disk.
        agent = mesh.agents[mesh.nodes[2].name]
        agent.kill()
        agent.start()
        wait_for(lambda: "10.42.1.0/24" in mesh.routes_of(mesh.nodes[2]), 5, "routes from disk")
        back_s = int(time.time())
        mesh.control.start().wait_ready()
        wait_for(lambda: all_beat_again(mesh, back_s), 30, "all agents to be back")
        mesh.wait_settled()
    assert changes.lines() == []
    assert flow.lost == 0, flow.report
    after = {node.name: kernel.dump(node) for node in mesh.nodes}
    assert [line for name in before for line in kernel.difference(before[name], after[name])] == []


def test_a_control_plane_that_has_moved_is_found_as_soon_as_its_name_has(bed):
    """Long before it counts who was with it as down."""
    mesh = bed.mesh(hosts=2, is_started=False)
    mesh.start_control()
    node = mesh.nodes[1]
    mesh.start_runtime(node)
    names = node.dir / "hosts"
    names.write_text("192.168.1.11 control.test\n")  # nothing listens there
    node.run("mount", "--bind", names, "/etc/hosts")
    mesh.control_url = "http://control.test:8080"
    agent = node.start(mesh.agent_command(node)).wait_log("the control plane is away")
    names.write_text("192.168.1.10 control.test\n")
    agent.wait_log('msg="registered"', 20)
