"""The two data paths carry the same: odd packets through both, and the same comes out, byte by byte.
And the fast path's records follow what changes beneath them."""
import json
import re
import signal
import struct
import time

import pytest

from lab import kernel
from lab.traffic import Flow, ping, transfer
from lab.wait import wait_for

PORT = 7300
FIGURE = re.compile(r"^quilt_agent_fastpath_(tx|rx)_packets_total\{[^}]*\} (\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def meshes(module_bed):
    meshes = {}
    for dataplane in ("kernel", "ebpf"):
        mesh = module_bed.mesh(hosts=2, agent_options=f"--dataplane {dataplane}")
        mesh.neighbour = mesh.add_container(mesh.nodes[0], "d1")
        for place in (*mesh.nodes, *mesh.containers):  # errors are compared one by one
            place.run("sysctl", "-q", "net.ipv4.icmp_ratelimit=0")
        wait_for(lambda mesh=mesh: all(ping(mesh.containers[0], c.ip) for c in mesh.containers[1:]), 10, "pings")
        meshes[dataplane] = mesh
    return meshes


@pytest.fixture
def mesh(meshes):
    return meshes["ebpf"]


def metrics(node):
    return node.out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9180/metrics")


def carried(node):
    """Packets that this node has sent to and taken from its peers by the fast path."""
    counts = FIGURE.findall(metrics(node))
    return {way: sum(int(n) for name, n in counts if name == way) for way in ("tx", "rx")}


def passed(node, reason):
    return int(re.search(rf'passed_total\{{reason="{reason}"\}} (\d+)', metrics(node))[1])


def watching(place):
    return place.start(["/usr/bin/python3", "-B", str(place.lab.tool("odd.py")), "watch", str(PORT)],
                       f"watch-{place.name}").wait_log("watching")


def seen(watcher):
    watcher.wait_end(30)
    return json.loads(watcher.log().splitlines()[-1])


def odd(mesh, place, *words):
    place.run("/usr/bin/python3", "-B", mesh.lab.tool("odd.py"), *words)


def odd_of(mesh):
    """What arrives at the far container, at the neighbour, and back at the sender (errors, answers)."""
    first, second = mesh.containers[:2]
    watchers = [watching(place) for place in (second, mesh.neighbour, first)]
    odd(mesh, first, "frames", "02:51:0a:2a:01:01", first.ip, second.ip, mesh.neighbour.ip)
    return [seen(watcher) for watcher in watchers]


def packets(said):
    return [bytes.fromhex(frame)[14:] for frame in said["frames"]]


def has(said, name):
    return any(b"quilt-odd-" + name.encode() in packet for packet in packets(said))


def assert_same(by_ebpf, by_kernel):
    """What comes in, byte by byte, and what of it a program gets."""
    assert packets(by_ebpf) == packets(by_kernel)
    assert by_ebpf["taken"] == by_kernel["taken"]


def test_a_containers_odd_packets_fare_the_same_by_both_paths(meshes):
    before = carried(meshes["ebpf"].nodes[0])
    outcomes = {name: odd_of(mesh) for name, mesh in meshes.items()}
    for by_kernel, by_ebpf in zip(outcomes["kernel"], outcomes["ebpf"]):
        assert len(packets(by_kernel)) > 5
        assert_same(by_ebpf, by_kernel)
    far, near, back = outcomes["kernel"]
    assert len(packets(far)) > 20 and len(packets(near)) > 20
    for said, kind in ((far, "far"), (near, "near")):
        assert f"quilt-odd-{kind}-plain" in said["taken"] and f"quilt-odd-{kind}-bad-udp-sum" not in said["taken"]
    assert has(far, "far-too-big") and has(near, "near-exceeded"), "errors of containers pass"
    assert has(back, "far-ttl1") and has(back, "far-ttl2") and has(back, "far-echo"), "the sender hears of it"
    assert not has(far, "ip6") and not has(far, "multicast")
    assert carried(meshes["ebpf"].nodes[0])["tx"] > before["tx"] + 8


def test_a_peers_odd_vxlan_fares_the_same_by_both_paths(meshes):
    outcomes = {}
    before = carried(meshes["ebpf"].nodes[1])
    for name, mesh in meshes.items():
        first, second = mesh.containers[:2]
        watchers = [watching(second), watching(first)]
        odd(mesh, mesh.nodes[0], "vxlan", mesh.nodes[1].ip, first.ip, second.ip)
        outcomes[name] = [seen(watcher) for watcher in watchers]
    for by_kernel, by_ebpf in zip(outcomes["kernel"], outcomes["ebpf"]):
        assert_same(by_ebpf, by_kernel)
    there, back = outcomes["kernel"]
    assert len(packets(there)) > 25
    assert has(there, "bad-udp-sum") and "quilt-odd-bad-udp-sum" not in there["taken"]
    assert "quilt-odd-plain" in there["taken"]
    assert has(there, "too-big") and has(back, "echo") and has(back, "ttl1")
    assert not any(has(there, name) for name in ("outer-spoofed", "inner-ip6", "inner-multicast", "inner-nobody"))
    assert carried(meshes["ebpf"].nodes[1])["rx"] > before["rx"] + 15


def test_an_oversize_packet_fares_the_same_by_both_paths(meshes):
    outcomes, before = {}, passed(meshes["ebpf"].nodes[0], "oversize")
    for name, mesh in meshes.items():
        first, second = mesh.containers[:2]
        node, peer = mesh.nodes
        node.net("ip", "route", "add", f"{peer.ip}/32", "dev", "eth0", "mtu", "1300")
        wait_for(lambda node=node: "mtu 1250" in node.net("ip", "route", "show", "10.42.2.0/24").stdout, 5,
                 "the peer's route to follow")
        watchers = [watching(second), watching(first)]
        odd(mesh, first, "long", "02:51:0a:2a:01:01", first.ip, second.ip)
        outcomes[name] = [seen(watcher) for watcher in watchers]
        node.net("ip", "route", "del", f"{peer.ip}/32")
    for by_ebpf, by_kernel in zip(outcomes["ebpf"], outcomes["kernel"]):
        assert_same(by_ebpf, by_kernel)
    assert passed(meshes["ebpf"].nodes[0], "oversize") == before + 3, "all but the one that just fits"
    there, back = outcomes["kernel"]
    assert has(there, "long-exact-df") and not has(there, "long-df") and not has(there, "long-one-more-df")
    assert len(packets(there)) == 2, "the other is the part of the one that may be cut which bears the mark"
    too_big = [packet for packet in packets(back) if packet[20:22] == b"\x03\x04"]
    assert [int.from_bytes(packet[26:28], "big") for packet in too_big] == [1250, 1250]


@pytest.mark.parametrize("reason", ["fragment", "options", "ttl", "forged", "vxlan", "odd", "no_target"])
def test_what_is_left_to_the_kernel_is_counted_with_its_reason(mesh, reason):
    assert passed(mesh.nodes[0], reason) > 0


def test_the_runtime_counts_what_each_endpoint_sends_and_gets(mesh):
    def count(way):
        text = mesh.nodes[0].out("curl", "-sS", "-f", "-m", "5", "http://127.0.0.1:9181/metrics")
        return int(re.search(rf'fastpath_{way}_packets_total\{{ip="{mesh.containers[0].ip}"\}} (\d+)', text)[1])

    before = {way: count(way) for way in ("tx", "rx")}
    assert ping(mesh.containers[0], mesh.containers[1].ip, count=5)
    assert {way: count(way) - before[way] for way in ("tx", "rx")} == {"tx": 5, "rx": 5}


def test_the_overlay_device_carries_nothing_of_a_plain_transfer(mesh):
    def overlay_packets():
        link = json.loads(mesh.nodes[0].net("ip", "-j", "-s", "link", "show", "vxlan100").stdout)[0]
        return link["stats64"]["tx"]["packets"] + link["stats64"]["rx"]["packets"]

    before, before_tx = overlay_packets(), carried(mesh.nodes[0])["tx"]
    transfer(mesh.containers[0], mesh.containers[1], 20_000_000)
    transfer(mesh.containers[0], mesh.neighbour, 20_000_000)
    assert overlay_packets() - before < 500, "more than the agents' own probes"
    assert carried(mesh.nodes[0])["tx"] > before_tx + 10_000


def test_packets_flow_on_while_agent_and_runtime_are_killed_and_start_anew(mesh):
    node = mesh.nodes[0]
    with Flow(mesh.containers[0], mesh.containers[1]) as there, \
            Flow(mesh.containers[1], mesh.containers[0], port=7011) as back:
        before = carried(node)["tx"]
        for daemon in (mesh.agents["node1"], mesh.runtimes["node1"]):
            daemon.kill()
            daemon.start().wait_ready()
        assert carried(node)["tx"] > before
    assert there.lost == 0, there.report
    assert back.lost == 0, back.report


def test_an_endpoint_that_comes_back_while_the_agent_is_away_is_found_at_its_new_place(mesh):
    second, node = mesh.containers[1], mesh.nodes[1]
    agent = mesh.agents["node2"]
    agent.kill()
    node.out("quiltctl", "endpoint", "detach", second.name)
    assert not ping(mesh.containers[0], second.ip, deadline_s=1)
    node.out("quiltctl", "endpoint", "attach", second.name, second.netns, "--ip", second.ip)
    assert ping(mesh.containers[0], second.ip)
    agent.start().wait_ready()


def test_a_new_mac_address_of_a_peers_underlay_device_stops_nothing(mesh):
    mesh.nodes[1].run("sysctl", "-q", "net.ipv4.conf.eth0.arp_notify=1")  # as hosts do that change theirs
    mesh.nodes[1].net("ip", "link", "set", "eth0", "address", "02:00:00:00:77:77")
    wait_for(lambda: ping(mesh.containers[0], mesh.containers[1].ip), 5, "a ping after the change")


def record_of(node, name, index):
    key = [str(byte) for byte in index.to_bytes(4, "little")]
    told = json.loads(node.out("/usr/sbin/bpftool", "-j", "map", "lookup", "pinned", f"/sys/fs/bpf/quilt/4/{name}",
                               "key", *key))
    return bytes(int(byte, 16) for byte in told["value"])


def beat(node):
    """The agent's latest one, and how many seconds ago it was."""
    number, at_ns = struct.unpack("<IQ", record_of(node, "config", 0)[36:48])
    return number, time.clock_gettime(time.CLOCK_BOOTTIME) - at_ns / 1e9


def next_hop(node, peer):
    """What the fast path knows of a peer as the next hop."""
    record = record_of(node, "hops",
                       int(peer.ip.rpartition(".")[2]) + 256 * int(peer.ip.split(".")[2]) & 4095)
    return {"addr": ".".join(map(str, record[:4])), "mac": record[8:14].hex(":"), "device_mac": record[14:20].hex(":"),
            "beat": int.from_bytes(record[20:24], "little")}


def known_mac(node, peer):
    """Of the next hop; None while it has no record, and the kernel is asked."""
    hop = next_hop(node, peer)
    return hop["mac"] if hop["addr"] == peer.ip else None


def mac_of(node):
    return json.loads(node.net("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]


def move(node, peer, mac):
    """The peer has another MAC address, and the node's kernel knows; nothing else is said on the wire."""
    peer.run("sysctl", "-q", "net.ipv4.conf.eth0.arp_notify=0")
    peer.net("ip", "link", "set", "eth0", "address", mac)
    node.net("ip", "neigh", "replace", peer.ip, "lladdr", mac, "dev", "eth0", "nud", "reachable")


def test_the_mac_address_of_a_next_hop_is_followed_at_once(mesh):
    node, peer = mesh.nodes
    first, second = mesh.containers[:2]
    assert ping(first, second.ip)
    want = {"addr": peer.ip, "mac": mac_of(peer), "device_mac": mac_of(node), "beat": 0}
    wait_for(lambda: next_hop(node, peer) | {"beat": 0} == want, 2, "the next hop's record, after a beat")
    before = carried(node)["tx"]
    move(node, peer, "02:00:00:00:77:78")
    wait_for(lambda: known_mac(node, peer) in (None, "02:00:00:00:77:78"), 0.5, "the old MAC address to be gone")
    assert ping(first, second.ip)
    assert carried(node)["tx"] > before
    wait_for(lambda: known_mac(node, peer) == "02:00:00:00:77:78", 2, "the next hop's new MAC address")
    node.net("ip", "neigh", "del", peer.ip, "dev", "eth0")
    assert ping(first, second.ip), "the kernel finds it again"
    wait_for(lambda: known_mac(node, peer) == "02:00:00:00:77:78", 3, "the next hop to be known again")


def test_the_kernel_is_asked_for_the_next_hop_each_second_and_always_while_the_agent_is_away(mesh):
    node, peer = mesh.nodes
    first, second = mesh.containers[:2]
    with Flow(first, second) as flow:
        beat = next_hop(node, peer)["beat"]
        wait_for(lambda: next_hop(node, peer)["beat"] not in (0, beat), 5, "a packet that asks")
    assert flow.lost == 0, flow.report
    agent = mesh.agents["node1"]
    agent.signal(signal.SIGSTOP)
    try:
        move(node, peer, "02:00:00:00:77:79")
        wait_for(lambda: ping(first, second.ip, deadline_s=1), 30, "the kernel's own neighbour entry to be used")
    finally:
        agent.signal(signal.SIGCONT)
    wait_for(lambda: known_mac(node, peer) == "02:00:00:00:77:79", 5, "the agent to follow")


def test_a_next_hop_that_was_idle_when_the_agent_went_away_is_asked_for(mesh):
    node, peer = mesh.nodes
    first, second = mesh.containers[:2]
    wait_for(lambda: beat(node)[0] != next_hop(node, peer)["beat"], 5, "a beat that no packet has met")
    agent = mesh.agents["node1"]
    agent.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: beat(node)[1] > 2.5, 5, "the latest beat to be old")
        move(node, peer, "02:00:00:00:77:7a")
        assert ping(first, second.ip, count=20, deadline_s=1), "none by the address of before"
    finally:
        agent.signal(signal.SIGCONT)
    wait_for(lambda: known_mac(node, peer) == "02:00:00:00:77:7a", 5, "the agent to follow")


def test_a_next_hops_new_mac_address_is_found_when_the_kernel_has_told_too_much(mesh):
    node, peer = mesh.nodes
    agent = mesh.agents["node1"]
    agent.signal(signal.SIGSTOP)
    try:
        flood = node.lab.dir / "flood"
        flood.write_text("".join(f"neigh replace 192.0.2.1 lladdr 02:00:00:00:{i >> 8:02x}:{i & 255:02x} dev eth0\n"
                                 for i in range(30000)) + "neigh del 192.0.2.1 dev eth0\n")
        node.net("ip", "-batch", flood)
        move(node, peer, "02:00:00:00:77:7b")
    finally:
        agent.signal(signal.SIGCONT)
    wait_for(lambda: known_mac(node, peer) == "02:00:00:00:77:7b", 5, "the agent to follow")


def test_the_way_to_a_peer_follows_its_route(mesh):
    node, peer = mesh.nodes
    before = passed(node, "no_way")
    node.net("ip", "route", "add", f"{peer.ip}/32", "nexthop", "via", peer.ip, "dev", "eth0", "onlink", "nexthop",
             "via", peer.ip, "dev", "eth0", "onlink")
    wait_for(lambda: ping(mesh.containers[0], mesh.containers[1].ip) and passed(node, "no_way") > before, 5,
             "packets to be left to the kernel, whose route has two ways")
    node.net("ip", "route", "del", f"{peer.ip}/32")
    start = carried(node)["tx"]
    wait_for(lambda: ping(mesh.containers[0], mesh.containers[1].ip) and carried(node)["tx"] > start, 5,
             "the fast path to come back")


def test_a_smaller_mtu_of_the_way_is_told_to_the_sender(mesh):
    first, second = mesh.containers[:2]
    node, peer = mesh.nodes
    node.net("ip", "route", "add", f"{peer.ip}/32", "dev", "eth0", "mtu", "1300")
    before = passed(node, "oversize")
    wait_for(lambda: first.run("ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "dont", "-s", "1400", second.ip,
                               check=False) and passed(node, "oversize") > before, 5, "an oversize packet to pass")
    node.net("ip", "route", "del", f"{peer.ip}/32")
    wait_for(lambda: ping(first, second.ip), 5, "a ping")


def test_a_peer_that_leaves_is_forgotten_and_one_that_returns_is_found(mesh):
    agent = mesh.agents["node2"]
    agent.stop()
    peer = mesh.listed()["node2"]
    mesh.nodes[0].run("curl", "-sS", "-f", "-X", "POST", f"{mesh.control_url}/api/nodes/{peer['node_id']}/deregister")
    wait_for(lambda: "quilt_agent_fastpath_peers 0" in metrics(mesh.nodes[0]), 5, "no peer in the fast path")
    agent.start().wait_ready()
    wait_for(lambda: ping(mesh.containers[0], mesh.containers[1].ip), 10, "the peer to be back")
    wait_for(lambda: "quilt_agent_fastpath_peers 1" in metrics(mesh.nodes[0]), 5, "the peer in the fast path")


def test_ipsec_policies_switch_it_off(mesh):
    node = mesh.nodes[0]
    node.net("ip", "xfrm", "policy", "add", "src", "192.0.2.1/32", "dst", "192.0.2.2/32", "dir", "out", "tmpl",
             "proto", "esp", "mode", "transport")
    wait_for(lambda: "quilt_agent_fastpath_used 0" in metrics(node), 5, "the fast path to be off")
    start = carried(node)["tx"]
    assert ping(mesh.containers[0], mesh.containers[1].ip)
    assert carried(node)["tx"] == start
    node.net("ip", "xfrm", "policy", "flush")
    wait_for(lambda: "quilt_agent_fastpath_used 1" in metrics(node), 5, "the fast path to be on")


def failures(node):
    return int(re.search(r"^quilt_agent_fastpath_failures_total (\d+)$", metrics(node), re.MULTILINE)[1])


def wait_failures(node, count, deadline_s):
    wait_for(lambda: failures(node) >= count, deadline_s, lambda: f"{count} failures, not {failures(node)}")


def test_what_keeps_failing_is_tried_less_and_less_until_something_changes(mesh):
    node = mesh.nodes[0]
    start = failures(node)
    node.run("mount", "--bind", "/dev/null", "/proc/sys/net/ipv4/ip_local_port_range")
    try:
        node.net("ip", "link", "set", "eth0", "alias", "once")
        wait_failures(node, start + 1, 5)
        begun = time.monotonic()
        wait_failures(node, start + 5, 20)
        assert time.monotonic() - begun > 4.5, "no longer once a second"
        wait_failures(node, start + 6, 20)
        count = failures(node)
        node.net("ip", "link", "set", "eth0", "alias", "twice")
        wait_failures(node, count + 3, 5)
    finally:
        node.run("umount", "/proc/sys/net/ipv4/ip_local_port_range")
    node.net("ip", "link", "set", "eth0", "alias", "whole")
    wait_for(lambda: "quilt_agent_fastpath_used 1" in metrics(node), 5, "the fast path to be on")


def test_pins_that_are_removed_by_hand_come_back(mesh):
    node = mesh.nodes[0]
    first, second = mesh.containers[:2]
    for what in ("/sys/fs/bpf/quilt", "/sys/fs/bpf/quilt/4/hops"):
        with Flow(first, second) as flow:
            node.run("rm", "-r", what)
            wait_for(lambda: node.run("test", "-e", "/sys/fs/bpf/quilt/4/to_container", check=False).returncode == 0
                     and node.run("test", "-e", "/sys/fs/bpf/quilt/4/hops", check=False).returncode == 0, 1, "pins")
            start = carried(node)["tx"]
            wait_for(lambda: carried(node)["tx"] > start, 1, "their use")
        assert flow.lost == 0, flow.report
    mesh.runtimes["node1"].kill()
    mesh.runtimes["node1"].start().wait_ready()
    start = carried(node)["tx"]
    assert ping(first, second.ip) and carried(node)["tx"] > start


def test_a_fight_over_the_pins_is_told_once_and_loses_nothing(mesh):
    """Who removes them as often as they come back is not worth a busy machine."""
    node, agent = mesh.nodes[0], mesh.agents["node1"]
    first, second = mesh.containers[:2]
    earlier = agent.log().count("it is loaded anew")
    with Flow(first, second) as flow:
        node.run("timeout", "8", "sh", "-c", "while rm -rf /sys/fs/bpf/quilt; do sleep 0.02; done", check=False)
    assert flow.lost == 0, flow.report
    assert 10 <= agent.log().count("it is loaded anew") - earlier <= 18  # ten at once, and then 0.1, 0.2, 0.4 ... s apart
    assert agent.log().count("somebody keeps removing the fast path's pins") == 1
    wait_for(lambda: node.run("test", "-e", "/sys/fs/bpf/quilt/4/to_container", check=False).returncode == 0, 8, "pins")
    wait_for(lambda: ping(first, second.ip) and carried(node)["tx"] > 0, 15, "their use")


def test_dataplane_kernel_takes_all_of_it_away_and_loses_nothing(meshes):
    mesh = meshes["ebpf"]
    node, agent = mesh.nodes[0], mesh.agents["node1"]
    with Flow(mesh.containers[0], mesh.containers[1]) as flow:
        agent.stop()
        agent.argv[agent.argv.index("ebpf")] = "kernel"
        agent.start().wait_ready()
        wait_for(lambda: node.run("test", "-e", "/sys/fs/bpf/quilt", check=False).returncode == 1, 5, "no pins")
    assert flow.lost == 0, flow.report
    assert "tcx" not in node.out("sh", "-c", "/usr/sbin/bpftool net show || true")
    assert ping(mesh.containers[0], mesh.containers[1].ip)
    assert kernel.overlay_link(node)["operstate"]
