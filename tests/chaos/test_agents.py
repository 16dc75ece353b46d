"""What agents take away from their kernels: nothing that a control plane has only lost, and at once
what it says is gone."""
import json
import os
import time
from contextlib import ExitStack

import pytest
from lab import kernel
from lab.wait import seconds_until, wait_for

IS_FULL = os.environ.get("QUILT_CHAOS") == "full"
# Of the rows' times those of the default intervals count; here they are as much shorter.
SYNC_MS = 5000 if IS_FULL else 250
CONFIRM_S = 12 * SYNC_MS / 1000


def overlay_routes(node):
    return {route for route in kernel.overlay_routes(node) if route.endswith("/24")}


# ---- F22 ----------------------------------------------------------------------------------------


def peer(number, status="up"):
    return {"node_id": f"{number:08d}-0000-4000-8000-000000000000", "hostname": f"node{number}",
            "host_ip": f"192.168.1.{100 + number}", "subnet": f"10.42.{number}.0/24", "status": status}


class Liar:
    """A control plane that tells a host the nodes that it is told to tell; it has no event stream."""

    def __init__(self, mesh):
        self.node, self.file = mesh.nodes[0], mesh.lab.dir / "lies"
        self.tell([])
        self.node.start(["/usr/bin/python3", "-B", mesh.lab.tool("liar.py"), self.node.ip, "8099",
                         str(self.file)], "liar").wait_ready()
        mesh.control_url = f"http://{self.node.ip}:8099"

    def tell(self, nodes):
        identity = {"node_id": "11111111-1111-4111-8111-111111111111", "node_token": "a" * 64,
                    "subnet": "10.42.1.0/24", "heartbeat_interval_ms": 2 * SYNC_MS,
                    "peer_sync_interval_ms": SYNC_MS}
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"register": identity, "nodes": nodes, "beat": 200}))
        fresh.rename(self.file)


def subnets(nodes):
    return {node["subnet"] for node in nodes if node["status"] == "up"}


def status(node):
    return json.loads(node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/status"))


def doubted(node):
    return [peer["subnet"] for peer in status(node)["peers"] if peer["in_doubt"]]


def wait_doubt(node, count):
    return seconds_until(lambda: len(doubted(node)) == count, 10 * SYNC_MS / 1000 + 1, lambda: status(node))


@pytest.fixture
def lied_to(bed):
    """A host, its liar, and the ten peers that it has routes to."""
    mesh = bed.mesh(hosts=1, is_started=False)
    node, liar = mesh.nodes[0], Liar(mesh)
    peers = [peer(number) for number in range(2, 12)]
    liar.tell(peers)
    mesh.start_node(node)
    wait_for(lambda: overlay_routes(node) == subnets(peers), 20, lambda: overlay_routes(node))
    mesh.wait_settled()
    return node, liar, peers


@pytest.mark.row("F22", "a list of nobody; one that lacks 6 of 10 peers")
def test_list_that_forgets(lied_to, figure):
    node, liar, peers = lied_to
    with kernel.ChangeLog(node) as changes:
        liar.tell([])
        wait_doubt(node, 10)
        time.sleep(CONFIRM_S * 1.5)  # however often it is said
        assert len(doubted(node)) == 10
        liar.tell(peers)
        wait_doubt(node, 0)
        liar.tell(peers[:4])
        began = time.monotonic()
        wait_doubt(node, 6)
        while time.monotonic() < began + CONFIRM_S * 0.9:
            assert overlay_routes(node) == subnets(peers), "too soon"
            time.sleep(0.1)
        assert changes.lines() == []
        wait_for(lambda: overlay_routes(node) == subnets(peers[:4]), CONFIRM_S + 10, lambda: status(node))
        held_s = time.monotonic() - began
        assert held_s >= CONFIRM_S
        assert all(entry["subnet"] in subnets(peers[:4]) for entry in status(node)["peers"])
    figure(f"nobody: 0 deletes in {CONFIRM_S * 1.5:.1f} s; 6 missing: 0 deletes, until the second list "
           f"after {held_s:.1f} s (of {CONFIRM_S:.0f} s)")


@pytest.mark.row("F22", "what is said outright: 8 of 10 down, an operator's word")
def test_list_that_says_who_is_gone(lied_to, figure):
    node, liar, peers = lied_to
    liar.tell(peers[:2] + [{**peer, "status": "down"} for peer in peers[2:]])
    took_s = seconds_until(lambda: overlay_routes(node) == subnets(peers[:2]), 10 * SYNC_MS / 1000 + 1,
                           lambda: status(node))
    liar.tell([])
    wait_doubt(node, 10)
    assert overlay_routes(node) == subnets(peers[:2])
    assert "accepted" in node.out("quiltctl", "node", "accept-cluster")
    wait_for(lambda: not overlay_routes(node), 2, lambda: status(node))
    figure(f"8 said to be down: gone {took_s:.1f} s after they are (a poll every {SYNC_MS / 1000:.2f} s); "
           "a list of nobody: gone when accepted")


@pytest.mark.row("F22", "9 of 10 peers deleted, one by one, by an operator")
def test_tombstones(bed, figure):
    mesh = bed.mesh(hosts=1, is_started=False)
    node = mesh.nodes[0]
    mesh.start_control()
    mesh.start_node(node)
    ids = [mesh.register(f"peer{number}", f"192.168.1.{100 + number}")["node_id"] for number in range(10)]
    wait_for(lambda: len(overlay_routes(node)) == 10, 10, lambda: status(node))
    for node_id in ids[1:]:
        node.run("curl", "-sS", "-f", "-X", "DELETE", f"{mesh.control_url}/api/nodes/{node_id}")
    took_s = seconds_until(lambda: len(overlay_routes(node)) == 1, 5, lambda: status(node))
    assert doubted(node) == []
    figure(f"9 routes gone {took_s * 1000:.0f} ms after the last of 9 deletions")


# ---- F21 ----------------------------------------------------------------------------------------

DATABASE = "/var/lib/quilt-mesh/quilt-mesh.db"
COPIES = {"yesterday's backup": "cp /var/lib/quilt-mesh/yesterday {db}", "an empty database": "true"}


def is_refusing(node):
    said = status(node)
    return said["control_plane"]["mode"] == "refused" and any("accept-cluster" in problem
                                                              for problem in said["problems"])


@pytest.mark.row("F21", "the control plane restarts with a database that is not the one of before")
def test_another_database(bed, figure):
    mesh = bed.mesh()
    control, shell = mesh.control, mesh.nodes[0]
    shell.run("quiltctl", "--control-plane", mesh.control_url, "backup", "/var/lib/quilt-mesh/yesterday")
    for number in range(3):
        mesh.register(f"later{number}", f"192.168.1.{100 + number}")
    for node in mesh.nodes:
        wait_for(lambda node=node: len(overlay_routes(node)) == 5, 10, lambda node=node: status(node))
        wait_for(lambda node=node: "later2" in node.out("sh", "-c", "cat /var/lib/quilt-mesh/agent.*"), 5, "it to be kept")
    took_s = {}
    with ExitStack() as stack:
        logs = [stack.enter_context(kernel.ChangeLog(node)) for node in mesh.nodes]
        control.stop()
        shell.run("sh", "-c", f"mv {DATABASE} /var/lib/quilt-mesh/today")
        for name, copy in COPIES.items():
            shell.run("sh", "-c", f"rm -f {DATABASE}*; {copy.format(db=DATABASE)}")
            control.start().wait_ready()
            took_s[name] = seconds_until(lambda: all(is_refusing(node) for node in mesh.nodes), 30,
                                         lambda: [status(node)["control_plane"] for node in mesh.nodes])
            for node in mesh.nodes:
                ready = node.run("curl", "-s", "-m", "5", "-w", " %{http_code}", "http://127.0.0.1:9180/readyz").stdout
                assert ready.endswith(" 503") and "accept-cluster" in ready
            time.sleep(60 if IS_FULL else 1)
            control.stop()
        shell.run("sh", "-c", f"rm -f {DATABASE}*; mv /var/lib/quilt-mesh/today {DATABASE}")
        control.start().wait_ready()
        back_s = seconds_until(lambda: all(status(node)["control_plane"]["mode"] == "stream" for node in mesh.nodes),
                               20, lambda: [status(node)["control_plane"] for node in mesh.nodes])
        assert [line for log in logs for line in log.lines()] == []
    said = ", ".join(f"{name}: alarm on all 3 after {seconds:.1f} s" for name, seconds in took_s.items())
    figure(f"{said}; the right one again: followed after {back_s:.1f} s; 0 deletes, 0 kernel writes in all")
