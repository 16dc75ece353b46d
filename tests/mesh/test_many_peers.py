"""Five hundred peers that nobody runs: what a look at all writes, and what one changed peer costs."""
import json

import pytest

from lab import kernel
from lab.wait import wait_for

COUNT = 500
IP = "192.168.1.10"


@pytest.fixture
def node(bed):
    """A host with a crowded control plane, a runtime, and an agent that has programmed its peers."""
    host = bed.lab().host("node1", IP)
    host.net("ip", "route", "add", "172.16.0.0/12", "via", "192.168.1.1")
    host.start(["/usr/bin/python3", "-B", str(host.lab.tool("crowded_control.py")), IP, "8080"], "control").wait_ready()
    host.start("quilt-runtime").wait_ready()
    host.start(f"quilt-mesh-agent --control-plane http://{IP}:8080 --host-ip {IP}").wait_ready()
    order(host, count=COUNT)
    wait_for(lambda: objects(host) == [COUNT] * 4, 30, lambda: f"{COUNT} of all: {objects(host)}")
    return host


def order(host, **words):
    host.net("curl", "-sS", "-f", "-d", json.dumps(words), f"http://{IP}:8080/crowd")


def objects(host):
    """Routes, neighbours, forwarding entries, and hosts that the firewall lets in."""
    words = (["ip", "-4", "route", "show", "dev", "vxlan100", "proto", "81"],
             ["ip", "-4", "neigh", "show", "dev", "vxlan100"], ["bridge", "fdb", "show", "dev", "vxlan100"])
    return [len(host.net(*some).stdout.splitlines()) for some in words] + [len(allowed(host))]


def allowed(host):
    listed = json.loads(host.net("nft", "-j", "list", "map", "inet", "quilt", "peers").stdout)["nftables"]
    return [peer for entry in listed if "map" in entry for peer, _ in entry["map"].get("elem", [])]


def written(monitor, heard=0):
    """What it has said of our device. (The underlay's neighbours come and go as probes ask for them.)"""
    return [line for line in monitor.log()[heard:].splitlines() if "vxlan100" in line]


def watch(host):
    """A monitor of what is written from now on."""
    monitor = host.start(["ip", "monitor", "link", "address", "neigh", "route"], "writes")

    def hears():  # what was said before it listens is not heard
        for verb in "add", "del":  # (a replace that changes nothing is not told)
            host.net("ip", "route", verb, "198.51.100.1/32", "dev", "lo")
        return "198.51.100.1" in monitor.log()
    wait_for(hears, 20, "the monitor to hear", 0.1)
    return monitor


def test_of_many_peers_only_the_one_that_changes_is_written(node):
    monitor = watch(node)
    heard = len(monitor.log())
    order(node, moved=7, step=1)
    wait_for(lambda: "172.17.0.7" in allowed(node), 5, "the firewall to let the peer in at its new host")
    assert "172.16.0.7" not in allowed(node)
    assert kernel.ip_json(node, "neigh", "show", "10.0.8.0")[0]["lladdr"] == "02:51:0a:00:08:00"
    assert "dst 172.17.0.7" in node.net("bridge", "fdb", "show", "dev", "vxlan100").stdout
    lines = written(monitor, heard)
    assert len(lines) == 1 and "02:51:0a:00:08:00" in lines[0], lines
    order(node, gone=7)
    wait_for(lambda: objects(node) == [COUNT - 1] * 4, 5, lambda: f"the peer to be gone: {objects(node)}")
    lines = written(monitor, heard)  # a neighbour that goes is FAILED before it is deleted
    assert len(lines) == 5 and all("10.0.8.0" in line or "02:51:0a:00:08:00" in line for line in lines), lines


def test_a_restart_of_both_daemons_writes_nothing(node):
    monitor = watch(node)
    for program in [one for one in node.lab.programs if one.name in ("quilt-runtime", "quilt-mesh-agent")]:
        program.stop()
        program.start().wait_ready()
    wait_for(lambda: node.run("curl", "-s", "-f", "-m", "5", "http://127.0.0.1:9180/readyz", check=False).returncode
             == 0, 10, "the agent to be ready")
    assert written(monitor) == []
    assert objects(node) == [COUNT] * 4


def test_what_was_told_of_single_peers_survives_a_kill_and_a_torn_record(node):
    control, agent = [next(one for one in node.lab.programs if one.name == name)
                      for name in ("control", "quilt-mesh-agent")]
    wait_for(lambda: "172.16.0.7" in node.out("cat", "/var/lib/quilt-mesh/agent.json"), 5, "the list to be kept")
    order(node, moved=7, step=1)
    order(node, gone=8)
    journal = "/var/lib/quilt-mesh/agent.journal"
    wait_for(lambda: '"gone":["00000000-' in node.run("cat", journal, check=False).stdout, 5, "the changes to be kept")
    saved = node.out("cat", "/var/lib/quilt-mesh/agent.json")
    assert "172.17.0.7" not in saved and "172.16.0.7" in saved
    wait_for(lambda: objects(node) == [COUNT - 1] * 4, 5, lambda: f"the peer to be gone: {objects(node)}")
    before = kernel.dump(node)
    control.cease()
    agent.kill()
    node.run("sh", "-c", f"printf 0123456789abcdef >>{journal}")
    agent.start().wait_ready()
    assert kernel.dump(node) == before
    assert objects(node) == [COUNT - 1] * 4 and "172.17.0.7" in allowed(node)
