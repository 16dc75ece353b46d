"""Who is no node gets nothing into the mesh, a node nothing that is not its own, and a container cannot
pretend to be another nor reach what is not meant for it. On either data path: each attack is dropped and
counted with its reason, and the honest traffic goes on."""
import contextlib
import json
import re

import pytest

from lab.traffic import ping
from lab.wait import wait_for

COUNT = 20
PORT = 7200
VTEP_MAC_2 = "02:51:0a:2a:02:00"
DROPPED = re.compile(r'^quilt_runtime_firewall_dropped_total\{reason="(\w+)"\} (\d+)$', re.MULTILINE)
PROBES = 9180
LISTEN = ["/usr/bin/python3", "-c", "import socket, time\ns = socket.create_server(('', 22))\n"
          "print('listening', flush=True)\ntime.sleep(600)"]


@pytest.fixture(scope="module", params=["kernel", "ebpf"])
def mesh(module_bed, request):
    mesh = module_bed.mesh(hosts=2, agent_options=f"--dataplane {request.param}")
    mesh.last_port = 65535 if request.param == "ebpf" else 3000  # the rules are the same ones
    mesh.neighbour = mesh.add_container(mesh.nodes[0], "d1")
    mesh.stranger = mesh.lab.host("stranger", "192.168.1.66")
    for node in mesh.nodes:
        node.start(LISTEN, "ssh").wait_log("listening")
    return mesh


def drops(node):
    """reason -> packets"""
    text = node.out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9181/metrics")
    return {reason: int(packets) for reason, packets in DROPPED.findall(text)}


def difference(before, after):
    """What has changed. Containers' own IPv6 looks for routers now and then, a few packets."""
    return {key: after[key] - before[key] for key in after
            if after[key] - before[key] > (COUNT - 1 if key == "ipv6" else 0)}


def forge(mesh, place, *words):
    place.run("/usr/bin/python3", "-B", mesh.lab.tool("forge.py"), *words)


def arrived(mesh, place, *words, target=None):
    """How many of COUNT datagrams, forged in the place, reach node2's container or the target."""
    target = target or mesh.containers[1]
    flow = str(mesh.lab.build / "tests" / "lab" / "flow")
    receiver = target.start([flow, "recv", str(PORT)], "intruded").wait_log("receiving")
    forge(mesh, place, *words, PORT, COUNT)
    # What comes later than these pings, over the same way, does not come.
    assert ping(mesh.containers[0], mesh.containers[1].ip, count=5)
    receiver.stop()
    return json.loads(receiver.log().splitlines()[-1])["received"]


def assert_dropped(mesh, node, reason, place, *words, target=None):
    """None arrives, and the node says of all of them why."""
    before = drops(node)
    assert arrived(mesh, place, *words, target=target) == 0
    after = drops(node)
    assert difference(before, after) == {reason: COUNT}


@contextlib.contextmanager
def opened(mesh, words):
    """What the operator opens to containers, on all hosts; "" for nothing."""
    runtimes = list(mesh.runtimes.values()) if words else []
    for runtime in runtimes:
        runtime.stop()
        runtime.argv += ["--open-to-containers", words]
        runtime.start().wait_ready()
    try:
        yield
    finally:
        for runtime in runtimes:
            runtime.stop()
            del runtime.argv[-2:]
            runtime.start().wait_ready()


def vxlan_words(mesh, source, target=None):
    return ["vxlan", mesh.nodes[1].ip, VTEP_MAC_2, source, target or mesh.containers[1].ip]


# ---- the hosts' network ----------------------------------------------------------------------


def test_a_peer_can_send_by_hand_so_the_forged_frames_are_well_formed(mesh):
    source = mesh.containers[0].ip
    assert arrived(mesh, mesh.nodes[0], *vxlan_words(mesh, source)) == COUNT


def test_vxlan_from_a_stranger_on_the_underlay_is_dropped(mesh):
    assert_dropped(mesh, mesh.nodes[1], "no_peer", mesh.stranger, *vxlan_words(mesh, mesh.containers[0].ip))


@pytest.mark.parametrize("target", ["192.168.1.255", "255.255.255.255", "224.0.0.1"])
def test_and_so_it_is_when_it_is_sent_to_all(mesh, target):
    words = ["vxlan", target, *vxlan_words(mesh, mesh.containers[0].ip)[2:]]
    mesh.stranger.net("ip", "route", "replace", "default", "dev", "eth0")
    assert_dropped(mesh, mesh.nodes[1], "no_peer", mesh.stranger, *words)


@pytest.mark.parametrize("source", ["10.42.2.77", "10.42.3.1", "192.168.1.10", "8.8.8.8", "127.0.0.1"])
def test_a_peer_speaks_for_its_own_subnet_only(mesh, source):
    assert_dropped(mesh, mesh.nodes[1], "other_origin", mesh.nodes[0], *vxlan_words(mesh, source))


def test_arp_from_a_peer_teaches_nothing(mesh):
    node = mesh.nodes[1]

    def neighbours():
        return node.net("ip", "-4", "neigh", "show", "dev", "vxlan100", "nud", "all").stdout

    before = neighbours()
    assert before.startswith("10.42.1.0 ")
    forge(mesh, mesh.nodes[0], "inside", node.ip, "203.0.113.1", "10.42.2.0", COUNT)
    assert ping(mesh.containers[0], mesh.containers[1].ip)  # comes later, over the same way
    assert neighbours() == before


@pytest.mark.parametrize("target", ["192.168.1.11", "127.0.0.1", "8.8.8.8", "10.42.3.1", "224.0.0.1"])
def test_a_peer_reaches_nobody_but_this_node_through_its_vxlan(mesh, target):
    node = mesh.nodes[1]
    node.run("sysctl", "-q", "net.ipv4.conf.all.route_localnet=1")
    assert_dropped(mesh, node, "stray", mesh.nodes[0], *vxlan_words(mesh, "10.42.1.1", target), target=node)


def test_a_peers_vxlan_holds_no_other(mesh):
    node = mesh.nodes[1]
    before = drops(node)
    forge(mesh, mesh.nodes[0], *vxlan_words(mesh, mesh.containers[0].ip, "10.42.2.0"), 4789, COUNT)
    assert ping(mesh.containers[0], mesh.containers[1].ip)
    assert difference(before, drops(node)) == {"vxlan_of_container": COUNT}


@pytest.mark.parametrize("nobody", ["10.42.99.1", "10.42.1.77"])
def test_what_is_for_nobody_in_the_mesh_does_not_leave_it(mesh, nobody):
    node, first = mesh.nodes[0], mesh.containers[0]
    mesh.stranger.net("ip", "addr", "replace", f"{nobody}/32", "dev", "lo")
    node.net("ip", "route", "replace", "default", "via", mesh.stranger.ip)
    try:
        assert_dropped(mesh, node, "nowhere", first, "ip", first.ip, nobody, target=mesh.stranger)
    finally:
        node.net("ip", "route", "del", "default")


def underlay_mac(node):
    return json.loads(node.net("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]


def test_an_address_of_the_mesh_is_not_believed_on_the_underlay(mesh):
    second, node = mesh.containers[1], mesh.nodes[1]
    assert_dropped(mesh, node, "outside", mesh.stranger, "to", underlay_mac(node), mesh.containers[0].ip, second.ip)
    # A host that routes to this node reaches containers under its own address.
    assert arrived(mesh, mesh.stranger, "to", underlay_mac(node), mesh.stranger.ip, second.ip) == COUNT


def has_learned_mtu(place, target):
    return " mtu " in place.net("ip", "route", "get", target).stdout


def assert_errors_dropped(mesh, container, node, form, *words):
    """What the container makes up is dropped by the node, and when hosts are open, too."""
    for open_words in ("", "hosts"):
        with opened(mesh, open_words):
            before = drops(node)
            forge(mesh, container, form, container.ip, *words, COUNT)
            wait_for(lambda: difference(before, drops(node)) == {"forged_error": COUNT}, 5,
                     lambda: str(difference(before, drops(node))))


@pytest.mark.parametrize("port", [PROBES, 4789])
@pytest.mark.parametrize("intruder", [0, 1])
def test_a_container_does_not_shrink_the_way_between_the_hosts(mesh, intruder, port):
    """Neither its own host's, nor, through the overlay, another one's; and not when hosts are open."""
    (victim, peer), container = mesh.nodes, mesh.containers[intruder]
    ends = ("10.42.1.0", "10.42.2.0") if intruder else (victim.ip, peer.ip)
    assert_errors_dropped(mesh, container, victim, "toobig", *ends, port)
    for target in (peer.ip, "10.42.2.0"):
        assert not has_learned_mtu(victim, target)


def test_a_peer_does_not_say_that_the_way_to_itself_is_too_narrow(mesh):
    """It may be a container of its own that makes its pings arrive as that."""
    victim, peer = mesh.nodes
    before = drops(victim)
    forge(mesh, peer, "toobig", peer.ip, victim.ip, peer.ip, PROBES, COUNT)
    wait_for(lambda: difference(before, drops(victim)) == {"forged_error": COUNT}, 5,
             lambda: str(difference(before, drops(victim))))
    assert not has_learned_mtu(victim, peer.ip)


TALK = ["/usr/bin/python3", "-c", "import socket, sys, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('', 7300))\nfor target in sys.argv[1:]:\n    s.sendto(b'x', (target, 7300))\n"
        "print('talking', flush=True)\ntime.sleep(600)"]


@contextlib.contextmanager
def talk(one, other):
    """A connection of UDP that the one begins, from the port to the port."""
    talkers = [other.start(TALK, "talk").wait_log("talking"),
               one.start([*TALK, other.ip], "talk").wait_log("talking")]
    try:
        yield
    finally:
        for talker in talkers:
            talker.cease()


@pytest.mark.parametrize("whose", ["the host's", "another container's"])
def test_a_container_does_not_shrink_the_way_of_somebody_outside_to_its_host(mesh, whose):
    """By what it makes up about connections that are not its own."""
    node, first = mesh.nodes[0], mesh.containers[0]
    talker = node if whose == "the host's" else mesh.neighbour
    with talk(talker, mesh.stranger):
        for addr in {node.ip, talker.ip}:
            assert_errors_dropped(mesh, first, node, "toobig", mesh.stranger.ip, addr, 7300)
        assert not has_learned_mtu(mesh.stranger, node.ip)


@pytest.mark.parametrize("whose", ["a peer's", "a peer's at another address", "somebody's"])
def test_nor_by_a_connection_of_its_own_which_has_its_hosts_address_there(mesh, whose):
    node, peer = mesh.nodes
    other = mesh.stranger if whose == "somebody's" else peer
    target = "192.168.1.100" if "another" in whose else other.ip
    if target != other.ip:
        other.net("ip", "addr", "add", f"{target}/32", "dev", "eth0")
    try:
        assert_errors_dropped(mesh, mesh.containers[0], node, "answerbig", target)
    finally:
        if target != other.ip:
            other.net("ip", "addr", "del", f"{target}/32", "dev", "eth0")
    assert not has_learned_mtu(other, node.ip)


ASK_CLOSED = ("import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(5)\n"
              "s.connect((sys.argv[1], 9))\ns.send(b'x')\ntry:\n    s.recv(1)\nexcept ConnectionRefusedError:\n"
              "    print('closed')")


def test_a_containers_closed_port_is_told_to_hosts(mesh):
    for node in mesh.nodes:
        for container in mesh.containers[:2]:
            assert node.out("/usr/bin/python3", "-c", ASK_CLOSED, container.ip) == "closed\n"


def test_and_to_somebody_outside_who_has_a_route_to_it(mesh):
    node, first = mesh.nodes[0], mesh.containers[0]
    mesh.stranger.net("ip", "route", "add", "10.42.1.0/24", "via", node.ip)
    try:
        assert mesh.stranger.out("/usr/bin/python3", "-c", ASK_CLOSED, first.ip) == "closed\n"
    finally:
        mesh.stranger.net("ip", "route", "del", "10.42.1.0/24")


def test_loopback_is_reached_from_nowhere_though_somebody_has_set_route_localnet(mesh):
    for node in mesh.nodes:
        node.run("sysctl", "-q", "net.ipv4.conf.all.route_localnet=1")
    assert_dropped(mesh, mesh.nodes[1], "loopback", mesh.stranger, "to", underlay_mac(mesh.nodes[1]),
                   mesh.stranger.ip, "127.0.0.1", target=mesh.nodes[1])
    first = mesh.containers[0]
    assert_dropped(mesh, mesh.nodes[0], "loopback", first, "frame", first.ip, "127.0.0.1", target=mesh.nodes[0])


def test_all_of_it_stands_while_the_runtime_is_dead(mesh):
    runtime = mesh.runtimes["node2"]
    runtime.kill()
    assert arrived(mesh, mesh.stranger, *vxlan_words(mesh, mesh.containers[0].ip)) == 0
    runtime.start().wait_ready()
    assert_dropped(mesh, mesh.nodes[1], "no_peer", mesh.stranger, *vxlan_words(mesh, mesh.containers[0].ip))


# ---- VXLAN of a container --------------------------------------------------------------------


@pytest.mark.parametrize("host", ["192.168.1.11", "192.168.1.11:8472", "192.168.1.10", "192.168.1.66", "10.42.2.0",
                                  "10.42.2.1"])
def test_vxlan_made_by_a_container_is_dropped_though_its_host_is_a_peer(mesh, host):
    first = mesh.containers[0]
    assert_dropped(mesh, mesh.nodes[0], "vxlan_of_container", first, "vxlan", host, *vxlan_words(mesh, first.ip)[2:])


def test_and_at_another_port_too_for_what_arrives_may_have_another_than_what_was_seen(mesh):
    first = mesh.containers[0]
    assert_dropped(mesh, mesh.nodes[0], "vxlan_of_container", first, "vxlan", "192.168.1.66:5000",
                   *vxlan_words(mesh, first.ip)[2:])


@pytest.mark.parametrize("form, reason", [("fragments", "vxlan_of_container"), ("options", "vxlan_of_container"),
                                          ("ipip", "tunnel")])
def test_and_nothing_hides_its_port(mesh, form, reason):
    first = mesh.containers[0]
    assert_dropped(mesh, mesh.nodes[0], reason, first, form, first.ip, *vxlan_words(mesh, first.ip)[1:])


def test_and_not_when_another_table_has_changed_the_port_to_vxlans(mesh):
    first, node = mesh.containers[0], mesh.nodes[0]
    node.run("nft", "add table ip foreign; add chain ip foreign pre { type nat hook prerouting priority -100 ; }; "
             f"add rule ip foreign pre udp dport {PORT} dnat to 192.168.1.66:4789")
    assert_dropped(mesh, node, "vxlan_of_container", first, "ip", first.ip, "192.168.1.66")
    node.run("nft", "delete table ip foreign")


# ---- pretending ------------------------------------------------------------------------------


def test_a_container_can_send_raw_packets_in_its_own_name(mesh):
    first, second = mesh.containers[:2]
    assert arrived(mesh, first, "ip", first.ip, second.ip) == COUNT


@pytest.mark.parametrize("source", ["10.42.1.200", "10.42.2.200", "192.168.1.10", "8.8.8.8", "10.42.1.2", "10.42.1.0"])
def test_a_containers_forged_source_is_dropped(mesh, source):
    assert mesh.neighbour.ip == "10.42.1.2"
    assert_dropped(mesh, mesh.nodes[0], "forged_source", mesh.containers[0], "ip", source, mesh.containers[1].ip)


@pytest.mark.parametrize("source, target", [
    ("0.0.0.0", "255.255.255.255"), ("127.0.0.1", "192.168.1.10"), ("127.0.0.1", "127.0.0.1"),
    ("10.42.1.0", "192.168.1.10"), ("169.254.1.1", "192.168.1.10"), ("192.168.1.11", "192.168.1.10")])
def test_what_a_host_would_take_for_its_own_or_for_nobodys_is_dropped(mesh, source, target):
    assert_dropped(mesh, mesh.nodes[0], "forged_source", mesh.containers[0], "frame", source, target,
                   target=mesh.nodes[0])


@pytest.mark.parametrize("target", ["10.42.2.1", "10.42.1.2", "192.168.1.66"])
def test_a_containers_forged_mac_is_dropped(mesh, target):
    first = mesh.containers[0]
    assert_dropped(mesh, mesh.nodes[0], "forged_mac", first, "mac", first.ip, target)


@pytest.mark.parametrize("target", ["192.168.1.10", "10.42.1.0", "169.254.1.1", "10.42.2.1"])
def test_arp_from_a_container_teaches_its_host_nothing(mesh, target):
    node = mesh.nodes[0]

    def neighbours():
        return node.net("ip", "-4", "neigh", "show", "dev", "qv0a2a0101", "nud", "all").stdout

    before, seen = neighbours(), drops(node)
    assert before.startswith(f"{mesh.containers[0].ip} ")
    forge(mesh, mesh.containers[0], "arp", "203.0.113.1", target, PORT, COUNT)
    assert neighbours() == before
    assert difference(seen, drops(node)) == {"arp": COUNT}


@pytest.mark.parametrize("kind, reason", [("answers", "arp"), ("vlan", "vlan"), ("qinq", "vlan"),
                                          ("lldp", "frame"), ("stp", "frame")])
def test_a_containers_frames_are_ipv4_or_dropped(mesh, kind, reason):
    node, first = mesh.nodes[0], mesh.containers[0]
    words = [first.ip, "255.255.255.255", PORT, COUNT] if kind == "vlan" else [COUNT]
    before = drops(node)
    forge(mesh, first, kind, *words)
    assert difference(before, drops(node)) == {reason: COUNT}
    assert ping(first, mesh.containers[1].ip)


def test_a_container_that_comes_and_goes_takes_its_filters_along(mesh):
    node = mesh.nodes[0]
    guest = mesh.add_container(node, "e1")
    name = "qv" + "".join(f"{int(octet):02x}" for octet in guest.ip.split("."))
    assert ping(guest, mesh.containers[1].ip)
    before = drops(node)
    forge(mesh, guest, "ra", COUNT)
    assert difference(before, drops(node))["ipv6"] >= COUNT
    assert name in node.out("nft", "list", "ruleset")
    node.out("quiltctl", "endpoint", "detach", guest.name)
    mesh.containers.remove(guest)
    wait_for(lambda: name not in node.out("nft", "list", "ruleset"), 5, "its chain and its element to be gone")


# ---- what a container reaches ----------------------------------------------------------------


def scan(mesh, target, *last):
    first = mesh.containers[0]
    return json.loads(first.out("/usr/bin/python3", "-B", mesh.lab.tool("scan.py"), first.ip, target, *last))


def test_a_scan_finds_what_is_there(mesh):
    mesh.stranger.start(LISTEN, "ssh").wait_log("listening")
    found = scan(mesh, mesh.stranger.ip, 40)
    assert found["tcp open"] == {"count": 1, "first": [22]}
    assert found["tcp closed"]["count"] == 39


@pytest.mark.parametrize("target", ["192.168.1.10", "10.42.1.0", "169.254.1.1", "192.168.1.11", "10.42.2.0",
                                    "169.254.169.254"])
def test_a_scan_of_the_hosts_finds_nothing(mesh, target):
    assert scan(mesh, target, mesh.last_port) == {}


def test_pings_and_answers_are_let_through(mesh):
    first = mesh.containers[0]
    for target in ("192.168.1.10", "10.42.1.0", "192.168.1.11", "10.42.2.0", mesh.stranger.ip):
        assert ping(first, target), target
    server = first.start(LISTEN, "ssh").wait_log("listening")
    for node in mesh.nodes:  # and a host reaches a container, near or far
        node.run("/usr/bin/python3", "-c", f"import socket; socket.create_connection(('{first.ip}', 22), 5)")
    server.cease()


def test_what_the_operator_opens_is_found_and_nothing_else(mesh):
    with opened(mesh, "22/tcp,7/udp"):
        for target in ("192.168.1.10", "10.42.2.0", "192.168.1.11"):
            found = scan(mesh, target, 2000)
            assert found["tcp open"] == {"count": 1, "first": [22]}, target
            assert found["udp closed"] == {"count": 1, "first": [7]}, target
            assert len(found) == 2
    wait_for(lambda: "tcp open" not in scan(mesh, "192.168.1.10", 100), 5, "the port to be shut again")


def test_an_operator_sees_what_was_dropped(mesh):
    forge(mesh, mesh.containers[0], "ip", "8.8.8.8", mesh.containers[1].ip, PORT, COUNT)
    text = mesh.nodes[0].out("quiltctl", "status")
    assert re.search(r"^firewall +ok +dropped: .*forged_source \d+", text, re.MULTILINE)
