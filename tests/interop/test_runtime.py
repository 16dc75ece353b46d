"""quilt-runtime, the real daemon, against python3-grpcio: its subnet and its routes with good and bad values,
health, metrics and options. Each test has a host of its own.

Runs the quilt-runtime of the build that QUILT_BUILD names; needs root, is skipped without."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from messages import message_class
from runtime_host import DEADLINE_S, RUNTIME, fixture_host, fixture_node, wait_for  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


# ---- subnet -----------------------------------------------------------------------------------


def test_a_subnet_is_taken_once_and_changed_only_when_nobody_holds_its_addresses(node):
    node.ok("ConfigureNodeSubnet", subnet="10.42.1.0/24", cluster_cidr="10.42.0.0/16")
    node.container("c1")
    assert node.attach("c1").ip == "10.42.1.1/32"
    error = node.fails("ConfigureNodeSubnet", subnet="10.42.2.0/24")
    assert error == "configure subnet: 1 endpoint holds addresses of 10.42.1.0/24; detach it first"
    node.ok("DetachEndpoint", id="c1")
    node.ok("ConfigureNodeSubnet", subnet="10.42.2.0/24")
    assert node.attach("c1").ip == "10.42.2.1/32"
    assert "10.42.2.0/24" in node.out("nft", "list", "table", "inet", "quilt")


@pytest.mark.parametrize("fields,words", [
    ({}, "subnet: is missing"),
    ({"subnet": "garbage"}, "subnet: 'garbage'"),
    ({"subnet": "10.42.1.7/24"}, "subnet: '10.42.1.7/24' has host bits set"),
    ({"subnet": "10.43.1.0/24"}, "is not inside the cluster's network 10.42.0.0/16"),
    ({"subnet": "10.42.0.0/16"}, "subnet: '10.42.0.0/16'"),
    ({"subnet": "10.42.1.0/25"}, "is not of a node's size"),
    ({"subnet": "10.42.1.0/24", "cluster_cidr": "10.42.0.0/33"}, "cluster_cidr: '10.42.0.0/33'"),
    ({"subnet": "ü" * 70}, "subnet: '"),
])
def test_a_bad_subnet_is_refused_in_words_and_changes_nothing(node, fields, words):
    before, state = node.dump(), node.state()
    assert words in node.fails("ConfigureNodeSubnet", **fields)
    assert node.dump() == before and node.state() == state


# ---- routes -----------------------------------------------------------------------------------


def test_routes_are_injected_replaced_listed_and_removed(node):
    node.overlay()
    node.wait_frames("chain vxlan100")
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert node.route() == "10.42.2.0/24 dev vxlan100 proto 81 scope link"
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    assert node.route() == "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink"
    node.wait_frames("10.42.2.0 : 10.42.2.0")
    before = node.dump()
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    assert node.dump() == before
    listed = node.call("ListRoutes").routes
    assert [(r.destination, r.via_interface, r.gateway, r.mtu, r.in_kernel, r.problem) for r in listed] == [
        ("10.42.2.0/24", "vxlan100", "10.42.2.0", 0, True, "")]
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    assert node.route() == "" and not node.call("ListRoutes").routes


def test_a_routes_mtu_is_given_changed_kept_and_taken_away(node):
    node.overlay()
    way = {"destination": "10.42.2.0/24", "via_interface": "vxlan100", "gateway": "10.42.2.0"}
    plain = "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink"
    for mtu in (1350, 1250):
        node.ok("InjectRoute", **way, mtu=mtu)
        assert node.route() == f"{plain} mtu {mtu}"
        assert [route.mtu for route in node.call("ListRoutes").routes] == [mtu]
    node.run("ip route replace 10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink mtu 1000")
    wait_for(lambda: node.route() == f"{plain} mtu 1250", "the MTU to be repaired")
    node.kill()
    node.start()
    before = node.dump()
    node.ok("InjectRoute", **way, mtu=1250)
    assert node.dump() == before and node.route() == f"{plain} mtu 1250"
    node.ok("InjectRoute", **way)
    assert node.route() == plain


def test_the_256th_network_of_a_large_cluster_has_a_scope_and_a_route_without_is_replaced(node):
    node.ok("ConfigureNodeSubnet", subnet="10.0.1.0/24", cluster_cidr="10.0.0.0/8")
    node.overlay()
    form = "10.{}.0/24 via 10.{}.0 dev vxlan100 proto 81{} onlink"
    wanted = {third: form.format(third, third, scope) for third, scope in (("0.255", ""), ("1.0", " scope 1"))}
    for third in wanted:
        node.ok("InjectRoute", destination=f"10.{third}.0/24", via_interface="vxlan100", gateway=f"10.{third}.0")
        assert node.route(f"10.{third}.0/24") == wanted[third]
    node.run("ip route replace " + form.format("1.0", "1.0", ""))  # as an older version had it
    wait_for(lambda: node.route("10.1.0.0/24") == wanted["1.0"], "the scope to be repaired")
    for third in wanted:
        node.ok("RemoveRoute", destination=f"10.{third}.0/24")
        assert node.route(f"10.{third}.0/24") == ""


@pytest.mark.parametrize("fields,words", [
    ({}, "destination: is missing"),
    ({"destination": "0.0.0.0/0"}, "destination: '0.0.0.0/0'"),
    ({"destination": "10.42.2.0"}, "destination: '10.42.2.0'"),
    ({"destination": "10.42.2.0/23"}, "is not of a node's size"),
    ({"destination": "10.42.1.0/24"}, "is this node's own subnet"),
    ({"via_interface": ""}, "via_interface: is missing"),
    ({"via_interface": "no/such:name"}, "via_interface: 'no/such:name'"),
    ({"via_interface": "nosuch0"}, "via_interface: 'nosuch0' does not exist on this host"),
    ({"via_interface": "lo"}, "via_interface: 'lo'"),
    ({"via_interface": "qv0a2a0101"}, "via_interface: 'qv0a2a0101'"),
    ({"gateway": "10.42.2.256"}, "gateway: '10.42.2.256'"),
    ({"gateway": "127.0.0.1"}, "gateway: '127.0.0.1'"),
    ({"mtu": 67}, "mtu: 67 is out of 68 to 65520"),
    ({"mtu": 65521}, "mtu: 65521 is out of 68 to 65520"),
])
def test_a_bad_route_is_refused_in_words_and_changes_nothing(node, fields, words):
    node.overlay()
    node.wait_frames("chain vxlan100")
    good = {"destination": "10.42.2.0/24", "via_interface": "vxlan100"}
    before, state = node.dump(), node.state()
    assert words in node.fails("InjectRoute", **(fields and {**good, **fields}))
    assert node.dump() == before
    assert node.state()["routes"] == state["routes"]


@pytest.mark.parametrize("destination", ["", "10.42.2.0/33", "10.42.1.1/32", "0.0.0.0/0", "x"])
def test_a_bad_removal_is_refused(node, destination):
    assert "destination: " in node.fails("RemoveRoute", destination=destination)


def test_a_foreign_route_is_neither_replaced_nor_removed(node):
    node.overlay()
    node.run("ip route add 10.42.2.0/24 dev vxlan100 proto static metric 7")
    before = node.route()
    error = node.fails("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert "a route to 10.42.2.0/24 exists that is not ours" in error
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    assert node.route() == before


def test_routes_may_come_before_the_subnet(host):
    host.start()
    host.overlay()
    host.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert host.route() != ""
    # The node turns out to be that very network: such a route makes no sense any more.
    host.ok("ConfigureNodeSubnet", subnet="10.42.2.0/24")
    assert host.route() == "" and not host.call("ListRoutes").routes


def test_many_routes_at_once_share_their_writes_to_the_disk(node):
    node.overlay()
    begun = [node.begin("InjectRoute", destination=f"10.42.{i}.0/24", via_interface="vxlan100",
                        gateway=f"10.42.{i}.0") for i in range(2, 255)]
    assert all(call.result().success for call in begun)
    assert len(node.out("ip", "route", "show", "proto", "81").splitlines()) == 253
    assert all(r.in_kernel for r in node.call("ListRoutes").routes)


def injections(numbers, **other):
    return [message_class("quilt.InjectRouteRequest")(**{"destination": f"10.42.{i}.0/24", "via_interface": "vxlan100",
                    "gateway": f"10.42.{i}.0", **other}) for i in numbers]


def test_many_routes_are_changed_in_one_call_and_survive_a_kill(node):
    node.overlay()
    node.wait_frames("chain vxlan100")
    assert node.call("ChangeRoutes", inject=injections(range(2, 255))).success
    assert len(node.out("ip", "route", "show", "proto", "81").splitlines()) == 253
    node.wait_frames("10.42.254.0")
    before = node.dump()
    assert node.call("ChangeRoutes", inject=injections(range(2, 255))).success
    assert node.dump() == before
    reply = node.call("ChangeRoutes", inject=injections([7], gateway=""),
                      remove=[f"10.42.{i}.0/24" for i in range(100, 255)])
    assert reply.success and not reply.failures
    assert node.route("10.42.7.0/24") == "10.42.7.0/24 dev vxlan100 proto 81 scope link"
    node.kill()
    node.start()
    assert len(node.out("ip", "route", "show", "proto", "81").splitlines()) == 98
    assert [r.destination for r in node.call("ListRoutes").routes if r.in_kernel] == [
        f"10.42.{i}.0/24" for i in range(2, 100)]


def test_of_many_routes_each_fails_for_itself(node):
    node.overlay()
    node.run("ip route add 10.42.3.0/24 dev vxlan100 proto static")
    bad = injections([3]) + injections([4], via_interface="nosuch0") + injections([1])
    reply = node.call("ChangeRoutes", inject=injections([2]) + bad + injections([5]),
                      remove=["x", "10.42.9.0/24"])
    assert not reply.success and reply.error == ""
    assert [failure.destination for failure in reply.failures] == ["x", "10.42.3.0/24", "10.42.4.0/24",
                                                                   "10.42.1.0/24"]
    assert "exists that is not ours" in reply.failures[1].error
    assert [r.destination for r in node.call("ListRoutes").routes] == ["10.42.2.0/24", "10.42.5.0/24"]
    assert "proto static" in node.route("10.42.3.0/24")


def test_more_routes_than_a_call_takes_are_refused(node):
    reply = node.call("ChangeRoutes", remove=["10.42.9.0/24"] * 1001)
    assert reply.error == "change routes: 1001 are more than the 1000 of one call"


# ---- health, signals, options -----------------------------------------------------------------


def test_health_is_serving_and_stopping_ends_with_0(node):
    assert node.health() == b"\x08\x01"
    watch = node.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
    assert next(watch) == b"\x08\x01"
    node.process.send_signal(signal.SIGTERM)
    assert next(watch) == b"\x08\x02"
    assert node.process.wait(5) == 0


def short_cut(node):
    """As told by GetStatus, and as a figure."""
    status = node.call("GetStatus")
    text = node.out("curl -s http://127.0.0.1:9181/metrics")
    figure = re.search(r"^quilt_runtime_short_cut (\d)$", text, re.MULTILINE)[1]
    return status.short_cut, status.short_cut_reason, figure


def test_whether_the_kernel_path_has_its_short_cut_is_told(node):
    assert short_cut(node) == (True, "", "1")
    node.run("ip xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir fwd action block")
    wait_for(lambda: short_cut(node) == (False, "this host has IPsec policies", "0"), short_cut(node))
    node.run("ip xfrm policy flush")
    wait_for(lambda: short_cut(node) == (True, "", "1"), short_cut(node))
    node.stop()
    node.start("--conntrack", "all")
    assert short_cut(node) == (False, "--conntrack all", "0")


def test_without_a_subnet_there_is_no_short_cut(host):
    assert short_cut(host.start()) == (False, "this node has no subnet yet", "0")


def test_metrics_and_probes_are_served(node):
    node.container("c1")
    node.attach("c1")
    for header, code in ("Host:attacker.example", "421"), ("Origin:http://attacker.example", "403"):
        assert node.out(f"curl -s -o /dev/null -w %{{http_code}} -H {header} http://127.0.0.1:9181/metrics") == code
    text = node.out("curl -s http://127.0.0.1:9181/metrics")
    assert "quilt_runtime_addresses_used 1\n" in text
    assert 'quilt_runtime_rpc_calls_total{method="AttachEndpoint",outcome="ok"} 1\n' in text
    assert "quilt_runtime_attach_seconds_count 1\n" in text
    resident = int(re.search(r"process_resident_memory_bytes (\d+)", text)[1])
    if "__asan_init" not in subprocess.run(["nm", RUNTIME], capture_output=True, text=True, check=False).stdout:
        assert 0 < resident < 24 * 1024 * 1024
    assert node.out("curl -s http://127.0.0.1:9181/livez") == "ok\n"
    assert node.out("curl -s http://127.0.0.1:9181/readyz") == "ok\n"


@pytest.mark.parametrize("options", [
    ["--grpc-addr", "nowhere"], ["--grpc-addr", "unix:relative"], ["--metrics-addr", "127.0.0.1"],
    ["--state-dir", ""], ["--log-level", "loud"], ["--no-such-option"], ["extra"]])
def test_wrong_usage_ends_with_2(options):
    done = subprocess.run([RUNTIME, *options], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2 and "quilt-runtime: " in done.stderr


def test_tools_are_there():
    assert all(shutil.which(tool) for tool in ("nsenter", "unshare", "ip", "bridge", "nft", "curl", "ping"))
