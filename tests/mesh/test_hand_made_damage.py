"""Someone deletes or alters what is ours: it is back within a second and traffic flows. What is not
ours stays as it is, byte for byte."""
import json
import signal
import time

import pytest

from lab import kernel
from lab.traffic import Flow, ping
from lab.wait import wait_for

BACK_S = 1.0
PEER_MAC = "02:51:0a:2a:02:00"
WRONG_MAC = "02:99:00:00:00:01"
DAMAGES = {
    "the overlay device is deleted": "ip link del vxlan100",
    "the overlay device is set down": "ip link set vxlan100 down",
    "the overlay device's MTU is altered": "ip link set vxlan100 mtu 1300",
    "the overlay device's MAC is altered": f"ip link set vxlan100 address {WRONG_MAC}",
    "the overlay address is deleted": "ip addr del 10.42.1.0/32 dev vxlan100",
    "a neighbour is deleted": "ip neigh del 10.42.2.0 dev vxlan100",
    "a neighbour is altered":
        f"ip neigh replace 10.42.2.0 lladdr {WRONG_MAC} dev vxlan100 nud permanent",
    "an FDB entry is deleted": f"bridge fdb del {PEER_MAC} dev vxlan100",
    "an FDB entry is altered": f"bridge fdb replace {PEER_MAC} dev vxlan100 dst 192.168.1.99",
    "an FDB entry is appended to": f"bridge fdb append {PEER_MAC} dev vxlan100 dst 192.168.1.99 "
                                   "self permanent",
    "an FDB entry is given another VNI and port":
        f"bridge fdb replace {PEER_MAC} dev vxlan100 dst 192.168.1.11 port 4790 vni 7 self "
        "permanent extern_learn",
    "an FDB entry is bound to a device":
        f"bridge fdb replace {PEER_MAC} dev vxlan100 dst 192.168.1.11 via eth0 self permanent "
        "extern_learn",
    "an FDB entry is made to age": f"bridge fdb replace {PEER_MAC} dev vxlan100 dst 192.168.1.11 "
                                   "self dynamic",
    "an FDB entry floods": "bridge fdb append 00:00:00:00:00:00 dev vxlan100 dst 192.168.1.11 "
                           "self permanent",
    "an FDB entry copies broadcasts": "bridge fdb append ff:ff:ff:ff:ff:ff dev vxlan100 dst "
                                      "192.168.1.11 self permanent",
    "an FDB entry of a MAC of nobody": f"bridge fdb add {WRONG_MAC} dev vxlan100 dst 192.168.1.11 "
                                       "self permanent",
    "a neighbour is made to age":
        f"ip neigh replace 10.42.2.0 lladdr {PEER_MAC} dev vxlan100 nud reachable",
    "a neighbour is a router's":
        f"ip neigh replace 10.42.2.0 lladdr {PEER_MAC} dev vxlan100 nud permanent router",
    "a VTEP address is a peer's": "ip addr add 10.42.2.0/32 dev vxlan100",
    "a route is deleted": "ip route del 10.42.2.0/24",
    "a container's route is deleted": "ip route del {container}/32 dev {veth}",
    "a container's device is set down": "ip link set {veth} down",
    "the firewall table is deleted": "nft delete table inet quilt",
    "the firewall table is emptied": "nft flush table inet quilt",
    "the firewall's endpoints are emptied": "nft flush set inet quilt endpoints",
    "the firewall's origins are emptied": "nft flush set inet quilt origins",
    "forwarding is switched off": "sysctl -w net.ipv4.ip_forward=0",
}
FOREIGN = (
    "ip link add foreign0 type veth peer name foreign1",
    "ip link set foreign0 up",
    "ip addr add 172.31.0.1/24 dev foreign0",
    "ip route add 10.99.0.0/16 via 172.31.0.2 dev foreign0 proto static",
    "ip route add 10.98.0.0/16 via 172.31.0.2 dev foreign0 proto bird metric 32",
    "ip neigh add 172.31.0.2 lladdr 02:aa:00:00:00:01 dev foreign0 nud permanent",
    "ip rule add from 172.31.0.0/24 lookup 77 priority 900",
    "ip link add vxlan7 type vxlan id 7 dstport 8472 local 192.168.1.10 nolearning",
    "bridge fdb add 02:aa:00:00:00:02 dev vxlan7 dst 192.168.1.50 self permanent",
    "nft add table inet foreign",
    "nft add chain inet foreign input { type filter hook input priority 10 ; }",
    "nft add rule inet foreign input counter accept",
)


def without_indices(value):
    """A dump in which a device that was made anew equals the old one."""
    if isinstance(value, dict):
        return {key: without_indices(item) for key, item in value.items()
                if key not in ("ifindex", "handle")}
    if isinstance(value, list):
        return sorted((without_indices(item) for item in value),
                      key=lambda item: json.dumps(item, sort_keys=True))
    return value


def ours(node):
    """The host's dump; comparable across new devices and tables."""
    return without_indices(kernel.dump(node))


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh()


def veth_of(node):
    return next(name for name in kernel.interfaces(node) if name.startswith("qv"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_undone_within_a_second(mesh, damage):
    node, (first, second) = mesh.nodes[0], mesh.containers[:2]
    command = DAMAGES[damage].format(container=first.ip, veth=veth_of(node))
    before = ours(node)
    node.net(*command.split())
    wait_for(lambda: ours(node) == before, BACK_S,
             lambda: "all to be as before: " + "\n".join(kernel.difference(before, ours(node))))
    assert ping(first, second.ip)
    assert ping(second, first.ip)


@pytest.mark.parametrize("way", ["dev eth0", "via 10.42.2.0 dev vxlan100 onlink"])
def test_a_foreign_route_in_the_place_of_ours_is_seen_within_a_second(mesh, way):
    """It stays, packets follow it, and when it goes ours comes back."""
    node = mesh.nodes[0]
    before = ours(node)

    def is_programmed():
        status = json.loads(node.out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9180/status"))
        return next(peer["programmed"] for peer in status["peers"] if peer["subnet"] == "10.42.2.0/24")

    def has_short_cut():
        return "10.42.2.0" in node.net("nft", "list", "map", "netdev", "quilt", "hops").stdout

    assert is_programmed() and has_short_cut()
    node.net("ip", "route", "replace", "10.42.2.0/24", *way.split(), "proto", "static")
    wait_for(lambda: not is_programmed() and not has_short_cut(), BACK_S,
             lambda: f"programmed: {is_programmed()}, short cut: {has_short_cut()}")
    assert "proto static" in node.net("ip", "route", "show", "10.42.2.0/24").stdout
    node.net("ip", "route", "del", "10.42.2.0/24", "proto", "static")
    wait_for(lambda: ours(node) == before and is_programmed(), BACK_S,
             lambda: "all to be as before: " + "\n".join(kernel.difference(before, ours(node))))
    assert ping(mesh.containers[0], mesh.containers[1].ip)


def frozen(mesh, node, *commands):
    """Damage of several steps that the agent sees only when it is whole."""
    mesh.agents[node.name].signal(signal.SIGSTOP)
    try:
        for command in commands:
            node.net(*command.split())
    finally:
        mesh.agents[node.name].signal(signal.SIGCONT)


@pytest.mark.parametrize("flags", ["permanent", "permanent extern_learn"])
def test_an_entry_that_points_to_a_nexthop_is_put_right(bed, flags):
    mesh = bed.mesh(hosts=2)
    node = mesh.nodes[0]
    before = ours(node)
    node.net(*"ip nexthop add id 10 via 192.168.1.77 fdb".split())
    node.net(*"ip nexthop add id 11 group 10 fdb".split())
    frozen(mesh, node, f"bridge fdb del {PEER_MAC} dev vxlan100",
           f"bridge fdb add {PEER_MAC} dev vxlan100 nhid 11 self {flags}")
    wait_for(lambda: ours(node)["fdb"] == before["fdb"], BACK_S, lambda: ours(node)["fdb"])
    assert ping(mesh.containers[0], mesh.containers[1].ip)


@pytest.mark.parametrize("commands", [
    ["ip link del vxlan100"],
    [f"bridge fdb del {PEER_MAC} dev vxlan100",
     f"bridge fdb add {PEER_MAC} dev vxlan100 dst 192.168.1.99 self permanent"],
], ids=["device", "FDB entry"])
def test_a_fight_leaves_nothing_half_repaired(bed, commands):
    """Patience with an object holds back all of its repair or nothing of it."""
    mesh = bed.mesh(hosts=2)
    node, agent = mesh.nodes[0], mesh.agents["node1"]
    before = ours(node)

    def is_whole():
        return ours(node) == before

    for _ in range(16):
        frozen(mesh, node, *commands)
        wait_for(is_whole, 10, lambda: "\n".join(kernel.difference(before, ours(node))))
    assert "another program keeps changing" in agent.log()
    assert "level=error" not in agent.log()


def test_a_repair_of_the_firewall_loses_no_packet(bed):
    mesh = bed.mesh(hosts=2, agent_options="--dataplane kernel")
    node, (first, second) = mesh.nodes[0], mesh.containers
    with Flow(first, second, per_second=5000) as there, Flow(second, first, per_second=5000, port=7011) as back:
        for _ in range(9):  # and no more at once: that would be a fight
            node.net("nft", "add chain inet quilt visitor")
            wait_for(lambda: "visitor" not in node.net("nft", "list", "table", "inet", "quilt").stdout, BACK_S, "a repair")
    for flow in (there, back):
        assert (flow.lost, flow.refused) == (0, 0), flow.report


def test_the_end_of_a_fight_is_told_and_not_before(bed):
    mesh = bed.mesh(hosts=2)
    node, agent = mesh.nodes[0], mesh.agents["node1"]

    def is_whole():
        return PEER_MAC in node.net("bridge", "fdb", "show", "dev", "vxlan100").stdout

    def fight_until(text):
        wait_for(is_whole, 10, "the entry")
        node.net("bridge", "fdb", "del", PEER_MAC, "dev", "vxlan100")
        return text in agent.log()

    wait_for(lambda: fight_until("another program keeps changing"), 10, agent.log_tail)
    begun = time.monotonic()
    while time.monotonic() - begun < 35:  # longer than a fight is remembered that is over
        wait_for(is_whole, 10, "the entry")
        node.net("bridge", "fdb", "del", PEER_MAC, "dev", "vxlan100")
    assert "overlay is left alone again" not in agent.log()
    agent.wait_log('level=info msg="overlay is left alone again" was="another program keeps changing', 60)


def test_foreign_objects_stay_byte_for_byte_through_damage_restarts_and_leaving(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    node = mesh.nodes[0]
    for command in FOREIGN:
        node.net(*command.split())
    before = kernel.dump(node)
    mesh.start_all()
    for daemon in mesh.daemons():
        daemon.kill()
        daemon.start().wait_ready()
    for damage in ("the overlay device is deleted", "the firewall table is deleted"):
        node.net(*DAMAGES[damage].split())
        mesh.wait_joined(deadline_s=5)
    mesh.agents[node.name].was_told_to_end = True
    node.run("quiltctl", "node", "leave")
    mesh.containers[0].host.run("ip", "netns", "del", mesh.containers[0].name)
    before.pop("sysctls")
    wait_for(lambda: kernel.difference(before, kernel.dump(node)) == [], 5,
             lambda: "only foreign state to be left: " +
             "\n".join(kernel.difference(before, kernel.dump(node))))


def test_reverse_path_filtering_is_loose_where_the_hosts_is_strict_and_off_where_not(mesh):
    """Loose costs a look-up of a route for each packet; the larger of the host's and the device's holds."""
    node = mesh.nodes[0]
    for host, device in ("1", "2"), ("0", "0"):
        node.net("sysctl", "-qw", f"net.ipv4.conf.all.rp_filter={host}")
        node.net(*DAMAGES["a route is deleted"].split())
        wait_for(lambda device=device: node.net("sysctl", "-n", "net.ipv4.conf.vxlan100.rp_filter").stdout.strip() ==
                 device, BACK_S, "the overlay's filter to follow")
        mesh.wait_joined(deadline_s=5)
        assert ping(mesh.containers[0], mesh.containers[1].ip)


def test_a_foreign_device_of_our_name_is_refused_and_not_deleted(bed):
    mesh = bed.mesh(hosts=1, is_started=False)
    node = mesh.nodes[0]
    node.net("ip", "link", "add", "vxlan100", "type", "bridge")
    before = kernel.overlay_link(node)
    mesh.start_control()
    mesh.start_runtime(node)
    agent = node.start(mesh.agent_command(node))
    wait_for(lambda: "vxlan100" in agent.log(), 10, agent.log_tail)
    assert kernel.overlay_link(node) == before
