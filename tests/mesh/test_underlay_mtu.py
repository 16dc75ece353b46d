"""The overlay's MTU follows the underlay's, and each peer's route what the way to that peer takes."""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import kernel
from lab.traffic import ping, transfer
from lab.wait import wait_for

OVERHEAD_BYTES = 50
HEADERS_BYTES = 28  # of a ping
SOME_BYTES = 8 << 20
BOTH_PATHS = pytest.mark.parametrize("dataplane", ["kernel", "ebpf"])


def send(source, target, ip_bytes, fragments="do"):
    """What ping says of one packet of this size."""
    return source.run("ping", "-n", "-c", "1", "-W", "1", "-M", fragments, "-s", ip_bytes - HEADERS_BYTES, target.ip,
                      check=False).stdout


def passes(source, target, ip_bytes, fragments="do"):
    return " 0% packet loss" in send(source, target, ip_bytes, fragments)


def told_mtu(source, target, ip_bytes):
    """What the sender of a packet that is too large is told by ICMP; None: nothing."""
    source.run("ip", "route", "flush", "cache")  # what it was told before
    found = re.search(r"Frag needed and DF set \(mtu = (\d+)\)", send(source, target, ip_bytes))
    return int(found[1]) if found else None


def route_mtu(mesh, node, peer):
    """The MTU that the peer's route has of its own; None: it has none."""
    route = kernel.overlay_routes(node)[mesh.subnet_of(peer)]
    return next((metric["mtu"] for metric in route.get("metrics", [])), None)


def wait_route_mtu(mesh, node, peer, mtu, deadline_s=5):
    wait_for(lambda: route_mtu(mesh, node, peer) == mtu, deadline_s,
             lambda: f"the MTU {mtu} on {node.name} for {peer.name}: {kernel.overlay_routes(node)}")


def narrow(node, peer, mtu):
    """The route to the peer's host says what the way there takes."""
    node.net("ip", "route", "replace", f"{peer.ip}/32", "dev", "eth0", "mtu", mtu)


def test_on_a_jumbo_underlay_the_overlay_and_the_containers_use_it(bed):
    mesh = bed.mesh(hosts=2, mtu=9000)
    assert [kernel.overlay_link(node)["mtu"] for node in mesh.nodes] == [9000 - OVERHEAD_BYTES] * 2
    first, second = mesh.containers
    assert passes(first, second, 9000 - OVERHEAD_BYTES)
    transfer(first, second, SOME_BYTES)


@BOTH_PATHS
def test_each_pair_uses_the_largest_packet_that_its_way_takes(bed, dataplane):
    """node1 and node2 have 9000, node4 has 1500, node3 is behind something that takes 1400."""
    mesh = bed.mesh(hosts=4, mtu=9000, agent_options=f"--dataplane {dataplane}", is_started=False)
    wide, other, narrowest, usual = mesh.nodes
    for node, mtu in ((narrowest, 1400), (usual, 1500)):
        node.net("ip", "link", "set", "eth0", "mtu", mtu)
    for node in (wide, other):
        narrow(node, narrowest, 1400)
        narrow(node, usual, 1500)
    narrow(usual, narrowest, 1400)
    mesh.start_all()
    largest = {"node1": 9000, "node2": 9000, "node3": 1400, "node4": 1500}
    for node in mesh.nodes:
        for peer in mesh.nodes:
            takes, sends = largest[peer.name], largest[node.name]
            if peer is not node:
                wait_route_mtu(mesh, node, peer, takes - OVERHEAD_BYTES if takes < sends else None)
    for source in mesh.containers:
        for target in mesh.containers:
            takes = min(largest[source.host.name], largest[target.host.name]) - OVERHEAD_BYTES
            if target is source:
                continue
            assert passes(source, target, takes), (source.name, target.name, takes)
            if takes < largest[source.host.name] - OVERHEAD_BYTES:
                assert told_mtu(source, target, takes + 1) == takes
            assert not passes(source, target, takes + 1)
            assert passes(source, target, 4000, fragments="dont")
    transfer(mesh.containers[0], mesh.containers[2], SOME_BYTES)
    transfer(mesh.containers[2], mesh.containers[0], SOME_BYTES)


@BOTH_PATHS
def test_a_peers_route_follows_what_changes_on_the_way_there(bed, dataplane):
    mesh = bed.mesh(hosts=3, agent_options=f"--dataplane {dataplane}")
    node, peer, other = mesh.nodes
    first, second, third = mesh.containers
    for mtu in (1400, 1300):
        narrow(node, peer, mtu)
        wait_route_mtu(mesh, node, peer, mtu - OVERHEAD_BYTES)
        wait_for(lambda: told_mtu(first, second, mtu) == mtu - OVERHEAD_BYTES, 5, "the sender to be told")  # noqa: B023
        assert passes(first, second, mtu - OVERHEAD_BYTES)
    assert route_mtu(mesh, node, other) is None and passes(first, third, 1450)
    wait_for(lambda: doctor_errors(node) == [], 30, lambda: doctor_errors(node))
    node.net("ip", "route", "del", f"{peer.ip}/32")
    wait_route_mtu(mesh, node, peer, None)
    first.run("ip", "route", "flush", "cache")  # what it was told of the way it keeps for ten minutes
    assert passes(first, second, 1450)

    node.net("ip", "link", "set", "eth0", "mtu", "1400")
    wait_for(lambda: kernel.overlay_link(node)["mtu"] == 1400 - OVERHEAD_BYTES, 5, "the device to follow")
    assert route_mtu(mesh, node, peer) is None
    node.net("ip", "link", "set", "eth0", "mtu", "1500")
    wait_for(lambda: passes(first, second, 1450), 5, "the old size to pass again")


@BOTH_PATHS
def test_a_peers_route_follows_a_policy_rule(bed, dataplane):
    mesh = bed.mesh(hosts=2, agent_options=f"--dataplane {dataplane}")
    node, peer = mesh.nodes
    first, second = mesh.containers
    node.net("ip", "route", "add", f"{peer.ip}/32", "dev", "eth0", "mtu", "1400", "table", "77")
    rule = ("to", f"{peer.ip}/32", "lookup", "77", "priority", "900")
    for verb, mtu in (("add", 1350), ("del", None)):
        node.net("ip", "rule", verb, *rule)
        wait_route_mtu(mesh, node, peer, mtu)
        wait_for(lambda: told_mtu(first, second, 1450) == mtu, 5, "the sender to be told, or not")  # noqa: B023


def test_an_address_takes_its_routes_along_and_a_peers_route_follows(bed):
    """Older kernels say nothing of the routes that go with the address they prefer, newer ones do."""
    mesh = bed.mesh(hosts=2, agent_options="--dataplane kernel")
    node, peer = mesh.nodes
    node.net("ip", "addr", "add", "192.0.2.77/32", "dev", "eth0")
    node.net("ip", "route", "replace", f"{peer.ip}/32", "dev", "eth0", "src", "192.0.2.77", "mtu", "1400")
    wait_route_mtu(mesh, node, peer, 1350)
    node.net("ip", "addr", "del", "192.0.2.77/32", "dev", "eth0")
    assert "mtu" not in node.net("ip", "route", "get", peer.ip).stdout
    wait_route_mtu(mesh, node, peer, None)


def test_a_peers_mtu_is_kept_when_agent_and_runtime_start_anew(bed):
    mesh = bed.mesh(hosts=2)
    node, peer = mesh.nodes
    narrow(node, peer, 1400)
    wait_route_mtu(mesh, node, peer, 1350)
    mesh.wait_settled()
    with kernel.ChangeLog(node) as changes:
        for daemon in (mesh.runtimes[node.name], mesh.agents[node.name]):
            daemon.kill()
            daemon.start().wait_ready()
        mesh.wait_settled()
    assert not [line for line in changes.lines() if "vxlan100" in line]
    assert ping(mesh.containers[0], mesh.containers[1].ip)


# ---- what nobody says ------------------------------------------------------------------------


def add_router(mesh, node, peer):
    """A host that packets between the two go through."""
    router = mesh.lab.host("router", "192.168.1.1")
    router.run("sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0",
               "net.ipv4.conf.eth0.send_redirects=0")
    for one, other in ((node, peer), (peer, node)):
        one.net("ip", "route", "add", f"{other.ip}/32", "via", router.ip)
        one.net("ip", "link", "set", "eth0", "gso_max_size", "1500")  # frames, as on a wire
    router.net("ip", "link", "set", "eth0", "gso_max_size", "1500")
    return router


def dig_hole(router, bytes_max):
    """The router drops what is larger, without a word."""
    router.net("nft", "add table inet hole")
    router.net("nft", "add chain inet hole forward { type filter hook forward priority 0; }")
    router.net("nft", "add", "rule", "inet", "hole", "forward", "ip", "length", ">", bytes_max, "drop")


def probed_sizes(node):
    status = json.loads(node.out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9180/status"))
    return {peer["hostname"]: (peer["probe"] or {}).get("largest_bytes") for peer in status["peers"]}


def problems(node):
    return json.loads(node.out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9180/status"))["problems"]


def doctor_errors(node):
    said = json.loads(node.run("quiltctl", "doctor", "-o", "json", check=False).stdout)["findings"]
    return [found["cause"] for found in said if found["severity"] == "error"]


def wait_found(mesh, node, peer, bytes_max, deadline_s=45):
    """Until the peer's route says what its probes have found; the MTU."""
    def is_found():
        mtu = route_mtu(mesh, node, peer)
        return mtu is not None and bytes_max - OVERHEAD_BYTES - 4 <= mtu <= bytes_max - OVERHEAD_BYTES
    wait_for(is_found, deadline_s, lambda: f"{bytes_max} to be found: {kernel.overlay_routes(node)}"
             f" {probed_sizes(node)}")
    return route_mtu(mesh, node, peer)


@BOTH_PATHS
def test_a_black_hole_is_found_told_and_gone_around(bed, dataplane):
    mesh = bed.mesh(hosts=3, agent_options=f"--dataplane {dataplane}")
    node, peer, other = mesh.nodes
    first, second, third = mesh.containers
    router = add_router(mesh, node, peer)
    wait_for(lambda: probed_sizes(node) == {peer.name: 1500, other.name: 1500}, 30, lambda: probed_sizes(node))
    dig_hole(router, 1400)
    assert not passes(first, second, 1450) and passes(first, second, 1350)
    with ThreadPoolExecutor() as pool:
        flow = pool.submit(transfer, first, second, SOME_BYTES)
        start = time.monotonic()
        mtu = wait_found(mesh, node, peer, 1400)
        found_s = time.monotonic() - start
        wait_found(mesh, peer, node, 1400)
        print(f"found after {found_s:.1f} s, the flow that fell into the hole took {flow.result():.1f} s")
    assert told_mtu(first, second, 1450) == mtu and passes(first, second, mtu)
    assert passes(first, second, 4000, fragments="dont")
    assert route_mtu(mesh, node, other) is None and passes(first, third, 1450)
    assert any(f"peer {peer.name}: packets of up to 1500 bytes" in problem for problem in problems(node))
    wait_for(lambda: f"mtu {mtu + OVERHEAD_BYTES}" in node.out("quiltctl", "--control-plane", mesh.control_url, "mesh"),
             30, lambda: node.out("quiltctl", "--control-plane", mesh.control_url, "mesh"))
    assert doctor_errors(node) == ["mtu-black-hole"]

    mesh.wait_settled()
    with kernel.ChangeLog(node) as changes:
        mesh.agents[node.name].kill()
        mesh.agents[node.name].start().wait_ready()
        mesh.wait_settled()
    assert not [line for line in changes.lines() if "vxlan100" in line]
    assert route_mtu(mesh, node, peer) == mtu and told_mtu(first, second, 1450) == mtu

    router.net("nft", "delete table inet hole")
    wait_route_mtu(mesh, node, peer, None, 60)
    first.run("ip", "route", "flush", "cache")
    assert passes(first, second, 1450)
    wait_for(lambda: problems(node) == [], 60, lambda: problems(node))


@BOTH_PATHS
def test_a_router_that_says_what_it_takes_is_believed(bed, dataplane):
    mesh = bed.mesh(hosts=2, agent_options=f"--dataplane {dataplane}")
    node, peer = mesh.nodes
    first, second = mesh.containers
    router = add_router(mesh, node, peer)
    router.net("ip", "route", "add", f"{peer.ip}/32", "dev", "eth0", "mtu", "1400")
    transfer(first, second, SOME_BYTES)
    mtu = wait_found(mesh, node, peer, 1400)
    assert told_mtu(first, second, 1450) == mtu and passes(first, second, mtu)
    transfer(first, second, SOME_BYTES)
    assert route_mtu(mesh, peer, node) is None and passes(second, first, 1450)


# ---- who is told -----------------------------------------------------------------------------


class Target:
    """An address that is none of the mesh's."""

    def __init__(self, ip):
        self.ip = ip


@BOTH_PATHS
def test_what_is_too_large_beyond_a_container_or_outside_is_told_to_the_sender(bed, dataplane):
    mesh = bed.mesh(hosts=2, agent_options=f"--dataplane {dataplane}")
    node = mesh.nodes[0]
    first, gateway = mesh.containers

    inner = mesh.nodes[1].container("inner")
    mesh.nodes[1].run("ip", "link", "add", "inside", "mtu", "1200", "netns", gateway.name, "type", "veth",
                      "peer", "name", "eth0", "mtu", "1200", "netns", inner.name)
    for place, device, address in ((gateway, "inside", "172.30.0.1/24"), (inner, "eth0", "172.30.0.2/24")):
        place.run("ip", "addr", "add", address, "dev", device)
        place.run("ip", "link", "set", device, "up")
    inner.run("ip", "route", "add", "default", "via", "172.30.0.1")
    gateway.run("sysctl", "-q", "net.ipv4.ip_forward=1")
    gateway.run("nft", "add table ip inside")
    gateway.run("nft", "add chain ip inside before { type nat hook prerouting priority -100; }")
    gateway.run("nft", "add rule ip inside before iifname eth0 dnat to 172.30.0.2")
    assert passes(first, gateway, 1200)
    assert told_mtu(first, gateway, 1400) == 1200

    outside = mesh.lab.host("outside", "192.168.1.50")
    router = mesh.lab.host("router", "192.168.1.1")
    outside.net("ip", "addr", "add", "203.0.113.9/32", "dev", "lo")
    router.run("sysctl", "-q", "net.ipv4.ip_forward=1")
    router.net("ip", "route", "add", "203.0.113.9/32", "via", outside.ip, "mtu", "1300")
    node.net("ip", "route", "add", "203.0.113.9/32", "via", router.ip)
    target = Target("203.0.113.9")
    assert passes(first, target, 1300)
    assert told_mtu(first, target, 1400) == 1300
