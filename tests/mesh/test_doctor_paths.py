"""quiltctl doctor on the ways to the peers, and on what stands across them."""
import contextlib

import pytest

from doctor import causes, doctor, fault, mac_of, nft, only_finding, wait_healthy, wall


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, control_options="--node-timeout 20s --node-prefix 28")


def test_a_firewall_of_this_host_is_named_with_its_table(mesh):
    node = mesh.nodes[0]
    with wall(node, "add chain inet lab_wall in { type filter hook input priority 5; }",
              "add rule inet lab_wall in udp dport 4789 drop"):
        found = only_finding(node)
    assert found["cause"] == "vxlan-dropped-here"
    assert "inet lab_wall" in found["what"] and "reaches" in found["shows"]


def test_an_input_policy_without_our_port_is_named(mesh):
    node = mesh.nodes[0]
    with wall(node, "add chain inet lab_wall in { type filter hook input priority 5; }",
              "add rule inet lab_wall in ip protocol icmp accept",
              "add rule inet lab_wall in tcp dport 1-65535 accept",
              "add rule inet lab_wall in ct state established accept",
              "add chain inet lab_wall in { policy drop; }"):
        found = only_finding(node)
    assert found["cause"] == "vxlan-dropped-here"
    assert "policy" in found["shows"]


@pytest.mark.parametrize("hook", ["output", "postrouting"])
def test_a_firewall_that_lets_no_vxlan_out_is_named(mesh, hook):
    node = mesh.nodes[0]
    with wall(node, f"add chain inet lab_wall out {{ type filter hook {hook} priority 5; }}",
              "add rule inet lab_wall out udp dport { 4788, 4789 } drop"):
        found = only_finding(node)
    assert found["cause"] == "vxlan-dropped-here"
    assert "does not come back" in found["shows"]


def test_a_filter_at_this_hosts_own_device_is_not_said_to_be_over_there(mesh):
    """Answers are heard before it."""
    node = mesh.nodes[0]
    nft(node, "add table netdev lab_wall",
        "add chain netdev lab_wall c { type filter hook ingress device eth0 priority 0; }",
        "add rule netdev lab_wall c udp dport 4789 drop")
    try:
        found = only_finding(node)
        node.run("sh", "-c", found["mend"])
        wait_healthy(node)
    finally:
        node.net("nft", "delete", "table", "netdev", "lab_wall")
    assert found["cause"] == "vxlan-dropped-here"
    assert "netdev lab_wall" in found["what"] and "reaches" in found["shows"]


def test_what_a_switch_floods_to_all_has_not_reached_this_host(mesh):
    """Frames for a MAC address that nobody has come to every port."""
    node, peer = mesh.nodes
    with fault(node, [f"ip neigh replace {peer.ip} lladdr 02:00:00:00:00:99 dev eth0 nud permanent"],
               [f"ip neigh del {peer.ip} dev eth0"]):
        assert "vxlan-dropped-here" not in causes(peer)
    wait_healthy(peer)


@contextlib.contextmanager
def fabric(mesh, rule):
    """What the network between the hosts does: the switch's bridge filters."""
    switch = mesh.lab.switch
    try:
        nft(switch, "add table bridge lab_fabric",
            "add chain bridge lab_fabric f { type filter hook forward priority 0; }",
            f"add rule bridge lab_fabric f {rule} drop")
        yield
    finally:
        switch.net("nft", "delete", "table", "bridge", "lab_fabric")
    wait_healthy(mesh.nodes[0])


@pytest.mark.parametrize("direction", ["saddr", "daddr"])
def test_a_network_that_drops_vxlan_in_one_direction_is_told_from_a_dead_host(mesh, direction):
    node, peer = mesh.nodes
    with fabric(mesh, f"ip {direction} {peer.ip} udp dport 4789"):
        found = only_finding(node)
    assert found["cause"] == "vxlan-lost"
    assert f"{peer.name} ({peer.ip})" in found["what"]


def test_a_host_that_is_cut_off_is_unreachable(mesh):
    node, peer = mesh.nodes
    with fabric(mesh, f"ip daddr {peer.ip}"):
        assert only_finding(node)["cause"] == "peer-unreachable"


@pytest.mark.parametrize("make, mend", [
    ("ip route add blackhole {ip}/32", "if nothing needs it: ip route del blackhole {ip}/32"),
    ("ip neigh replace {ip} lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
     "if that is wrong (ip link over there tells it): ip neigh del {ip} dev eth0")])
def test_what_this_host_itself_does_to_the_way_to_a_peer_is_named_and_its_mend_can_be_typed(mesh, make, mend):
    node, peer = mesh.nodes
    node.run(make.format(ip=peer.ip))
    try:
        found = only_finding(node)
        assert found["cause"] == "peer-unreachable"
        told = found["mend"].split("; ")[0]
        assert told == mend.format(ip=peer.ip)
        node.run(told.rsplit(": ", 1)[1])
        wait_healthy(node)
    finally:
        node.run(mend.format(ip=peer.ip).rsplit(": ", 1)[1], check=False)
    wait_healthy(peer)


@pytest.mark.parametrize("kind", ["blackhole", "prohibit"])
def test_a_control_plane_that_a_route_keeps_from_this_host_is_not_said_to_answer_wrongly(mesh, kind):
    control, node = mesh.nodes
    with fault(node, [f"ip route add {kind} {control.ip}/32"], [f"ip route del {kind} {control.ip}/32"]):
        assert causes(node) == ["control-plane-away", "peer-unreachable"]
    wait_healthy(control)


def test_a_wrong_next_hop_to_a_peer_is_named(mesh):
    node, peer = mesh.nodes
    with fault(node, [f"ip route add {peer.ip}/32 via 192.168.1.99 dev eth0"], [f"ip route del {peer.ip}/32"]):
        found = only_finding(node)
    assert (found["cause"], found["shows"]) == (
        "peer-unreachable", "nobody answers ARP for 192.168.1.99 on eth0, by which this host sends to it")
    wait_healthy(peer)


def test_a_network_with_a_smaller_mtu_is_a_black_hole_with_its_size(mesh):
    node, switch = mesh.nodes[0], mesh.lab.switch
    switch.net("ip", "link", "set", "node1-eth0", "mtu", 1400)
    try:
        found = only_finding(node)
    finally:
        switch.net("ip", "link", "set", "node1-eth0", "mtu", 1500)
    assert found["cause"] == "mtu-black-hole"
    assert "1350 bytes pass, 1450 do not" in found["shows"]
    assert "mtu 1400" in found["mend"]
    wait_healthy(node)


def test_a_forward_policy_of_another_table_is_named_unless_it_lets_us_pass(mesh):
    node = mesh.nodes[0]
    with wall(node, "add chain inet lab_wall through { type filter hook forward priority 0; "
              "policy drop; }",
              "add rule inet lab_wall through ct state established accept"):
        found = only_finding(node)
        assert found["cause"] == "forward-policy-drop"
        for command in found["mend"].split("; "):
            node.run("sh", "-c", command)
        assert causes(node) == []


def test_a_last_rule_that_rejects_all_is_named_as_a_policy_would_be(mesh):
    """As firewalld does it."""
    node = mesh.nodes[0]
    with wall(node, "add chain inet lab_wall through { type filter hook forward priority 10; }",
              "add rule inet lab_wall through ct state { established, related } accept",
              "add rule inet lab_wall through reject with icmpx admin-prohibited"):
        found = only_finding(node)
        assert found["cause"] == "forward-policy-drop" and "a last rule" in found["shows"]
        for command in found["mend"].split("; "):
            node.run("sh", "-c", command)
        assert causes(node) == []
    with wall(node, "add chain inet lab_wall in { type filter hook input priority 10; }",
              "add rule inet lab_wall in ct state { established, related } accept",
              "add rule inet lab_wall in tcp dport { 22, 8080 } accept",
              "add rule inet lab_wall in icmp type echo-request accept",
              "add rule inet lab_wall in iifname lo accept",
              "add rule inet lab_wall in reject with icmpx admin-prohibited"):
        found = only_finding(node)
        assert found["cause"] == "vxlan-dropped-here" and "inet lab_wall" in found["what"]
        node.run("sh", "-c", found["mend"])
        wait_healthy(node)


def test_a_foreign_route_into_the_cluster_is_named(mesh):
    with fault(mesh.nodes[0], ["ip route add 10.42.128.0/17 via 192.168.1.99 dev eth0"],
               ["ip route del 10.42.128.0/17"]):
        found = only_finding(mesh.nodes[0])
        assert found["cause"] == "cidr-overlap"
        assert "10.42.128.0/17 dev eth0" in found["shows"]


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_route_without_a_device_is_named_and_its_mend_can_be_typed(mesh, kind):
    node, peer = mesh.nodes
    here, there = (next(c for c in mesh.containers if c.host is host) for host in (node, peer))
    with fault(node, [f"ip route add {kind} {there.ip}/32"], [f"ip route flush exact {there.ip}/32"]):
        found = only_finding(node)
        assert (found["cause"], found["shows"]) == ("cidr-overlap", f"{kind} {there.ip}/32 proto 3")
        traced = node.run("quiltctl", "trace", here.ip, there.ip, check=False).stdout
        assert f"BROKEN   route           there is no way to {there.ip}: " in traced
        node.run("sh", "-c", found["mend"].removeprefix("if nothing needs it: ").split(";")[0])
        assert causes(node) == []


def device_of(container):
    """The host's end."""
    return "qv" + "".join(f"{int(octet):02x}" for octet in container.ip.split("."))


def rule_found(node, rule):
    """What the doctor finds while a rule of another program is there; its mends are typed, one after the other."""
    node.run(f"ip rule add {rule}")
    try:
        found = only_finding(node)
        assert found["cause"] == "foreign-rule"
        remove, before = found["mend"].removeprefix("if nothing needs it: ").split("; otherwise let the mesh pass before it: ")
        node.run(before)
        wait_healthy(node)
        node.run(before.replace(" add ", " del "))
        assert causes(node) == ["foreign-rule"]
        node.run(remove)
    finally:
        node.run(f"ip rule del {rule}", check=False)
    wait_healthy(node)
    return found


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
def test_a_rule_that_swallows_the_mesh_is_named_and_its_mends_can_be_typed(mesh, kind):
    node = mesh.nodes[0]
    found = rule_found(node, f"pref 100 to 10.42.0.0/16 {kind}")
    assert "swallows packets of the mesh" in found["what"]
    assert f"pref 100 from all to 10.42.0.0/16 {kind}; a packet to 10.42.0." in found["shows"]
    # What comes from containers only, too.
    here = next(c for c in mesh.containers if c.host is node)
    found = rule_found(node, f"pref 100 iif {device_of(here)} {kind}")
    assert f"a packet from {here.ip} to 10.42.0." in found["shows"]


def test_a_rule_that_swallows_the_way_to_a_peers_host_is_named_instead_of_the_peer(mesh):
    node, peer = mesh.nodes
    found = rule_found(node, f"pref 100 to {peer.ip} ipproto udp dport 4789 blackhole")
    assert "VXLAN and all" in found["what"] and f"to {peer.ip} has no way" in found["shows"]


@contextlib.contextmanager
def table(node, route):
    """A table of another program."""
    node.run(f"ip route add {route} table 77")
    try:
        yield
    finally:
        node.run(f"ip route del {route} table 77")


@pytest.mark.parametrize("route, end", [("default via 192.168.1.99 dev eth0", "leaves by eth0"),
                                        ("unreachable default metric 7", "has no way")])
def test_a_rule_that_sends_the_mesh_to_another_table_is_named(mesh, route, end):
    with table(mesh.nodes[0], route):
        found = rule_found(mesh.nodes[0], "pref 100 to 10.42.0.0/16 lookup 77")
    assert "sends to the table 77" in found["what"] and found["shows"].endswith(end)


def test_a_table_that_knows_nothing_of_the_mesh_is_not_in_the_way(mesh):
    node = mesh.nodes[0]
    with table(node, "192.168.1.0/24 dev eth0"), fault(node, ["ip rule add pref 100 lookup 77"],
                                                       ["ip rule del pref 100 lookup 77"]):
        wait_healthy(node)


def test_strict_reverse_path_filtering_is_named(mesh):
    """The way to the peer leads over another port than its packets come by."""
    node, peer = mesh.nodes
    node.plug("192.168.77.10", ifname="eth1")
    node.ip = "192.168.1.10"
    with fault(node, [f"ip neigh replace {peer.ip} lladdr {mac_of(peer, 'eth0')} dev eth1",
                      f"ip route add {peer.ip}/32 dev eth1 src {node.ip}",
                      "sysctl -qw net.ipv4.conf.eth0.rp_filter=1"],
               ["ip link del eth1", "sysctl -qw net.ipv4.conf.eth0.rp_filter=0"]):
        peer.net("ip", "neigh", "replace", node.ip, "lladdr", mac_of(node, "eth0"), "dev", "eth0")
        found = only_finding(node)
    assert found["cause"] == "rp-filter"
    assert "eth0" in found["shows"]


@contextlib.contextmanager
def careless_card(mesh):
    """node1's cable gets a card that does not do what it promises."""
    switch, port = mesh.lab.switch, "node1-eth0"
    switch.net("ip", "link", "add", "lab_up", "type", "veth", "peer", "name", "lab_down")
    switch.net("ip", "link", "set", port, "nomaster")
    switch.net("ip", "link", "set", "lab_down", "master", "switch", "up")
    for device in ("lab_up", port):
        switch.net("ip", "link", "set", device, "up", "promisc", "on")
    card = switch.start(["/usr/bin/python3", str(mesh.lab.tool("careless_card.py")), port,
                         "lab_up"], "card").wait_log("listening")
    try:
        yield
    finally:
        card.kill()
        switch.net("ip", "link", "del", "lab_up")
        switch.net("ip", "link", "set", port, "master", "switch", "promisc", "off")


def test_checksums_that_a_card_does_not_compute_are_told_from_a_firewall_and_mended(mesh):
    node = mesh.nodes[0]
    with careless_card(mesh):
        found = only_finding(node)
        assert found["cause"] == "checksum-offload"
        report = doctor(node, "--fix")
        assert report["mended"] == ["switched the checksum offload of vxlan100 off"]
        assert report["findings"] == []
        assert doctor(node, "--fix")["mended"] == []
    wait_healthy(node)
