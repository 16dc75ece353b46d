"""Three hosts by README's literal commands: packets get through, and the kernel holds exactly what
the documentation says."""
import json
import os

import pytest

from lab import kernel
from lab.capture import Capture
from lab.traffic import ping, ping_matrix, transfer
from lab.wait import wait_for

TRANSFER_BYTES = 1 << 30 if os.environ.get("QUILT_TEST_FULL") else 64 << 20
VXLAN_UDP_PORT = 4789
ETHERTYPE_IP4 = 0x0800
ALL_ZERO = "00:00:00:00:00:00"


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh()


def peers_of(mesh, node):
    return [peer for peer in mesh.nodes if peer is not node]


def network_of(mesh, node):
    return mesh.subnet_of(node).split("/")[0]


def vtep_mac(network):
    return "02:51:" + ":".join(f"{int(octet):02x}" for octet in network.split("."))


def test_subnets_are_handed_out_in_the_order_of_joining(mesh):
    assert [mesh.subnet_of(node) for node in mesh.nodes] == [
        "10.42.1.0/24", "10.42.2.0/24", "10.42.3.0/24"]


def test_all_nine_container_pairs_ping(mesh):
    answers = ping_matrix(mesh.containers)
    assert len(answers) == 9
    assert [pair for pair, answered in answers.items() if not answered] == []


def test_a_tcp_transfer_arrives_whole(mesh):
    transfer(mesh.containers[0], mesh.containers[2], TRANSFER_BYTES)


def test_each_peer_has_exactly_one_permanent_fdb_entry_and_none_is_all_zero(mesh):
    for node in mesh.nodes:
        entries = kernel.overlay_fdb(node)
        assert all(entry["state"] == "permanent" for entry in entries)
        assert ALL_ZERO not in {entry["mac"] for entry in entries}
        assert sorted((entry["mac"], entry["dst"]) for entry in entries) == sorted(
            (vtep_mac(network_of(mesh, peer)), peer.ip) for peer in peers_of(mesh, node))


def test_each_peer_has_one_permanent_neighbour_of_protocol_81(mesh):
    for node in mesh.nodes:
        entries = kernel.overlay_neighbours(node)
        assert {entry["protocol"] for entry in entries} == {"81"}
        assert sorted((entry["dst"], entry["lladdr"]) for entry in entries) == sorted(
            (network_of(mesh, peer), vtep_mac(network_of(mesh, peer)))
            for peer in peers_of(mesh, node))


def test_each_peer_has_one_onlink_route_of_protocol_81(mesh):
    for node in mesh.nodes:
        routes = [route for route in kernel.overlay_routes(node).values() if "gateway" in route]
        assert {route["protocol"] for route in routes} == {"81"}
        assert all("onlink" in route["flags"] for route in routes)
        assert sorted((route["dst"], route["gateway"]) for route in routes) == sorted(
            (mesh.subnet_of(peer), network_of(mesh, peer)) for peer in peers_of(mesh, node))


def test_the_overlay_device_is_as_documented(mesh):
    for node in mesh.nodes:
        link = kernel.overlay_link(node)
        data = link["linkinfo"]["info_data"]
        assert (data["id"], data["port"], data["learning"]) == (100, VXLAN_UDP_PORT, False)
        assert data["local"] == node.ip
        assert "link" not in data and "group" not in data and "remote" not in data
        assert link["mtu"] == 1450
        assert link["address"] == vtep_mac(network_of(mesh, node))
        assert link["ifalias"].startswith("quilt:")
        addresses = kernel.ip_json(node, "-4", "addr", "show", "dev", "vxlan100")[0]["addr_info"]
        assert [(a["local"], a["prefixlen"]) for a in addresses] == [(network_of(mesh, node), 32)]


def test_a_container_sees_its_address_and_one_way_out(mesh):
    for node, container in zip(mesh.nodes, mesh.containers):
        link = json.loads(container.out("ip", "-j", "addr", "show", "dev", "eth0"))[0]
        addresses = [a for a in link["addr_info"] if a["family"] == "inet"]
        assert [(a["local"], a["prefixlen"]) for a in addresses] == [(container.ip, 32)]
        assert link["mtu"] == 1450
        assert container.ip.startswith(network_of(mesh, node).removesuffix("0"))
        default = json.loads(container.out("ip", "-j", "route", "show", "default"))
        assert [route["gateway"] for route in default] == ["169.254.1.1"]


def test_the_underlay_carries_vxlan_of_vni_100_without_broadcast_or_arp_inside(mesh):
    with Capture(mesh.lab) as capture:
        # A device made anew is when a network would shout, if ever.
        mesh.nodes[1].net("ip", "link", "set", "vxlan100", "down")
        mesh.wait_joined(deadline_s=5)
        late = mesh.add_container(mesh.nodes[0], "late")
        assert all(ping_matrix([*mesh.containers[:3], late]).values())
        capture.wait_frames(20)
    frames = capture.inner_frames()
    macs = {vtep_mac(network_of(mesh, node)) for node in mesh.nodes}
    assert {frame.vni for frame in frames} == {100}
    assert {frame.ethertype for frame in frames} == {ETHERTYPE_IP4}
    assert {frame.target_mac for frame in frames} <= macs
    assert {frame.source_mac for frame in frames} <= macs


def test_a_container_reaches_the_underlay_in_its_hosts_name_and_the_mesh_in_its_own(mesh):
    first, second = mesh.containers[0], mesh.containers[1]
    listen = ["/usr/bin/python3", "-c", "import socket\n"
              "s = socket.create_server(('', 7100))\nprint('listening', flush=True)\n"
              "for _ in range(1):\n    print('from', s.accept()[1][0], flush=True)"]
    outside = mesh.lab.host("outside", "192.168.1.77")
    for target, address, expected in ((outside, outside.ip, mesh.nodes[0].ip),
                                      (second, second.ip, first.ip)):
        server = target.start(listen, f"server-{target.name}").wait_log("listening")
        first.run("curl", "-s", "-m", "5", f"http://{address}:7100/", check=False)
        server.wait_end()
        assert f"from {expected}\n" in server.log()


def test_quiltctl_finds_every_node_healthy(mesh):
    for node in mesh.nodes:
        done = node.run("quiltctl", "status", check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_client_of_the_first_release_joins_with_its_four_fields(mesh):
    guest = mesh.add_host()
    mesh.nodes.remove(guest)
    body = {"hostname": "first", "host_ip": guest.ip, "cpu_cores": 4, "ram_mb": 8192}
    answer = json.loads(guest.out(
        "curl", "-sS", "-f", "-H", "Content-Type: application/json", "-d", json.dumps(body),
        f"{mesh.control_url}/api/nodes/register"))
    assert answer["subnet"] == "10.42.4.0/24"
    url = f"{mesh.control_url}/api/nodes/{answer['node_id']}"
    guest.run("curl", "-sS", "-f", "-X", "POST", f"{url}/heartbeat")
    node = mesh.nodes[0]
    wait_for(lambda: "10.42.4.0/24" in mesh.routes_of(node), 5, "the route to the guest")
    guest.run("curl", "-sS", "-f", "-X", "DELETE", url)
    wait_for(lambda: "10.42.4.0/24" not in mesh.routes_of(node), 5, "its route to go")
    assert ping(mesh.containers[0], mesh.containers[1].ip)
