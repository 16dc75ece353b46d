"""Daemons are killed, stopped and started again while packets flow: not one is lost and no kernel
object changes."""
import json
import signal

import pytest

from lab import kernel
from lab.traffic import Flow
from lab.wait import wait_for

MIN_PACKETS = 900
WAYS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh()


def kinds(mesh):
    return {"control plane": [mesh.control],
            "agents": list(mesh.agents.values()),
            "runtimes": list(mesh.runtimes.values()),
            "all daemons at once": mesh.daemons()}


def dumps(mesh):
    return {node.name: kernel.dump(node) for node in mesh.nodes}


def status(node):
    return json.loads(node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/status"))


def listed_routes(node):
    """The routes that the runtime has stored."""
    return {route["destination"] for route in json.loads(node.out("quiltctl", "route", "ls", "-o", "json"))}


def differences(before, after):
    return [f"{name}: {line}" for name in before
            for line in kernel.difference(before[name], after[name])]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", ["control plane", "agents", "runtimes", "all daemons at once"])
def test_a_restart_loses_no_packet_and_changes_no_kernel_object(mesh, which, way):
    before = dumps(mesh)
    with Flow(mesh.containers[0], mesh.containers[1]) as there, \
            Flow(mesh.containers[2], mesh.containers[0], port=7005) as back:
        for daemon in kinds(mesh)[which]:
            daemon.signal(WAYS[way])
        for daemon in kinds(mesh)[which]:
            code = daemon.wait_end(5)
            assert code == (0 if way == "SIGTERM" else -signal.SIGKILL)
        for daemon in kinds(mesh)[which]:
            daemon.start()
        for daemon in kinds(mesh)[which]:
            daemon.wait_ready()
        wait_for(lambda: all(node["status"] == "up" for node in mesh.listed().values()), 5,
                 "all nodes to be up")
        mesh.wait_joined()
        mesh.wait_settled()
    for flow in (there, back):
        assert flow.sent > MIN_PACKETS
        assert (flow.lost, flow.refused) == (0, 0), flow.report
    assert differences(before, dumps(mesh)) == []


def test_a_restart_with_nothing_to_do_writes_nothing_to_the_kernel(mesh):
    node = mesh.nodes[1]
    daemons = [mesh.agents[node.name], mesh.runtimes[node.name]]
    with kernel.ChangeLog(node) as changes:
        for daemon in daemons:
            daemon.kill()
            daemon.start().wait_ready()
        mesh.wait_settled()
    assert changes.lines() == []


def test_a_runtime_that_lost_its_state_is_told_its_routes_again_and_no_route_is_written(bed):
    mesh = bed.mesh(is_started=False)
    mesh.start_control()
    for node in mesh.nodes:
        mesh.start_node(node)
    mesh.wait_joined()
    node = mesh.nodes[1]
    runtime = mesh.runtimes[node.name]
    before = kernel.overlay_routes(node)
    with kernel.ChangeLog(node) as changes:
        runtime.kill()
        node.run("sh", "-c", "rm /var/lib/quilt-runtime/runtime.*")
        runtime.start().wait_ready()
        wait_for(lambda: listed_routes(node) == {mesh.subnet_of(peer) for peer in mesh.nodes if peer is not node}, 20,
                 lambda: f"the routes to be stored: {listed_routes(node)}")
    assert [line for line in changes.lines() if "dev vxlan100" in line] == []
    assert kernel.overlay_routes(node) == before


def test_an_agent_that_lost_its_state_takes_nothing_away_before_it_knows_the_peers(mesh):
    """Its node is known by its address; the entries of its peers are still in use."""
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    before = dumps(mesh)
    agent.kill()
    node.run("rm", "/var/lib/quilt-mesh/agent.json", "/var/lib/quilt-mesh/agent.json.1")
    with kernel.ChangeLog(node) as changes:
        agent.start().wait_ready()
        mesh.wait_settled()
    assert changes.lines() == []
    assert differences(before, dumps(mesh)) == []


def test_an_agent_whose_state_is_older_than_its_kernel_takes_nothing_away_before_it_is_told(bed):
    """It was killed before it could save what it had heard, and the control plane is away."""
    mesh = bed.mesh(hosts=2)
    first, node = mesh.nodes
    agent = mesh.agents[node.name]
    wait_for(lambda: first.ip in node.out("sh", "-c", "cat /var/lib/quilt-mesh/agent.*"), 5, "the peer to be remembered")
    node.run("sh", "-c", "cd /var/lib/quilt-mesh; mkdir old; cp agent.* old")
    mesh.start_node(mesh.add_host())
    mesh.wait_joined()
    before = dumps(mesh)
    known = mesh.subnet_of(first).partition("/")[0]
    agent.kill()
    mesh.control.kill()
    node.run("sh", "-c", "cd /var/lib/quilt-mesh; rm agent.*; mv old/* .")
    node.net("ip", "neigh", "del", known, "dev", "vxlan100")
    with kernel.ChangeLog(node) as changes:
        agent.start().wait_ready()
        wait_for(lambda: status(node)["runtime"]["connected"] and known in node.net("ip", "neigh", "show").stdout, 10,
                 "the runtime to be asked, and the peer that is remembered")
        mesh.control.start().wait_ready()
        mesh.wait_joined()
        mesh.wait_settled()
    assert [line for line in changes.lines() if "Deleted" in line] == []
    assert differences(before, dumps(mesh)) == []


def test_an_endpoint_attached_before_a_restart_is_still_known_after_it(mesh):
    node = mesh.nodes[0]
    mesh.runtimes[node.name].kill()
    mesh.start_runtime(node)
    assert mesh.containers[0].ip in node.out("quiltctl", "endpoint", "ls", "-o", "json")
    again = mesh.attach(mesh.containers[0])
    assert again["ip"].split("/")[0] == mesh.containers[0].ip
