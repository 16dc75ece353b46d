"""Who is no node gets nothing into the mesh, and a container cannot pretend to be another."""
import json

import pytest

from lab.traffic import Flow

COUNT = 20
PORT = 7200
VTEP_MAC_2 = "02:51:0a:2a:02:00"


@pytest.fixture(scope="module")
def mesh(module_bed):
    mesh = module_bed.mesh(hosts=2)
    mesh.stranger = mesh.lab.host("stranger", "192.168.1.66")
    return mesh


def arrived(mesh, place, *words):
    """How many of COUNT datagrams, forged in the place, reach node2's container."""
    target = mesh.containers[1]
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
