"""quiltctl doctor names causes: each fault is made for real, its cause is named, and nothing else is; a
healthy mesh gets no finding."""
import contextlib
import json
import os
import re
import shutil
import signal
import time

import pytest

from certified import make_false_ca, status
from lab.mesh import PKI, TlsMesh
from lab.program import run
from lab.wait import wait_for

WHOLE_S = 10  # what the doctor may take


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, control_options="--node-timeout 20s --node-prefix 28")


def doctor(node, *options):
    begin = time.monotonic()
    done = node.run("quiltctl", "doctor", "-o", "json", *options, check=False)
    assert time.monotonic() - begin < WHOLE_S
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["healthy"] else 1), done.stderr
    return report


def causes(node):
    return [finding["cause"] for finding in doctor(node)["findings"]]


def wait_healthy(node):
    wait_for(lambda: not doctor(node)["findings"], 30,
             lambda: json.dumps(doctor(node), indent=1), 0.2)


@contextlib.contextmanager
def fault(node, make, mend):
    """Commands that break something and mend it; afterwards the node is healthy again."""
    try:
        for command in make:
            node.run(command)
        yield
    finally:
        for command in mend:
            node.run(command)
    wait_healthy(node)


def only_finding(node):
    report = doctor(node)
    assert len(report["findings"]) == 1, json.dumps(report, indent=1)
    return report["findings"][0]


def nft(node, *commands):
    for command in commands:
        node.net("nft", command)


@contextlib.contextmanager
def wall(node, *commands):
    """A firewall of another program."""
    try:
        nft(node, "add table inet lab_wall", *commands)
        yield
    finally:
        node.net("nft", "delete", "table", "inet", "lab_wall")
    wait_healthy(node)


def test_a_healthy_mesh_gets_no_finding(mesh):
    for node in mesh.nodes:
        wait_healthy(node)
        assert "Nothing is wrong" in node.out("quiltctl", "doctor")


@pytest.mark.parametrize("lacks, what", [("net_admin", "the firewall"), ("net_raw", "the ways to the peers")])
def test_what_may_not_be_looked_at_is_told_and_nothing_is_concluded_from_it(mesh, lacks, what):
    done = mesh.nodes[0].run("setpriv", "--bounding-set", f"-{lacks}", "quiltctl", "doctor", "-o", "json",
                             check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["healthy"]
    found = [f for f in report["findings"] if f["what"].startswith(what)]
    assert len(found) == 1 and {f["cause"] for f in report["findings"]} == {"not-tried"}, report
    assert "not permitted" in found[0]["shows"]


def test_without_root_daemons_that_may_not_be_asked_are_not_said_to_be_away(bed):
    """The runtime's socket is for root, and so is what tells who the control plane is."""
    socket = "unix:/run/quilt.sock"
    mesh = bed.mesh(hosts=1, kind=TlsMesh, is_started=False, runtime_options=f"--grpc-addr {socket}",
                    agent_options=f"--quilt-runtime {socket}")
    mesh.start_control()
    node = mesh.nodes[0]
    mesh.start_node(node)
    words = ["quiltctl", "--runtime", socket, "-o", "json", "doctor"]
    wait_for(lambda: json.loads(node.run(*words, check=False).stdout)["healthy"], 20, "root to find nothing")
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    found = json.loads(node.run(*nobody, *words, check=False).stdout)["findings"]
    assert {f["cause"] for f in found} == {"not-tried"}, found
    shown = {f["what"]: f["shows"] for f in found}
    assert "this user may not open the socket; be root" in shown["the runtime was not asked"]
    assert "is for root" in shown["the control plane was not asked"]
    status = node.run(*nobody, *words[:3], "status", check=False)
    assert status.returncode == 0, status.stdout
    assert re.search("^runtime +unknown +not asked", status.stdout, re.MULTILINE), status.stdout


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


def mac_of(node, name):
    return json.loads(node.net("ip", "-j", "link", "show", name).stdout)[0]["address"]


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


def test_a_subnet_that_is_nearly_full_is_named(mesh):
    node = mesh.nodes[0]
    names = [f"full{i}" for i in range(12)]
    for name in names:
        node.run("ip", "netns", "add", name)
        node.run("quiltctl", "endpoint", "attach", name, name)
    try:
        found = only_finding(node)
        assert found["cause"] == "addresses-low"
        assert "1 of 14 are free" in found["shows"]
    finally:
        for name in names:
            node.run("quiltctl", "endpoint", "detach", name)
            node.run("ip", "netns", "del", name)
    wait_healthy(node)


def test_a_full_disk_is_named(mesh):
    node = mesh.nodes[1]
    with fault(node, ["mount -t tmpfs -o size=1m tmpfs /var/lib/quilt-runtime"],
               ["umount /var/lib/quilt-runtime"]):
        found = only_finding(node)
    assert found["cause"] == "disk-full"
    assert "/var/lib/quilt-runtime" in found["what"]


def index_of(node, name):
    return json.loads(node.net("ip", "-j", "link", "show", name).stdout)[0]["ifindex"]


@pytest.fixture
def own_etc(mesh):
    """node1 has an /etc of its own while the test lasts."""
    node = mesh.nodes[0]
    copy = node.dir / "etc"
    if not copy.exists():
        shutil.copytree("/etc", copy, symlinks=True, ignore_dangling_symlinks=True)
    node.run("mount", "--bind", copy, "/etc")
    yield copy
    node.run("umount", "/etc")


@pytest.mark.parametrize("program", ["networkd", "NetworkManager"])
def test_a_program_that_manages_our_devices_is_named_and_told_not_to(mesh, own_etc, program):
    """By what the program itself leaves in /run for everybody to read."""
    node = mesh.nodes[0]
    is_networkd = program == "networkd"
    folder = "/run/systemd/netif/links" if is_networkd else "/run/NetworkManager/devices"
    line = "ADMIN_STATE=configured" if is_networkd else "managed=true"
    state = f"{folder}/{index_of(node, 'vxlan100')}"
    node.run("mkdir", "-p", folder)
    node.run("sh", "-c", f"echo '[device]' > {state}; echo {line} >> {state}")
    try:
        found = only_finding(node)
        assert found["cause"] == ("networkd-manages" if is_networkd else
                                  "network-manager-manages")
        assert "vxlan100" in found["shows"]
        assert len(doctor(node, "--fix")["mended"]) == 1
        assert doctor(node, "--fix")["mended"] == []
    finally:
        node.run("rm", state)
    path = own_etc / ("systemd/network/05-quilt.network" if is_networkd else
                      "NetworkManager/conf.d/90-quilt.conf")
    assert "vxlan100" in path.read_text() and "qv*" in path.read_text()
    wait_healthy(node)


def test_forwarding_that_is_off_is_mended(mesh, own_etc):
    """The runtime would switch it on again at once; so it must be away."""
    node = mesh.nodes[0]
    (own_etc / "sysctl.d/90-lab.conf").write_text("net/ipv4/ip_forward = 0\n")
    mesh.runtimes[node.name].stop()
    try:
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        report = doctor(node)
        found = {finding["cause"]: finding for finding in report["findings"]}
        assert sorted(found) == ["ip-forward-off", "runtime-away"]
        assert "/etc/sysctl.d/90-lab.conf" in found["ip-forward-off"]["shows"]
        report = doctor(node, "--fix")
        assert report["mended"] == [
            "set net.ipv4.ip_forward to 1",
            "wrote /etc/sysctl.d/99-zz-quilt.conf, which keeps net.ipv4.ip_forward at 1"]
        assert [f["cause"] for f in report["findings"]] == ["runtime-away"]
        assert node.out("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"
        assert "ip_forward = 1" in (own_etc / "sysctl.d/99-zz-quilt.conf").read_text()
        assert doctor(node, "--fix")["mended"] == []
    finally:
        mesh.runtimes[node.name].start().wait_ready()
    wait_healthy(node)


def test_a_remedy_that_fails_is_told_and_keeps_no_other_from_its_work(mesh, own_etc):
    """What was changed before it failed is told, too. In the way: directories where files should be."""
    node = mesh.nodes[0]
    state = f"/run/systemd/netif/links/{index_of(node, 'vxlan100')}"
    in_the_way = [own_etc / "systemd/network/05-quilt.network", own_etc / "sysctl.d/99-zz-quilt.conf"]
    for path in in_the_way:
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)
    mesh.runtimes[node.name].stop()
    try:
        node.run("mkdir", "-p", "/run/systemd/netif/links")
        node.run("sh", "-c", f"echo ADMIN_STATE=configured > {state}")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        report = doctor(node, "--fix")
        assert report["mended"] == ["set net.ipv4.ip_forward to 1"]
        assert sorted(f["cause"] for f in report["findings"]) == [
            "networkd-manages", "not-mended", "not-mended", "runtime-away"]
        failed = [f for f in report["findings"] if f["cause"] == "not-mended"]
        assert "networkd-manages" in failed[0]["what"] and "05-quilt.network" in failed[0]["shows"]
        assert "ip-forward-off" in failed[1]["what"] and "99-zz-quilt.conf" in failed[1]["shows"]
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        done = node.run("quiltctl", "doctor", "--fix", check=False)
        assert done.returncode == 1 and done.stdout.startswith("Mended: set net.ipv4.ip_forward to 1.\n")
        assert "warning: not-mended: " in done.stdout
    finally:
        node.run("rm", "-f", state)
        for path in in_the_way:
            path.rmdir()
        mesh.runtimes[node.name].start().wait_ready()
    wait_healthy(node)


def test_an_absent_control_plane_is_the_only_finding(mesh):
    mesh.control.kill()
    try:
        wait_for(lambda: causes(mesh.nodes[1]) == ["control-plane-away"], 20,
                 lambda: str(causes(mesh.nodes[1])), 0.2)
        assert "packets pass on, but" in only_finding(mesh.nodes[1])["what"]
    finally:
        mesh.control.start().wait_ready()
    wait_healthy(mesh.nodes[1])


@pytest.mark.parametrize("cause, make, mend", [
    ("host-ip-gone", "ip addr del {ip}/24 dev eth0", "ip addr add {ip}/24 dev eth0"),
    ("underlay-down", "ip link set eth0 down", "ip link set eth0 up")])
def test_what_is_broken_below_the_overlay_is_the_only_finding(mesh, cause, make, mend):
    """The control plane and the peer are away for it, which is not told."""
    node = mesh.nodes[1]
    with fault(node, [make.format(ip=node.ip)], [mend.format(ip=node.ip)]):
        found = only_finding(node)
        assert found["cause"] == cause and "eth0" in found["mend"]
        wait_for(lambda: status(node)["problems"], 30, lambda: str(status(node)))
        assert only_finding(node)["cause"] == cause


def test_a_cable_that_is_out_is_named(mesh):
    node = mesh.nodes[1]
    node.set_cable(False)
    try:
        wait_for(lambda: causes(node) == ["underlay-down"], 5, lambda: str(doctor(node)), 0.2)
        assert "no carrier" in only_finding(node)["shows"]
    finally:
        node.set_cable(True)
    wait_healthy(node)


def test_a_cable_that_is_out_is_nothing_where_another_leads_to_the_peers(mesh):
    peer, node = mesh.nodes
    node.plug("192.168.77.11", ifname="eth1")
    node.ip = "192.168.1.11"
    node.set_cable(False)
    try:
        node.run(f"ip route add {peer.ip}/32 dev eth1 src {node.ip}")
        peer.net("ip", "neigh", "flush", "dev", "eth0")
        wait_healthy(node)
    finally:
        node.net("ip", "link", "del", "eth1")
        node.set_cable(True)
        peer.net("ip", "neigh", "flush", "dev", "eth0")
    wait_healthy(node)


def test_what_this_host_cannot_show_is_not_blamed_on_the_control_plane(bed):
    mesh = bed.mesh(hosts=1, kind=TlsMesh)
    node = mesh.nodes[0]
    wait_healthy(node)
    for option, missing in (("--token-file", "/nowhere/token"), ("--tls-dir", "/nowhere")):
        done = node.run("quiltctl", option, missing, "-o", "json", "doctor", check=False)
        found = json.loads(done.stdout)["findings"]
        assert [f["cause"] for f in found] == ["not-tried"], found
        assert found[0]["what"] == "the control plane was not asked" and missing in found[0]["shows"]
        told = node.run("quiltctl", option, missing, "status", check=False)
        assert told.returncode == 1 and "not asked: what it would be shown is no good" in told.stdout
        assert missing in told.stdout


HEALTHY_BUT = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200 if self.path == "/health" else STATUS)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    do_GET = do_POST = answer
server = ThreadingHTTPServer(("127.0.0.1", 8082), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("status", [410, 500])
def test_a_control_plane_that_answers_the_agent_with_errors_is_not_said_to_be_away(mesh, status):
    node = mesh.nodes[1]
    played = node.start(["/usr/bin/python3", "-c", HEALTHY_BUT.replace("STATUS", str(status))],
                        "played").wait_log("listening")
    mesh.agents[node.name].stop()
    agent = node.start(mesh.agent_command(node).replace(mesh.control_url, "http://127.0.0.1:8082"), "agent-astray")
    try:
        wait_for(lambda: causes(node) == ["control-plane-error"], 10, lambda: str(doctor(node)), 0.2)
        assert f"the control plane answered {status}" in only_finding(node)["shows"]
    finally:
        agent.stop()
        played.kill()
        mesh.agents[node.name].start().wait_ready()
    wait_healthy(node)


def make_expired(host):
    """Of the right CA, for the right address, and over."""
    host.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
             "/var/lib/key.pem", "-out", "/var/lib/csr.pem", "-subj", "/CN=control")
    host.run("sh", "-c", f"echo subjectAltName=IP:{host.ip} > /var/lib/ext")
    host.run("openssl", "x509", "-req", "-in", "/var/lib/csr.pem", "-CA", f"{PKI}/ca.pem", "-CAkey",
             f"{PKI}/ca-key.pem", "-extfile", "/var/lib/ext", "-days", "-1", "-out", "/var/lib/cert.pem")
    host.run("cp", f"{PKI}/ca.pem", "/var/lib/ca.pem")


@pytest.mark.parametrize("make, shown", [(make_false_ca, "none of the CAs"), (make_expired, "expired")])
def test_a_control_plane_that_is_not_believed_is_not_said_to_be_away(bed, make, shown):
    mesh = bed.mesh(kind=TlsMesh, hosts=2)
    first, node = mesh.nodes
    wait_healthy(node)
    make(first)
    assert mesh.control.stop() == 0
    false = first.start(["/usr/bin/python3", "-B", str(mesh.lab.tool("false_control.py")), first.ip, "8080",
                         "/var/lib/cert.pem", "/var/lib/key.pem", "/var/lib/ca.pem", "/var/lib/record"],
                        "false-control").wait_ready()
    for host in mesh.nodes:
        wait_for(lambda host=host: causes(host) == ["control-plane-untrusted"], 10, lambda host=host: str(doctor(host)))
        found = only_finding(host)
        assert shown in found["shows"] and "packets pass on" in found["what"]
    false.stop()
    mesh.control.start().wait_ready()
    wait_healthy(node)


def test_a_control_plane_whose_disk_is_full_is_not_said_to_be_away(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    first, other = mesh.nodes
    first.run("mkdir", "-p", "/var/lib/quilt-mesh")
    first.run("mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "quilt-test", "/var/lib/quilt-mesh")
    mesh.start_all()
    mesh.wait_settled()
    first.run("dd", "if=/dev/zero", "of=/var/lib/quilt-mesh/full", "bs=4k", check=False)
    first.run("quiltctl", "node", "reserve", "node7", "10.42.77.0/24", check=False)
    found = only_finding(other)
    assert found["cause"] == "control-plane-ill" and "no room" in found["shows"]
    assert "answers that it is not well" in other.run("quiltctl", "status", check=False).stdout
    first.run("rm", "/var/lib/quilt-mesh/full")
    wait_healthy(other)


def test_an_absent_agent_is_the_only_finding(mesh):
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    agent.kill()
    try:
        assert causes(node) == ["agent-away"]
    finally:
        agent.start().wait_ready()
    wait_healthy(node)


@pytest.mark.parametrize("flush", ["flush ruleset", "flush table inet quilt", "delete table inet quilt"])
def test_filters_that_are_gone_while_the_runtime_is_away_are_named_and_its_start_brings_them_back(mesh, flush):
    node, runtime = mesh.nodes[1], mesh.runtimes["node2"]
    runtime.kill()
    try:
        before = node.net("nft", "-s", "list", "table", "inet", "quilt").stdout
        assert causes(node) == ["runtime-away"]
        node.net("nft", flush)
        found = doctor(node)["findings"]
        assert [f["cause"] for f in found] == ["runtime-away", "filters-gone"], found
        assert "a start of the runtime brings it back" in found[1]["mend"]
    finally:
        runtime.start().wait_ready()
    wait_healthy(node)
    assert "masquerade" in before and node.net("nft", "-s", "list", "table", "inet", "quilt").stdout == before


def test_daemons_that_hang_are_away_and_cost_little_time(mesh):
    node = mesh.nodes[1]
    daemons = [mesh.agents[node.name], mesh.runtimes[node.name]]
    for daemon in daemons:
        daemon.signal(signal.SIGSTOP)
    try:
        assert causes(node) == ["agent-away", "runtime-away"]
    finally:
        for daemon in daemons:
            daemon.signal(signal.SIGCONT)
    wait_healthy(node)


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_device_that_has_our_port_and_vni_is_named(mesh, state):
    """It was there before ours: so ours is taken away while the agent stands still."""
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    agent.stop()
    node.net("ip", "link", "del", "vxlan100")
    node.net("ip", "link", "add", "flannel.1", "type", "vxlan", "id", "100", "dstport", "4789",
             "local", node.ip)
    node.net("ip", "link", "set", "flannel.1", state)
    agent.start()
    try:
        wait_for(lambda: causes(node) == ["vxlan-taken"], 20, lambda: str(doctor(node)), 0.2)
        found = only_finding(node)
        assert "flannel.1" in found["what"] and f"flannel.1 is {state}" in found["shows"]
        node.run("sh", "-c", found["mend"].rsplit(": ", 1)[1])
        wait_healthy(node)
    finally:
        node.net("ip", "link", "del", "flannel.1", check=False)
    wait_healthy(node)


def test_a_program_that_has_our_port_is_named(mesh):
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    agent.stop()
    node.net("ip", "link", "del", "vxlan100")
    thief = node.start(["/usr/bin/python3", "-c",
                        "import socket, time\ns = socket.socket(type=socket.SOCK_DGRAM)\n"
                        "s.bind(('0.0.0.0', 4789))\nprint('bound', flush=True)\ntime.sleep(600)"],
                       "thief").wait_log("bound")
    agent.start()
    try:
        wait_for(lambda: causes(node) == ["port-taken"], 20, lambda: str(doctor(node)), 0.2)
        assert "python3" in only_finding(node)["shows"]
    finally:
        thief.kill()
    wait_healthy(node)


@pytest.mark.parametrize("kind", ["bridge", "vxlan id 100 dstport 4789"])
def test_a_foreign_device_of_our_name_is_named_and_the_mend_mends(mesh, kind):
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    agent.stop()
    node.net("ip", "link", "del", "vxlan100")
    node.net("ip", "link", "add", "vxlan100", "type", *kind.split())
    agent.start()
    try:
        wait_for(lambda: causes(node) == ["device-name-taken"], 20, lambda: str(doctor(node)), 0.2)
        mend = only_finding(node)["mend"]
        assert "it is not the mesh's" in mend
        node.run("sh", "-c", mend.rsplit(": ", 1)[1])
        wait_healthy(node)
    except BaseException:
        node.net("ip", "link", "del", "vxlan100", check=False)  # the agent makes its own again
        raise


def test_a_daemon_that_is_near_its_limit_of_open_files_is_named(mesh):
    node, agent = mesh.nodes[1], mesh.agents["node2"]
    holder = node.start(["/usr/bin/python3", "-c",
                         "import socket, time\nheld = [socket.create_connection(('127.0.0.1', 9180)) for _ in range(30)]"
                         "\nprint('held', flush=True)\ntime.sleep(600)"], "holder").wait_log("held")
    wait_for(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) > 40, 5, "the connections to be taken")
    limit = len(os.listdir(f"/proc/{agent.pid}/fd")) * 100 // 90
    run(["prlimit", "--pid", str(agent.pid), f"--nofile={limit}:4096"])
    try:
        findings = {finding["cause"]: finding for finding in doctor(node)["findings"]}
    finally:
        run(["prlimit", "--pid", str(agent.pid), "--nofile=1024:4096"])
        holder.kill()
    # The few files that are left may be gone before doctor asks the agent: then it does not answer, either.
    assert "files-low" in findings and findings.keys() <= {"files-low", "agent-away"}, findings
    assert "quilt-mesh-agent" in findings["files-low"]["what"] and f"of {limit}" in findings["files-low"]["shows"]
    wait_healthy(node)


def test_a_cluster_whose_network_is_near_its_end_is_named(bed):
    mesh = bed.mesh(hosts=2, control_options="--cluster-cidr 10.42.0.0/21")
    wait_healthy(mesh.nodes[1])
    ids = [mesh.register(f"far{number}", f"192.168.1.{200 + number}")["node_id"] for number in range(4)]
    for node_id in ids:  # they are none that anybody should reach
        mesh.nodes[0].run("curl", "-sS", "-f", "-X", "POST", f"{mesh.control_url}/api/nodes/{node_id}/deregister")
    wait_for(lambda: causes(mesh.nodes[1]) == ["subnets-low"], 10, lambda: str(doctor(mesh.nodes[1])))
    assert "6 of 6" in only_finding(mesh.nodes[1])["shows"]
    mesh.nodes[0].run("curl", "-sS", "-f", "-X", "DELETE", f"{mesh.control_url}/api/nodes/{ids[0]}")
    wait_healthy(mesh.nodes[1])


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


def test_clocks_that_differ_are_named(mesh):
    """The control plane tells its time with each heartbeat; a proxy turns its clock."""
    node = mesh.nodes[1]
    node.start(["/usr/bin/python3", str(mesh.lab.tool("proxy.py")), "127.0.0.1", "8081",
                mesh.control_url, "120"], "proxy").wait_log("listening")
    mesh.agents[node.name].stop()
    mesh.agents[node.name] = node.start(
        mesh.agent_command(node).replace(mesh.control_url, "http://127.0.0.1:8081"),
        "quilt-mesh-agent-2").wait_ready()
    wait_for(lambda: causes(node) == ["clock-skew"], 30, lambda: str(doctor(node)), 0.5)
    assert "120 s ahead" in only_finding(node)["shows"] or "119 s ahead" in only_finding(
        node)["shows"]
