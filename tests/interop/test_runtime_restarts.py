"""quilt-runtime: what is damaged by hand is repaired, and what was answered survives: restarts, kills, reboots,
damaged state."""
import hashlib
import json
import os
import re
import subprocess
import time

import grpc
import pytest
from runtime_host import DEADLINE_S, RUNTIME, fixture_host, fixture_node, wait_for  # noqa: F401 (beside this file)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


# ---- repair -----------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [
    "ip link del qv0a2a0101",
    "ip link set qv0a2a0101 down",
    "ip route del 10.42.1.1",
    "ip neigh del 10.42.1.1 dev qv0a2a0101",
    "ip route del 10.42.2.0/24",
    "ip route replace 10.42.2.0/24 dev lo proto 81",
    "nft delete table inet quilt",
    "nft flush ruleset",
    "nft flush map inet quilt peers",
    "nft flush set inet quilt endpoints",
    "nft delete table netdev quilt",
    "sysctl -qw net.ipv4.ip_forward=0",
])
def test_damage_by_hand_is_repaired_within_a_second(node, damage):
    node.overlay()
    node.run("bridge fdb add 02:51:0a:2a:02:00 dev vxlan100 dst 192.0.2.2 self permanent")
    node.container("c1")
    node.container("c2")
    node.attach("c1")
    node.attach("c2")
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")

    def looks():
        rules = re.sub(r"packets \d+ bytes \d+", "", node.out("nft list ruleset"))
        return (node.out("ip route"), sorted(re.split(r"[\s,]+", rules)),  # sets have no order
                node.out("sysctl -n net.ipv4.ip_forward"),
                sorted(node.out("ip neigh show nud permanent").splitlines()))
    wait_for(lambda: "192.0.2.2" in looks()[1] and "netdev" in looks()[1], "the peer to be let in")
    before = looks()
    node.run(damage)
    wait_for(lambda: looks() == before, f"{damage} to be repaired", 1)
    assert node.pings("c1", "10.42.1.2") and node.pings("c2", "10.42.1.1")


def test_of_many_that_are_set_up_at_once_some_are_named_and_the_others_counted(node):
    node.overlay()
    for third in range(2, 42):
        node.ok("InjectRoute", destination=f"10.42.{third}.0/24", via_interface="vxlan100",
                gateway=f"10.42.{third}.0")
    node.kill()
    node.run("ip route flush proto 81")
    before = len(node.log.read_text())
    node.start()
    assert len(node.out("ip route show proto 81").splitlines()) == 40
    said = [line for line in node.log.read_text()[before:].splitlines() if 'msg="set up"' in line]
    assert ["object=" in line for line in said] == [True] * 16 + [False], said
    assert said[-1].endswith(" others=25"), said  # the firewall is set up, too


def test_routes_return_when_their_device_is_made_anew(node):
    node.overlay()
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    before = node.route()
    node.run("ip link del vxlan100")
    assert node.call("ListRoutes").routes[0].problem == "device vxlan100 does not exist"
    node.overlay()
    wait_for(lambda: node.route() == before, "the route to return", 1)


# ---- restarts ---------------------------------------------------------------------------------


def prepared(node):
    node.overlay()
    node.run("bridge fdb add 02:51:0a:2a:02:00 dev vxlan100 dst 192.0.2.2 self permanent")
    for name in ("c1", "c2"):
        node.container(name)
        node.attach(name)
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    wait_for(lambda: "192.0.2.2" in node.out("nft list ruleset"), "the peer to be let in")
    # The kernel tells of a carrier up to a second late.
    wait_for(lambda: node.out("ip link").count(" state UP ") == 2, "both devices to be up")
    return node.settled_dump()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_restart_changes_nothing_in_the_kernel(node, end):
    before = prepared(node)
    getattr(node, end)()
    assert node.dump() == before
    assert node.pings("c1", "10.42.1.2")
    node.start()
    assert node.dump() == before
    assert [e.ip for e in node.call("ListEndpoints").endpoints] == ["10.42.1.1", "10.42.1.2"]
    assert node.call("ListRoutes").routes[0].in_kernel
    assert node.attach("c1").ip == "10.42.1.1/32"
    assert node.dump() == before


def test_what_is_damaged_while_it_is_away_is_repaired_at_its_start(node):
    prepared(node)
    node.kill()
    node.run("ip link del qv0a2a0101")
    node.run("ip route del 10.42.2.0/24")
    node.run("nft delete table inet quilt")
    node.start()
    assert node.pings("c1", "10.42.1.2")
    assert node.route() != "" and "192.0.2.2" in node.out("nft list ruleset")


def test_a_kill_at_any_moment_loses_nothing_that_was_answered(node):
    for round_number in range(12):
        names = [f"r{round_number}c{i}" for i in range(6)]
        node.make_containers(names)
        begun = [node.begin("AttachEndpoint", id=name, netns=f"/run/netns/{name}") for name in names]
        time.sleep(0.001 * round_number)
        node.kill()
        answered = {}
        for name, call in zip(names, begun):
            try:
                reply = call.result()
            except grpc.RpcError:
                continue
            assert reply.success, reply.error
            answered[name] = reply.ip
        node.start()
        held = {e.id: e for e in node.call("ListEndpoints").endpoints}
        assert all(held[name].ip + "/32" == ip for name, ip in answered.items())
        assert len({e.ip for e in held.values()}) == len(held)
        assert [e.problem for e in held.values() if e.problem] == []
        devices = set(re.findall(r"qv[0-9a-f]{8}", node.out("ip -o link")))
        assert devices == {e.host_ifname for e in held.values()}
        for name in held:
            node.ok("DetachEndpoint", id=name)


def test_with_nothing_changed_nothing_is_written(node):
    prepared(node)

    def writes():
        text = node.out("curl -s http://127.0.0.1:9181/metrics")
        return re.findall(r"^quilt_runtime_kernel_writes_total.*", text, re.MULTILINE)
    before = writes()
    node.run("ip link add foreign0 type veth peer name foreign1")  # events that are not about us
    node.run("nft add table inet foreign")
    time.sleep(0.3)
    assert writes() == before


def test_after_a_reboot_endpoints_are_released_and_routes_kept(node):
    prepared(node)
    node.stop()
    path = node.dir / "state/runtime.json"
    # As after a reboot: another boot, nothing of ours in the kernel.
    for old in ("c1", "c2"):
        node.run("ip", "netns", "del", old)
    wait_for(lambda: "qv" not in node.out("ip -o link"), "the devices to go")
    node.run("ip link del vxlan100")
    node.run("nft delete table inet quilt")
    rewrite(path, boot_id="00000000-0000-4000-8000-000000000001")
    node.start()
    assert not node.call("ListEndpoints").endpoints
    assert node.call("GetStatus").addresses_free == 254
    assert [r.problem for r in node.call("ListRoutes").routes] == ["device vxlan100 does not exist"]
    node.overlay()
    wait_for(lambda: node.route() != "", "the route to come with its device", 1)


def rewrite(path, **changes):
    """Edits the state file as the program itself would have written it."""
    state = json.loads(path.read_text())["content"]
    state.update(changes)
    text = json.dumps(state, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(f'{{"sha256":"{digest}","content":{text}}}\n')


def test_a_damaged_state_falls_back_and_living_endpoints_are_adopted(node):
    node.container("c1")
    node.container("c2")
    node.attach("c1")
    node.attach("c2")  # the save before this one knows nothing of c2
    before = node.dump()
    node.kill()
    path = node.dir / "state/runtime.json"
    path.write_text(path.read_text().replace("c1", "c9"))
    node.start()
    assert node.dump() == before
    assert {e.id: e.ip for e in node.call("ListEndpoints").endpoints} == {"c1": "10.42.1.1",
                                                                          "c2": "10.42.1.2"}
    assert node.attach("c2").ip == "10.42.1.2/32"
    node.ok("DetachEndpoint", id="c2")
    assert "qv0a2a0102" not in node.out("ip -o link")


def test_when_both_states_are_damaged_it_ends_with_65_and_says_what_to_do(node):
    node.container("c1")
    node.attach("c1")
    before = node.dump()
    node.stop()
    for name in ("runtime.json", "runtime.json.1"):
        (node.dir / "state" / name).write_text("{}")
    done = subprocess.run(node.runtime_argv(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 65
    assert "Move both files away and start again" in done.stderr
    assert node.dump() == before
    for name in ("runtime.json", "runtime.json.1"):
        (node.dir / "state" / name).unlink()
    node.start()
    assert node.dump().count("qv0a2a0101") > 0
    assert [e.id for e in node.call("ListEndpoints").endpoints] == ["c1"]
    node.ok("ConfigureNodeSubnet", subnet="10.42.1.0/24")
    assert node.attach("c1").ip == "10.42.1.1/32"


def test_a_second_runtime_finds_the_first_and_touches_nothing(node):
    before = prepared(node)
    same_dir = subprocess.run(node.runtime_argv(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert same_dir.returncode == 1 and "another runtime is running with the state directory" in same_dir.stderr
    other = node.argv(RUNTIME, "--state-dir", node.dir / "other", "--run-dir", node.dir / "run",
                      "--grpc-addr", f"unix:{node.socket}")
    done = subprocess.run(other, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1
    assert node.dump() == before


def test_leaving_removes_all_that_is_ours_and_nothing_else(node):
    foreign = ["ip route add 10.99.0.0/24 dev lo", "nft add table inet foreign",
               "ip link add foreign0 type veth peer name foreign1"]
    for command in foreign:
        node.run(command)
    prepared(node)
    node.ok("LeaveMesh")
    dump = node.dump()
    assert "proto 81" not in dump and "qv0a2a" not in dump and "inet quilt" not in dump
    assert "10.99.0.0/24" in dump and "inet foreign" in dump and "foreign0" in dump
    assert not (node.dir / "state/runtime.json").exists()
    assert node.out("sysctl -n net.ipv4.ip_forward").strip() == "1"
    node.run("ip route add 10.42.77.0/24 dev lo proto 81")  # an event: nothing is wanted any more
    node.ok("LeaveMesh")
    node.ok("ConfigureNodeSubnet", subnet="10.42.3.0/24")
    assert node.attach("c1").ip == "10.42.3.1/32"
    assert "inet quilt" in node.dump()
