"""quilt-runtime, the real daemon, against python3-grpcio: every call with good and bad values, restarts,
kills and health. Each test has a host of its own: a network and a mount namespace, in which `ip` and
`nft` look as a second pair of eyes. gRPC comes through a unix socket, which reaches across.

Runs the quilt-runtime of the build that QUILT_BUILD names; needs root, is skipped without."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))
RUNTIME = BUILD / "runtime/quilt-runtime"
DEADLINE_S = 20
OWNED = ["link", "route", "neigh"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


def load_pool():
    descriptors = descriptor_pb2.FileDescriptorSet()
    descriptors.ParseFromString((BUILD / "proto/descriptors.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool


POOL = load_pool()


def message_class(name):
    return message_factory.MessageFactory(POOL).GetPrototype(POOL.FindMessageTypeByName(name))


def wait_for(fact, describe, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {describe}"
        time.sleep(0.005)
    return value


class Host:
    """A network and a mount namespace with a private /run/netns, and a runtime in it."""

    def __init__(self, directory):
        self.dir = directory
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-ec",
             "mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip link set lo up;"
             "echo ready; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"
        self.process = None
        self.channel = None
        self.log = directory / "log"
        self.log.write_text("")
        self.socket = directory / "runtime.sock"

    def argv(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"] + [str(word) for word in words]

    def run(self, *words, check=True):
        if len(words) == 1:
            words = words[0].split()
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def out(self, *words):
        return self.run(*words).stdout

    def runtime_argv(self, *options):
        return self.argv(RUNTIME, "--state-dir", self.dir / "state", "--run-dir", self.dir / "run",
                         "--grpc-addr", f"unix:{self.socket}", *options)

    def start(self, *options):
        with open(self.log, "a", encoding="utf-8") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self.runtime_argv(*options), stderr=log)
        wait_for(lambda: 'msg="ready"' in self.log.read_text()[begin:] or self.process.poll() is not None,
                 "the runtime to be ready")
        assert self.process.poll() is None, self.log.read_text()
        self.connect()
        return self

    def connect(self):
        if self.channel:
            self.channel.close()
        self.channel = grpc.insecure_channel(f"unix:{self.socket}",
                                             options=[("grpc.use_local_subchannel_pool", 1)])

    def call(self, method, **fields):
        return self.begin(method, **fields).result()

    def begin(self, method, **fields):
        request = message_class(f"quilt.{method}Request")(**fields)
        reply = message_class(f"quilt.{method}Reply")
        stub = self.channel.unary_unary(f"/quilt.QuiltRuntime/{method}",
                                        request_serializer=lambda m: m.SerializeToString(),
                                        response_deserializer=reply.FromString)
        return stub.future(request, timeout=DEADLINE_S, wait_for_ready=True)

    def ok(self, method, **fields):
        reply = self.call(method, **fields)
        assert reply.success, reply.error
        assert reply.error == ""
        return reply

    def fails(self, method, **fields):
        reply = self.call(method, **fields)
        assert not reply.success
        assert len(reply.error) > 10
        return reply.error

    def health(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        return check(b"", timeout=DEADLINE_S)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0, self.log.read_text()

    def container(self, name):
        self.run("ip", "netns", "add", name)
        return f"/run/netns/{name}"

    def attach(self, name, **fields):
        return self.ok("AttachEndpoint", id=name, netns=f"/run/netns/{name}", **fields)

    def pings(self, name, to, count=3):
        return self.run("ip", "netns", "exec", name, "ping", "-q", "-c", count, "-i", "0.01", "-W", "1", to,
                        check=False).returncode == 0

    def overlay(self, name="vxlan100"):
        """What the agent makes, as far as the runtime looks at it."""
        self.run("ip", "link", "add", name, "mtu", "1450", "type", "vxlan", "id", "100", "dstport", "4789",
                 "local", "192.0.2.1", "nolearning")
        self.run("ip", "link", "set", name, "alias", "quilt:overlay")
        self.run("ip", "link", "set", name, "up")

    def dump(self):
        """All that is ours in the kernel, with indices and handles: made anew is seen as other."""
        text = "".join(self.out("ip", "-d", *what) for what in
                       (["link"], ["route"], ["neigh", "show", "nud", "permanent"]))
        text += re.sub(r"packets \d+ bytes \d+", "", self.out("nft", "-a", "list", "ruleset"))
        return text

    def state(self):
        return json.loads((self.dir / "state/runtime.json").read_text())["content"]

    def end(self):
        if self.channel:
            self.channel.close()
        try:
            if self.process and self.process.poll() is None:
                self.stop()
        finally:
            self.holder.kill()
            self.holder.wait(DEADLINE_S)
            self.holder.stdout.close()
        text = self.log.read_text()
        assert not re.search(r"Sanitizer|runtime error", text), text


@pytest.fixture(name="host")
def fixture_host(tmp_path):
    host = Host(tmp_path)
    yield host
    host.end()


@pytest.fixture(name="node")
def fixture_node(host):
    host.start()
    host.ok("ConfigureNodeSubnet", subnet="10.42.1.0/24")
    return host


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


def route(host, dst="10.42.2.0/24"):
    return host.out("ip", "route", "show", dst).strip()


def test_routes_are_injected_replaced_listed_and_removed(node):
    node.overlay()
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert route(node) == "10.42.2.0/24 dev vxlan100 proto 81 scope link"
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    assert route(node) == "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink"
    before = node.dump()
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    assert node.dump() == before
    listed = node.call("ListRoutes").routes
    assert [(r.destination, r.via_interface, r.gateway, r.in_kernel, r.problem) for r in listed] == [
        ("10.42.2.0/24", "vxlan100", "10.42.2.0", True, "")]
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    assert route(node) == "" and not node.call("ListRoutes").routes


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
])
def test_a_bad_route_is_refused_in_words_and_changes_nothing(node, fields, words):
    node.overlay()
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
    before = route(node)
    error = node.fails("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert "a route to 10.42.2.0/24 exists that is not ours" in error
    node.ok("RemoveRoute", destination="10.42.2.0/24")
    assert route(node) == before


def test_routes_may_come_before_the_subnet(host):
    host.start()
    host.overlay()
    host.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100")
    assert route(host) != ""
    # The node turns out to be that very network: such a route makes no sense any more.
    host.ok("ConfigureNodeSubnet", subnet="10.42.2.0/24")
    assert route(host) == "" and not host.call("ListRoutes").routes


def test_many_routes_at_once_share_their_writes_to_the_disk(node):
    node.overlay()
    begun = [node.begin("InjectRoute", destination=f"10.42.{i}.0/24", via_interface="vxlan100",
                        gateway=f"10.42.{i}.0") for i in range(2, 255)]
    assert all(call.result().success for call in begun)
    assert len(node.out("ip", "route", "show", "proto", "81").splitlines()) == 253
    assert all(r.in_kernel for r in node.call("ListRoutes").routes)


# ---- endpoints --------------------------------------------------------------------------------


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
    node.ok("DetachEndpoint", id="c1")
    node.ok("DetachEndpoint", id="c1", ifname="eth0")
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
    assert "namespace is gone" in node.call("ListEndpoints").endpoints[0].problem
    assert list(node.call("GetStatus").problems) != []
    node.ok("DetachEndpoint", id="c1")
    assert not node.call("ListEndpoints").endpoints


def test_many_containers_are_attached_at_once(node):
    names = [f"c{i}" for i in range(40)]
    node.run("ip", "-batch", batch(node, names))
    begun = [node.begin("AttachEndpoint", id=name, netns=f"/run/netns/{name}") for name in names]
    replies = [call.result() for call in begun]
    assert all(reply.success for reply in replies)
    assert len({reply.ip for reply in replies}) == 40
    begun = [node.begin("DetachEndpoint", id=name) for name in names]
    assert all(call.result().success for call in begun)
    assert "qv" not in node.out("ip -o link")


def batch(node, names):
    path = node.dir / "batch"
    path.write_text("".join(f"netns add {name}\n" for name in names))
    return path


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
    "nft flush set inet quilt peers",
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
        return (node.out("ip route"), re.sub(r"packets \d+ bytes \d+", "", node.out("nft list ruleset")),
                node.out("sysctl -n net.ipv4.ip_forward"),
                sorted(node.out("ip neigh show nud permanent").splitlines()))
    wait_for(lambda: "192.0.2.2" in looks()[1], "the peer to be let in")
    before = looks()
    node.run(damage)
    wait_for(lambda: looks() == before, f"{damage} to be repaired", 1)
    assert node.pings("c1", "10.42.1.2") and node.pings("c2", "10.42.1.1")


def test_routes_return_when_their_device_is_made_anew(node):
    node.overlay()
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    before = route(node)
    node.run("ip link del vxlan100")
    assert node.call("ListRoutes").routes[0].problem == "device vxlan100 does not exist"
    node.overlay()
    wait_for(lambda: route(node) == before, "the route to return", 1)


# ---- restarts ---------------------------------------------------------------------------------


def prepared(node):
    node.overlay()
    node.run("bridge fdb add 02:51:0a:2a:02:00 dev vxlan100 dst 192.0.2.2 self permanent")
    for name in ("c1", "c2"):
        node.container(name)
        node.attach(name)
    node.ok("InjectRoute", destination="10.42.2.0/24", via_interface="vxlan100", gateway="10.42.2.0")
    wait_for(lambda: "192.0.2.2" in node.out("nft list ruleset"), "the peer to be let in")
    return node.dump()


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
    assert route(node) != "" and "192.0.2.2" in node.out("nft list ruleset")


def test_a_kill_at_any_moment_loses_nothing_that_was_answered(node):
    for round_number in range(12):
        names = [f"r{round_number}c{i}" for i in range(6)]
        node.run("ip", "-batch", batch(node, names))
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
    wait_for(lambda: route(node) != "", "the route to come with its device", 1)


def rewrite(path, **changes):
    """Edits the state file as the program itself would have written it."""
    import hashlib
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


# ---- health, signals, options -----------------------------------------------------------------


def test_health_is_serving_and_stopping_ends_with_0(node):
    assert node.health() == b"\x08\x01"
    watch = node.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
    assert next(watch) == b"\x08\x01"
    node.process.send_signal(signal.SIGTERM)
    assert next(watch) == b"\x08\x02"
    assert node.process.wait(5) == 0


def test_metrics_and_probes_are_served(node):
    node.container("c1")
    node.attach("c1")
    text = node.out("curl -s http://127.0.0.1:9181/metrics")
    assert "quilt_runtime_addresses_used 1\n" in text
    assert 'quilt_runtime_rpc_calls_total{method="AttachEndpoint",outcome="ok"} 1\n' in text
    assert "quilt_runtime_attach_seconds_count 1\n" in text
    resident = int(re.search(r"process_resident_memory_bytes (\d+)", text)[1])
    if "__asan_init" not in subprocess.run(["nm", RUNTIME], capture_output=True, text=True, check=False).stdout:
        assert 0 < resident < 24 * 1024 * 1024
    assert node.out("curl -s http://127.0.0.1:9181/livez") == "ok\n"
    assert node.out("curl -s http://127.0.0.1:9181/readyz") == "ok\n"


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


@pytest.mark.parametrize("options", [
    ["--grpc-addr", "nowhere"], ["--grpc-addr", "unix:relative"], ["--metrics-addr", "127.0.0.1"],
    ["--state-dir", ""], ["--log-level", "loud"], ["--no-such-option"], ["extra"]])
def test_wrong_usage_ends_with_2(options):
    done = subprocess.run([RUNTIME, *options], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2 and "quilt-runtime: " in done.stderr


def test_beyond_loopback_it_warns_once(host):
    host.start("--grpc-addr", "0.0.0.0:50051")
    assert host.log.read_text().count("whoever reaches this address commands this node") == 1


def test_tools_are_there():
    assert all(shutil.which(tool) for tool in ("nsenter", "unshare", "ip", "bridge", "nft", "curl", "ping"))
