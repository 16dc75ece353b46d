"""quiltctl trace follows a packet from container to container and names the hop where it dies."""
import json
import signal
import time

import pytest

from lab.wait import wait_for

PEER_MAC = "02:51:0a:2a:02:00"
HOPS = ["endpoint", "filter", "path", "route", "neighbour", "fdb", "underlay route", "far node",
        "far endpoint"]


@pytest.fixture(scope="module")
def mesh(module_bed):
    mesh = module_bed.mesh(hosts=2, control_options="--node-timeout 60s")
    wait_for(lambda: trace(mesh)["answered"], 10, "a packet to be answered", 0.2)
    return mesh


def trace(mesh, *words, target=None, node=None):
    first, second = mesh.containers[:2]
    done = (node or mesh.nodes[0]).run("quiltctl", "trace", first.ip, target or second.ip, *words,
                                       "-o", "json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["died_at"] else 0), done.stderr
    return report


def states(report):
    return {hop["hop"]: hop["state"] for hop in report["hops"]}


@pytest.mark.parametrize("words", [[], ["icmp"], ["tcp", "9"], ["udp", "9"]])
def test_a_healthy_way_has_every_hop_and_an_answer(mesh, words):
    report = trace(mesh, *words)
    assert [hop["hop"] for hop in report["hops"]] == HOPS
    assert set(states(report).values()) <= {"ok", "unknown"}
    assert report["answered"] and report["died_at"] is None
    assert "left the container" in report["seen"]
    assert "left this host inside VXLAN" in report["seen"]
    assert "its answer reached this host inside VXLAN" in report["seen"]
    path = next(hop["text"] for hop in report["hops"] if hop["hop"] == "path")
    assert ("entered the overlay's device" in report["seen"]) == path.startswith("kernel")


def test_the_far_node_sees_its_own_end(mesh):
    report = trace(mesh, node=mesh.nodes[1])
    assert states(report) == {"endpoint": "unknown", "far endpoint": "ok"}
    assert not report["sent"]


def test_a_way_inside_one_node(mesh):
    other = mesh.nodes[0].container("other")
    mesh.attach(other)
    report = trace(mesh, target=other.ip)
    assert [hop["hop"] for hop in report["hops"]] == ["endpoint", "filter", "far endpoint"]
    assert report["answered"]


@pytest.mark.parametrize("words", [[], ["tcp", "80"], ["udp", "53"]])
def test_an_address_of_nobody_on_the_far_node(mesh, words):
    def judged():
        report = trace(mesh, *words, target="10.42.2.77")
        assert not report["answered"], report
        return report if "ICMP" in (report["why"] or "") else None
    report = wait_for(judged, 15, "the far kernel, which rests two seconds between two errors", 3)
    assert report["died_at"] == "far endpoint"
    assert "left this host inside VXLAN" in report["seen"]


def test_a_source_of_nobody_is_broken_at_once(mesh):
    node = mesh.nodes[0]
    done = node.run("quiltctl", "trace", "10.42.1.77", mesh.containers[1].ip, check=False)
    assert done.returncode == 1
    assert "It dies at endpoint:" in done.stdout


def test_an_agent_that_hangs_costs_two_seconds_and_is_a_line(mesh):
    agent = mesh.agents["node1"]
    agent.signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        report = trace(mesh)
        took_s = time.monotonic() - begin
    finally:
        agent.signal(signal.SIGCONT)
    assert took_s < 4, f"{took_s:.1f} s"
    assert states(report)["agent"] == "unknown" and report["answered"]
    assert "quilt-mesh-agent" in next(hop["text"] for hop in report["hops"] if hop["hop"] == "agent")


def test_a_network_that_drops_vxlan(mesh):
    switch = mesh.lab.switch
    switch.net("nft", "add table bridge lab_fabric; add chain bridge lab_fabric f { type filter "
               "hook forward priority 0; }; add rule bridge lab_fabric f udp dport 4789 drop")
    try:
        report = trace(mesh)
    finally:
        switch.net("nft", "delete", "table", "bridge", "lab_fabric")
    assert report["died_at"] == "underlay"
    assert "UDP 4789" in report["why"]
    assert trace(mesh)["answered"]


@pytest.mark.parametrize("whose", [0, 1])
def test_a_cable_that_is_pulled_is_no_firewall(bed, whose):
    """On every path, as soon as the kernel knows that nobody answers any more."""
    mesh = bed.mesh(hosts=2, control_options="--node-timeout 60s")
    wait_for(lambda: trace(mesh)["answered"], 10, "a packet to be answered", 0.2)
    mesh.nodes[whose].set_cable(False)
    mesh.nodes[0].net("ip", "neigh", "flush", "dev", "eth0")
    report = trace(mesh)
    assert report["died_at"] == "underlay route" and states(report)["underlay route"] == "BROKEN", report
    assert "see to the cable" in report["why"]
    mesh.nodes[whose].set_cable(True)
    wait_for(lambda: trace(mesh)["answered"], 20, "a packet to be answered", 0.5)
    assert states(trace(mesh))["underlay route"] == "ok"


@pytest.mark.parametrize("words", [[], ["tcp", "80"], ["udp", "53"]])
def test_a_container_without_a_route(mesh, words):
    mesh.containers[0].run("ip", "route", "del", "default")
    try:
        report = trace(mesh, *words)
    finally:
        mesh.containers[0].run("ip", "route", "add", "default", "via", "169.254.1.1", "dev", "eth0",
                               "onlink")
    assert report["died_at"] == "container"
    assert report["seen"] == []
    assert trace(mesh)["answered"]


def test_a_container_whose_address_is_gone_is_told_with_what_brings_it_back(mesh):
    mesh.containers[0].run("ip", "addr", "flush", "dev", "eth0")
    report = trace(mesh)
    assert report["died_at"] == "container" and not report["sent"]
    command = "quiltctl endpoint attach c1 /run/netns/c1 --ifname eth0"
    assert command in report["why"]
    assert "No packet could be sent." in mesh.nodes[0].run(
        "quiltctl", "trace", mesh.containers[0].ip, mesh.containers[1].ip, check=False).stdout
    mesh.nodes[0].run(command)
    assert trace(mesh)["answered"]


def test_a_node_that_is_down_is_the_cause_and_not_the_route_that_went_with_it(bed):
    mesh = bed.mesh(hosts=2, control_options="--node-timeout 3s")
    mesh.nodes[1].set_cable(False)
    wait_for(lambda: not mesh.routes_of(mesh.nodes[0]), 30, "the peer to be down")
    report = trace(mesh)
    assert report["died_at"] == "far node" and "quiltctl doctor over there" in report["why"]
    assert "route" not in states(report)


def make_kernel_mesh(bed, **options):
    mesh = bed.mesh(hosts=2, agent_options="--dataplane kernel", control_options="--node-timeout 60s", **options)
    wait_for(lambda: trace(mesh)["answered"], 10, "a packet to be answered", 0.2)
    return mesh


@pytest.fixture(scope="module")
def kernel_mesh(module_bed):
    """Where the kernel's path is the only one, and every hop of it is needed."""
    return make_kernel_mesh(module_bed)


@pytest.fixture(scope="module")
def tracked_mesh(module_bed):
    """The same by all of the hosts' hooks, where other programs' rules are."""
    return make_kernel_mesh(module_bed, runtime_options="--conntrack all")


@pytest.mark.parametrize("hop, words", [
    ("fdb", ["bridge", "fdb", "del", PEER_MAC, "dev", "vxlan100"]),
    ("neighbour", ["ip", "neigh", "del", "10.42.2.0", "dev", "vxlan100"])])
def test_an_entry_that_is_missing_while_nobody_repairs_it(kernel_mesh, hop, words):
    node, agent = kernel_mesh.nodes[0], kernel_mesh.agents["node1"]
    agent.stop()
    try:
        node.net(*words)
        report = trace(kernel_mesh)
    finally:
        agent.start().wait_ready()
    assert report["died_at"] == hop
    assert ("entered the overlay's device" in report["seen"]) == (hop == "fdb")
    wait_for(lambda: trace(kernel_mesh)["answered"], 10, "the repair", 0.2)


def test_a_firewall_that_drops_what_comes_from_the_container(tracked_mesh):
    node, container = tracked_mesh.nodes[0], tracked_mesh.containers[0]
    node.net("nft", "add table inet lab_wall; add chain inet lab_wall c { type filter hook "
             "prerouting priority -400; }; add rule inet lab_wall c ip saddr "
             f"{container.ip} drop")
    try:
        report = trace(tracked_mesh)
    finally:
        node.net("nft", "delete", "table", "inet", "lab_wall")
    assert report["died_at"] == "filter"
    assert report["seen"] == ["left the container"]


def test_a_forward_policy_of_another_table(tracked_mesh):
    node = tracked_mesh.nodes[0]
    node.net("nft", "add table inet lab_wall; add chain inet lab_wall c { type filter hook forward "
             "priority 0; policy drop; }")
    try:
        report = trace(tracked_mesh)
    finally:
        node.net("nft", "delete", "table", "inet", "lab_wall")
    assert report["died_at"] == "filter"
    assert "inet lab_wall" in report["why"]


@pytest.mark.parametrize("words, reason", [
    (["1.2.3", "10.42.1.1"], "quiltctl endpoint ls"),
    (["10.42.1.1", "c2"], "quiltctl endpoint ls"),
    (["10.42.1.1", "10.42.1.2", "sctp"], "not one of icmp, tcp, udp"),
    (["10.42.1.1", "10.42.1.2", "tcp"], "tcp needs a port"),
    (["10.42.1.1", "10.42.1.2", "tcp", "0"], "1 to 65535"),
    (["10.42.1.1", "10.42.1.2", "udp", "http"], "1 to 65535"),
    (["10.42.1.1", "10.42.1.2", "icmp", "80"], "icmp has no port"),
    (["10.42.1.1"], "SRC DST [PROTO [PORT]]"),
    (["10.42.1.1", "10.42.1.2", "tcp", "1", "2"], "SRC DST [PROTO [PORT]]")])
def test_nonsense_is_refused_with_a_reason(mesh, words, reason):
    done = mesh.nodes[0].run("quiltctl", "trace", *words, check=False)
    assert done.returncode == 2 and done.stderr.startswith("quiltctl")
    assert reason in done.stderr


@pytest.mark.parametrize("ends", [["10.42.1.1", "8.8.8.8"], ["10.42.1.1", "127.0.0.1"],
                                  ["192.168.1.10", "10.42.2.1"]])
def test_an_address_out_of_the_mesh_is_refused(mesh, ends):
    done = mesh.nodes[0].run("quiltctl", "trace", *ends, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "is not in the cluster's network 10.42.0.0/16" in done.stderr


def test_an_address_that_no_node_has_is_not_blamed_on_the_route(mesh):
    report = trace(mesh, target="10.42.99.1")
    assert [hop["hop"] for hop in report["hops"]] == ["endpoint", "filter", "path", "far node"]
    assert report["died_at"] == "far node" and "no node" in report["why"]
