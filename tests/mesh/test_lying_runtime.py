"""A runtime that lies: the agent keeps its own part right, says what is wrong, stays small and quiet,
and all is right once an honest runtime is there."""
import json
import time

import pytest

from lab import kernel
from lab.program import rss_mib
from lab.wait import wait_for

PEERS = 40
LIES = ("hang", "success", "refusal", "routes", "huge", "garbage", "fields", "status", "close")
LISTEN_S = 2
LINES_MAX = 60
RSS_MIB_MAX = 64
IDENTITY = {"node_id": "11111111-1111-4111-8111-111111111111", "node_token": "a" * 64,
            "subnet": "10.42.1.0/24", "heartbeat_interval_ms": 1000, "peer_sync_interval_ms": 1000}


@pytest.fixture(scope="module", name="mesh")
def fixture_mesh(module_bed):
    mesh = module_bed.mesh(hosts=1, is_started=False)
    node = mesh.nodes[0]
    file = mesh.lab.dir / "lies"
    nodes = [{"node_id": f"{i:08d}-0000-4000-8000-000000000000", "hostname": f"node{i}",
              "host_ip": f"192.168.1.{100 + i}", "subnet": f"10.42.{100 + i}.0/24", "status": "up"}
             for i in range(PEERS)]
    file.write_text(json.dumps({"register": IDENTITY, "nodes": nodes, "beat": 200}))
    node.start(["/usr/bin/python3", "-B", mesh.lab.tool("liar.py"), node.ip, "8099", str(file)],
               "liar").wait_ready()
    mesh.control_url = f"http://{node.ip}:8099"
    mesh.start_agent(node)
    return mesh


def status(mesh):
    return json.loads(mesh.nodes[0].out("curl", "-s", "-m", "2", "http://127.0.0.1:9180/status"))


def routes(mesh):
    return [route for route in kernel.overlay_routes(mesh.nodes[0]) if route.endswith("/24")]


@pytest.mark.parametrize("lie", LIES)
def test_the_agent_outlives_the_lie_and_says_it(mesh, lie):
    node, agent = mesh.nodes[0], mesh.agents["node1"]
    before = len(agent.log().splitlines())
    liar = node.start(["/usr/bin/python3", "-B", mesh.lab.tool("lying_runtime.py"), lie], "lies").wait_ready()
    time.sleep(LISTEN_S)  # there is no fact to wait for: what must not happen is asked for
    said = status(mesh)
    lines = agent.log().splitlines()[before:]
    liar.cease()
    assert said["problems"]
    assert not any(peer["programmed"] for peer in said["peers"])
    assert len(lines) <= LINES_MAX, "\n".join(lines)
    if lie == "success":
        assert "the kernel does not keep it" in said["problems"][0]
    assert rss_mib(agent.pid) < RSS_MIB_MAX
    assert len(kernel.overlay_fdb(node)) == PEERS
    assert routes(mesh) == []


def test_with_an_honest_runtime_all_is_right(mesh):
    mesh.start_runtime(mesh.nodes[0])
    wait_for(lambda: len(routes(mesh)) == PEERS, 20, lambda: routes(mesh))
    wait_for(lambda: status(mesh)["problems"] == [], 20, lambda: status(mesh)["problems"])
