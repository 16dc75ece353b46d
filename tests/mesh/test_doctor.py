"""quiltctl doctor names causes: each fault is made for real, its cause is named, and nothing else is; a
healthy mesh gets no finding. Here: the host itself."""
import json
import shutil

import pytest

from certified import status
from doctor import causes, doctor, fault, index_of, only_finding, wait_healthy
from lab.wait import wait_for


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, control_options="--node-timeout 20s --node-prefix 28")


def test_a_healthy_mesh_gets_no_finding(mesh):
    for node in mesh.nodes:
        wait_healthy(node)
        assert "Nothing is wrong" in node.out("quiltctl", "doctor")


def test_a_daemon_that_starts_is_not_said_to_have_trouble(mesh):
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    for _ in range(3):
        agent.kill()
        agent.start().wait_ready()
        assert causes(node) == []


@pytest.mark.parametrize("lacks, what", [("net_admin", "the firewall"), ("net_raw", "the ways to the peers")])
def test_what_may_not_be_looked_at_is_told_and_nothing_is_concluded_from_it(mesh, lacks, what):
    done = mesh.nodes[0].run("setpriv", "--bounding-set", f"-{lacks}", "quiltctl", "doctor", "-o", "json",
                             check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["healthy"]
    found = [f for f in report["findings"] if f["what"].startswith(what)]
    assert len(found) == 1 and {f["cause"] for f in report["findings"]} == {"not-tried"}, report
    assert "not permitted" in found[0]["shows"]


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


def test_the_address_of_another_node_on_this_host_is_named_and_its_mend_can_be_typed(mesh):
    node, peer = mesh.nodes
    node.run(f"ip addr add {peer.ip}/24 dev eth0")
    try:
        found = next(f for f in doctor(node)["findings"] if f["cause"] == "address-twice")
        assert found["shows"] == f"{peer.ip} on eth0"
        node.run(found["mend"].split(": ")[1].split(",")[0])
    finally:
        node.run(f"ip addr del {peer.ip}/24 dev eth0", check=False)
    for place in mesh.nodes:
        place.run("ip neigh flush dev eth0")
        wait_healthy(place)


@pytest.mark.parametrize("device", ["vxlan100", "eth0"])
def test_a_device_whose_packets_are_not_forwarded_is_named(mesh, device):
    node = mesh.nodes[0]
    with fault(node, [f"sysctl -qw net.ipv4.conf.{device}.forwarding=0"],
               [f"sysctl -qw net.ipv4.conf.{device}.forwarding=1"]):
        found = only_finding(node)
        assert (found["cause"], found["shows"]) == ("ip-forward-off", f"net.ipv4.conf.{device}.forwarding is 0")
        node.run(found["mend"].split("; ")[0])
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
