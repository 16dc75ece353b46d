"""quilt-runtime: containers are attached, moved, listed and detached, by good calls and by bad ones."""
import os
import time

import pytest
from runtime_host import fixture_host, fixture_node, wait_for  # noqa: F401 (beside this file; fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


def test_containers_are_attached_listed_and_detached(node):
    node.container("c1")
    node.container("c2")
    first = node.attach("c1")
    assert (first.ip, first.gateway, first.mac, first.mtu, first.host_ifname) == (
        "10.42.1.1/32", "169.254.1.1", "02:51:0a:2a:01:01", 1450, "qv0a2a0101")
    node.attach("c2", ip="10.42.1.200")
    assert node.pings("c1", "10.42.1.200") and node.pings("c2", "10.42.1.1")
    before = node.dump()
    again = node.attach("c1")
    assert again == first and node.dump() == before
    listed = node.call("ListEndpoints").endpoints
    assert [(e.id, e.netns, e.ifname, e.ip, e.mac, e.host_ifname, e.problem) for e in listed] == [
        ("c1", "/run/netns/c1", "eth0", "10.42.1.1", "02:51:0a:2a:01:01", "qv0a2a0101", ""),
        ("c2", "/run/netns/c2", "eth0", "10.42.1.200", "02:51:0a:2a:01:c8", "qv0a2a01c8", "")]
    assert abs(listed[0].created_at - time.time()) < 60
    status = node.call("GetStatus")
    assert (status.subnet, status.cluster_cidr, status.endpoints, status.addresses_free, status.routes,
            list(status.problems)) == ("10.42.1.0/24", "10.42.0.0/16", 2, 252, 0, [])
    assert not node.ok("DetachEndpoint", id="c1").was_absent
    assert node.ok("DetachEndpoint", id="c1", ifname="eth0").was_absent
    assert "qv0a2a0101" not in node.out("ip link")
    assert "eth0" not in node.out("ip netns exec c1 ip link")
    assert [e.id for e in node.call("ListEndpoints").endpoints] == ["c2"]


@pytest.mark.parametrize("fields,words", [
    ({"id": ""}, "id: is missing"),
    ({"id": "../x"}, "id: '../x'"),
    ({"id": "a" * 254}, "id: '"),
    ({"ifname": "a/b"}, "ifname: 'a/b'"),
    ({"ifname": "lo"}, "ifname: 'lo'"),
    ({"netns": ""}, "netns: is missing"),
    ({"netns": "run/netns/c1"}, "is not an absolute path"),
    ({"netns": "/run/netns/nosuch"}, "netns: "),
    ({"netns": "/etc/passwd"}, "netns: /etc/passwd is no namespace"),
    ({"netns": "/proc/self/ns/net"}, "netns: "),
    ({"netns": "/proc/self/ns/mnt"}, "netns: "),
    ({"ip": "10.42.1.0"}, "ip: '10.42.1.0' is no container address of 10.42.1.0/24"),
    ({"ip": "10.42.1.255"}, "ip: '10.42.1.255'"),
    ({"ip": "10.42.2.5"}, "ip: '10.42.2.5'"),
    ({"ip": "10.42.1.5/24"}, "ip: '10.42.1.5/24'"),
])
def test_a_bad_attachment_is_refused_in_words_and_changes_nothing(node, fields, words):
    node.container("c1")
    good = {"id": "c1", "netns": "/run/netns/c1"}
    before = node.dump()
    assert words in node.fails("AttachEndpoint", **{**good, **fields})
    assert node.dump() == before
    assert not node.call("ListEndpoints").endpoints
    assert node.call("GetStatus").addresses_free == 254


def test_before_the_subnet_nothing_can_be_attached(host):
    host.start()
    host.container("c1")
    assert "no subnet yet" in host.fails("AttachEndpoint", id="c1", netns="/run/netns/c1")
    assert host.call("GetStatus").problems == ["this node has no subnet yet"]


def test_a_failed_attachment_is_taken_back_whole(node):
    node.container("c1")
    node.run("ip netns exec c1 ip link add eth0 type veth peer name x")
    assert "'eth0' exists already in" in node.fails("AttachEndpoint", id="c1", netns="/run/netns/c1")
    assert "qv" not in node.out("ip -o link")
    assert node.call("GetStatus").addresses_free == 254
    assert node.state()["endpoints"] == []
    node.ok("AttachEndpoint", id="c1", netns="/run/netns/c1", ifname="net1")


@pytest.mark.parametrize("address", [{}, {"ip": "10.42.1.77"}], ids=["same", "other"])
def test_an_endpoint_whose_move_fails_stays_where_it_was(node, address):
    for name in ("c1", "c2", "c3"):
        node.container(name)
    held = node.attach("c1").ip.split("/")[0]
    node.attach("c3")
    node.run("ip", "-n", "c2", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
    assert "exists already" in node.fails("AttachEndpoint", id="c1", netns="/run/netns/c2", **address)
    endpoint = next(e for e in node.call("ListEndpoints").endpoints if e.id == "c1")
    assert (endpoint.netns, endpoint.ip.split("/")[0]) == ("/run/netns/c1", held)
    wait_for(lambda: node.pings("c3", held, count=1), "the endpoint to be back")
    assert node.attach("c1").ip.split("/")[0] == held


def test_a_held_address_and_a_connected_namespace_are_refused(node):
    node.container("c1")
    node.container("c2")
    node.attach("c1")
    assert "is held by endpoint c1/eth0" in node.fails("AttachEndpoint", id="c2", netns="/run/netns/c2",
                                                        ip="10.42.1.1")
    assert "is connected already" in node.fails("AttachEndpoint", id="c2", netns="/run/netns/c1",
                                                 ifname="eth1")


def test_when_no_address_is_left_it_says_how_many_are_held(host):
    host.start()
    host.ok("ConfigureNodeSubnet", subnet="10.42.1.0/30", cluster_cidr="10.42.0.0/16")
    for name in ("c1", "c2", "c3"):
        host.container(name)
    host.attach("c1")
    host.attach("c2")
    assert "no address left in 10.42.1.0/30: all 2 are held" in host.fails(
        "AttachEndpoint", id="c3", netns="/run/netns/c3")
    host.ok("DetachEndpoint", id="c1")
    assert host.attach("c3").ip == "10.42.1.1/32"


def test_a_restarted_container_keeps_its_address_in_its_new_namespace(node):
    node.container("c1")
    node.container("c2")
    node.attach("c1")
    node.attach("c2")
    node.run("ip netns del c1")
    node.container("c1")
    assert node.attach("c1").ip == "10.42.1.1/32"
    assert node.pings("c1", "10.42.1.2")


def test_a_dead_container_is_shown_and_can_be_detached(node):
    node.container("c1")
    node.attach("c1")
    node.run("ip netns del c1")
    wait_for(lambda: "qv0a2a0101" not in node.out("ip link"), "the kernel to take the device away")
    problem = node.call("ListEndpoints").endpoints[0].problem
    assert "namespace is gone" in problem and problem.endswith("quiltctl endpoint detach c1"), problem
    assert list(node.call("GetStatus").problems) != []
    node.ok("DetachEndpoint", id="c1")
    assert not node.call("ListEndpoints").endpoints


def test_many_containers_are_attached_at_once(node):
    names = [f"c{i}" for i in range(40)]
    node.make_containers(names)
    begun = [node.begin("AttachEndpoint", id=name, netns=f"/run/netns/{name}") for name in names]
    replies = [call.result() for call in begun]
    assert all(reply.success for reply in replies)
    assert len({reply.ip for reply in replies}) == 40
    begun = [node.begin("DetachEndpoint", id=name) for name in names]
    assert all(call.result().success for call in begun)
    assert "qv" not in node.out("ip -o link")
