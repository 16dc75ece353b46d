"""Who is no node gets nothing into the mesh, and a container cannot pretend to be another."""
import json

import pytest

from lab import kernel
from lab.traffic import Flow

COUNT = 20
PORT = 7200
VTEP_MAC_2 = "02:51:0a:2a:02:00"


@pytest.fixture(scope="module")
def mesh(module_bed):
    mesh = module_bed.mesh(hosts=2)
    mesh.stranger = mesh.lab.host("stranger", "192.168.1.66")
    return mesh


def arrived(mesh, place, *words, target=None):
    """How many of COUNT datagrams, forged in the place, reach node2's container or the target."""
    target = target or mesh.containers[1]
    flow = str(mesh.lab.build / "tests" / "lab" / "flow")
    receiver = target.start([flow, "recv", str(PORT)], "intruded").wait_log("receiving")
    place.run("/usr/bin/python3", "-B", mesh.lab.tool("forge.py"), *words, PORT, COUNT)
    # What comes later than this real flow, over the same way, does not come.
    with Flow(mesh.containers[0], target, port=PORT + 1):
        pass
    receiver.stop()
    return json.loads(receiver.log().splitlines()[-1])["received"]


def vxlan_words(mesh, source):
    return ["vxlan", mesh.nodes[1].ip, VTEP_MAC_2, source, mesh.containers[1].ip]


def test_a_peer_can_send_by_hand_so_the_forged_frames_are_well_formed(mesh):
    source = mesh.containers[0].ip
    assert arrived(mesh, mesh.nodes[0], *vxlan_words(mesh, source)) == COUNT


def test_vxlan_from_a_stranger_on_the_underlay_is_dropped(mesh):
    assert arrived(mesh, mesh.stranger, *vxlan_words(mesh, mesh.containers[0].ip)) == 0


def test_vxlan_made_by_a_container_is_dropped_though_its_host_is_a_peer(mesh):
    assert arrived(mesh, mesh.containers[0], *vxlan_words(mesh, mesh.containers[0].ip)) == 0


def test_a_container_can_send_raw_packets_in_its_own_name(mesh):
    first, second = mesh.containers
    assert arrived(mesh, first, "ip", first.ip, second.ip) == COUNT


@pytest.mark.parametrize("source", ["10.42.1.200", "10.42.2.200", "192.168.1.10", "8.8.8.8"])
def test_a_containers_forged_source_is_dropped(mesh, source):
    assert arrived(mesh, mesh.containers[0], "ip", source, mesh.containers[1].ip) == 0


@pytest.mark.parametrize("source, target", [
    ("0.0.0.0", "255.255.255.255"), ("127.0.0.1", "192.168.1.10"), ("127.0.0.1", "127.0.0.1"),
    ("10.42.1.0", "192.168.1.10"), ("169.254.1.1", "192.168.1.10"), ("10.42.1.1", "127.0.0.1"),
    ("192.168.1.11", "192.168.1.10")])
def test_what_a_host_would_take_for_its_own_or_for_nobodys_is_dropped(mesh, source, target):
    first = mesh.containers[0]
    assert first.ip == "10.42.1.1"
    assert arrived(mesh, first, "frame", source, target, target=mesh.nodes[0]) == 0


def test_a_container_can_send_frames_to_its_host_in_its_own_name(mesh):
    first, node = mesh.containers[0], mesh.nodes[0]
    # Broadcast frames reach a datagram socket only when the packet is a broadcast, too.
    assert arrived(mesh, first, "frame", first.ip, "255.255.255.255", target=node) == COUNT


def test_a_vlan_tag_gets_nothing_past_the_firewall(mesh):
    assert arrived(mesh, mesh.containers[0], "vlan", "8.8.8.8", "255.255.255.255",
                   target=mesh.nodes[0]) == 0


@pytest.mark.parametrize("target", ["192.168.1.10", "10.42.1.0", "169.254.1.1", "10.42.2.1"])
def test_arp_from_a_container_teaches_its_host_nothing(mesh, target):
    node = mesh.nodes[0]
    forge = ("/usr/bin/python3", "-B", mesh.lab.tool("forge.py"))
    veth = next(name for name in kernel.interfaces(node) if name.startswith("qv"))

    def neighbours():
        return node.net("ip", "-4", "neigh", "show", "dev", veth, "nud", "all").stdout

    before = neighbours()
    assert before.startswith(f"{mesh.containers[0].ip} ")
    mesh.containers[0].run(*forge, "arp", "203.0.113.1", target, PORT, COUNT)
    mesh.containers[0].run(*forge, "arp", mesh.nodes[1].ip, target, PORT, 1)
    assert neighbours() == before
