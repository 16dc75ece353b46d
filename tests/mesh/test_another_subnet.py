"""The control plane gives a node another subnet while containers have addresses of the old one: the
node's network moves as a whole or not at all."""
import json

import pytest

from lab import kernel
from lab.traffic import ping
from lab.wait import wait_for

IDENTITY = {"node_id": "11111111-1111-4111-8111-111111111111", "node_token": "a" * 64,
            "subnet": "10.42.1.0/24", "heartbeat_interval_ms": 100, "peer_sync_interval_ms": 100}


@pytest.fixture(name="mesh")
def fixture_mesh(bed):
    mesh = bed.mesh(hosts=1, is_started=False)
    node = mesh.nodes[0]
    mesh.file = mesh.lab.dir / "lies"
    tell(mesh)
    node.start(["/usr/bin/python3", "-B", mesh.lab.tool("liar.py"), node.ip, "8099", str(mesh.file)],
               "liar").wait_ready()
    mesh.control_url = f"http://{node.ip}:8099"
    mesh.start_node(node)
    mesh.wait_settled()
    return mesh


def tell(mesh, beat=200, **identity):
    mesh.file.write_text(json.dumps({"register": IDENTITY | identity, "nodes": [], "beat": beat}))


def vteps(mesh):
    return [entry["local"] for link in kernel.ip_json(mesh.nodes[0], "addr", "show", "dev", "vxlan100")
            for entry in link["addr_info"]]


def status(mesh):
    return json.loads(mesh.nodes[0].out("curl", "-s", "http://127.0.0.1:9180/status"))


def problems(mesh):
    return " ".join(status(mesh)["problems"])


def move(mesh):
    """The node hears that it is unknown, registers again, and is given another subnet."""
    tell(mesh, beat=404, subnet="10.42.9.0/24")
    wait_for(lambda: status(mesh)["subnet"] == "10.42.9.0/24", 10, lambda: status(mesh))
    tell(mesh, subnet="10.42.9.0/24")


def test_without_containers_the_node_moves_at_once(mesh):
    move(mesh)
    wait_for(lambda: vteps(mesh) == ["10.42.9.0"], 5, lambda: vteps(mesh))
    wait_for(lambda: status(mesh)["problems"] == [], 5, lambda: problems(mesh))


def test_the_overlay_waits_for_the_runtime_which_waits_for_the_containers(mesh):
    node = mesh.nodes[0]
    container = mesh.add_container(node)
    before = kernel.dump(node)
    move(mesh)
    wait_for(lambda: "the runtime has not taken it" in problems(mesh), 5, lambda: problems(mesh))
    assert "the runtime refuses this node's network" in problems(mesh)
    assert "attach them when the runtime has it" in problems(mesh)
    assert kernel.difference(before, kernel.dump(node)) == []
    assert ping(container, node.ip)

    agent = mesh.agents[node.name]
    agent.kill()
    agent.start()
    wait_for(lambda: "the runtime has not taken it" in agent.log(), 10, agent.log_tail)
    assert kernel.difference(before, kernel.dump(node)) == []

    node.run("quiltctl", "endpoint", "detach", container.name)
    wait_for(lambda: vteps(mesh) == ["10.42.9.0"], 15, lambda: problems(mesh))
    assert mesh.attach(container)["ip"].startswith("10.42.9.")
    wait_for(lambda: status(mesh)["problems"] == [], 5, lambda: problems(mesh))
