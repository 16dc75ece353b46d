"""A node leaves: it is down in the list, and all that was ours is gone from its kernel. Stopping
alone removes nothing."""
from lab import kernel
from lab.traffic import ping
from lab.wait import wait_for


def leave(mesh, node):
    """quiltctl node leave, after which the agent has ended well."""
    agent = mesh.agents[node.name]
    agent.was_told_to_end = True
    node.run("quiltctl", "node", "leave")
    assert agent.wait_end() == 0


def without_sysctls(dump):
    """What the kernel holds but for forwarding, which others may have come to rely on."""
    return {kind: items for kind, items in dump.items() if kind != "sysctls"}


def test_quiltctl_node_leave_removes_all_that_is_ours(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    leaver, stayer = mesh.nodes[1], mesh.nodes[0]
    before = without_sysctls(kernel.dump(leaver))
    mesh.start_all()
    leave(mesh, leaver)
    wait_for(lambda: kernel.difference(before, without_sysctls(kernel.dump(leaver))) == [], 5,
             lambda: "the kernel to be as before joining: " + "\n".join(
                 kernel.difference(before, without_sysctls(kernel.dump(leaver)))))
    assert mesh.listed()[leaver.name]["status"] == "down"
    wait_for(lambda: mesh.routes_of(stayer) == set(), 2, "the peer's route to go")


def test_who_leaves_while_the_control_plane_is_away_is_told_what_is_left_to_do(bed):
    mesh = bed.mesh(hosts=2)
    leaver = mesh.nodes[1]
    node_id = mesh.listed()[leaver.name]["node_id"]
    assert mesh.control.stop() == 0
    mesh.agents[leaver.name].was_told_to_end = True
    said = leaver.run("quiltctl", "node", "leave", check=False)
    assert said.returncode == 1
    assert f"; it may be a node there still: on the control plane's host, quiltctl node rm {node_id}\n" in said.stdout
    assert mesh.agents[leaver.name].wait_end() == 0
    assert kernel.overlay_link(leaver) is None
    mesh.control.start().wait_ready()


def test_an_agent_told_to_leave_on_stop_leaves(bed):
    mesh = bed.mesh(hosts=2, agent_options="--on-stop leave")
    leaver = mesh.nodes[1]
    assert mesh.agents[leaver.name].stop() == 0
    assert kernel.overlay_link(leaver) is None
    assert mesh.listed()[leaver.name]["status"] == "down"


def test_stopping_all_daemons_removes_nothing_and_containers_keep_talking(bed):
    mesh = bed.mesh(hosts=2)
    before = [kernel.dump(node) for node in mesh.nodes]
    for daemon in mesh.daemons():
        assert daemon.stop(5) == 0
    assert [kernel.dump(node) for node in mesh.nodes] == before
    assert ping(mesh.containers[0], mesh.containers[1].ip)
