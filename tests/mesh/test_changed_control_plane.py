"""The control plane comes back with an empty database, or with yesterday's: the nodes keep what they
have until their operators say that it is the right one."""
import json

import pytest
from lab import kernel
from lab.traffic import ping
from lab.wait import wait_for

COMMAND = "quiltctl node accept-cluster"
DATABASE = "/var/lib/quilt-mesh/quilt-mesh.db"


def status(node):
    return json.loads(node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/status"))


def readyz(node):
    done = node.run("curl", "-s", "-m", "5", "-w", " %{http_code}", "http://127.0.0.1:9180/readyz")
    return done.stdout


def is_refusing(node):
    said = status(node)
    return said["control_plane"]["mode"] == "refused" and any(
        COMMAND in problem for problem in said["problems"])


def shell(mesh, script):
    """On the control plane's host, with its database as $db."""
    mesh.nodes[0].run("sh", "-c", f"db={DATABASE}; set -e; {script}")


def wait_refused(mesh):
    for node in mesh.nodes:
        wait_for(lambda node=node: is_refusing(node), 20,
                 lambda node=node: f"{node.name} to refuse: {status(node)}")
        assert COMMAND in readyz(node) and readyz(node).endswith(" 503")


def accept_everywhere(mesh):
    """The first registers then, and with that a restored backup may have come as far as the others have seen."""
    first, *others = [node.out("quiltctl", "node", "accept-cluster") for node in mesh.nodes]
    assert "accepted" in first
    assert all("accepted" in said or "nothing to accept" in said for said in others)
    for node in mesh.nodes:
        wait_for(lambda node=node: status(node)["control_plane"]["mode"] == "stream", 20,
                 lambda node=node: f"{node.name} to follow: {status(node)}")


def said_once(mesh):
    """How often each agent has refused it in its log."""
    return {name: agent.log().count("the control plane refuses") for name, agent
            in mesh.agents.items()}


def test_an_empty_database_changes_nothing_until_it_is_accepted_and_little_then(bed):
    mesh = bed.mesh()
    subnets = {name: node["subnet"] for name, node in mesh.listed().items()}
    before = {node.name: kernel.dump(node) for node in mesh.nodes}
    with kernel.ChangeLog(mesh.nodes[1]) as changes:
        mesh.control.stop()
        shell(mesh, "rm $db*")
        mesh.control.start().wait_ready()
        wait_refused(mesh)
        assert mesh.get("/api/nodes")["nodes"] == []
    assert changes.lines() == []
    assert {node.name: kernel.dump(node) for node in mesh.nodes} == before
    accept_everywhere(mesh)
    wait_for(lambda: len(mesh.listed()) == 3, 10, "all nodes to have come over")
    assert {name: node["subnet"] for name, node in mesh.listed().items()} == subnets
    mesh.wait_joined()
    for one in mesh.containers:
        for other in mesh.containers:
            assert ping(one, other.ip)
    mesh.wait_settled()
    assert "nothing to accept" in mesh.nodes[0].out("quiltctl", "node", "accept-cluster")


@pytest.mark.parametrize("is_agent_restarted", [False, True])
def test_a_restored_backup_is_refused_until_it_is_accepted(bed, is_agent_restarted):
    mesh = bed.mesh()
    mesh.control.stop()
    shell(mesh, "mkdir /var/lib/quilt-mesh/backup; cp $db* /var/lib/quilt-mesh/backup/")
    mesh.control.start().wait_ready()
    fourth = mesh.add_host()
    mesh.start_node(fourth)
    mesh.wait_joined()
    for node in mesh.nodes[:3]:
        wait_for(lambda node=node: "node4" in node.out("sh", "-c", "cat /var/lib/quilt-mesh/agent.*"), 5,
                 "the newest node to be remembered")
    before = {node.name: kernel.dump(node) for node in mesh.nodes}
    mesh.control.stop()
    shell(mesh, "rm $db*; cp /var/lib/quilt-mesh/backup/* /var/lib/quilt-mesh/")
    if is_agent_restarted:
        for agent in mesh.agents.values():
            agent.kill()
    mesh.control.start().wait_ready()
    if is_agent_restarted:
        for agent in mesh.agents.values():
            agent.start().wait_ready()
    wait_refused(mesh)
    assert {node.name: kernel.dump(node) for node in mesh.nodes} == before
    assert said_once(mesh) == {node.name: 1 for node in mesh.nodes}
    accept_everywhere(mesh)
    mesh.wait_joined()
    assert {node.name: kernel.dump(node) for node in mesh.nodes[:3]} == {
        node.name: before[node.name] for node in mesh.nodes[:3]}


def test_an_agent_whose_registration_is_overtaken_registers_once_and_does_not_fight(bed):
    mesh = bed.mesh(hosts=2, control_options="--node-timeout 2s")
    node = mesh.nodes[1]
    body = json.dumps({"hostname": node.name, "host_ip": node.ip, "generation": 0})
    url = f"{mesh.control_url}/api/nodes"

    def overtake():
        return json.loads(node.out("curl", "-sS", "-d", body, f"{url}/register"))["generation"]

    def shown():
        node_id = mesh.listed()[node.name]["node_id"]
        return mesh.get(f"/api/nodes/{node_id}")["agent"]

    wait_for(lambda: "agent" in mesh.get(f"/api/nodes/{mesh.listed()[node.name]['node_id']}"), 5,
             "the first report")
    assert shown()["peers_wanted"] == 1
    before = overtake()
    wait_for(lambda: shown()["generation"] == before + 1, 10, "the agent to register again")
    overtake()
    wait_for(lambda: any("register again" in problem for problem in status(node)["problems"]), 10,
             lambda: f"the agent to give up: {status(node)}")
    assert mesh.routes_of(node) == {mesh.subnet_of(mesh.nodes[0])}
