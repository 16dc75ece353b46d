"""With --conntrack all the hosts track what goes from container to container: stateful rules and NAT of the
hosts' own hold for it. Without it, they see nothing of it but what is unusual."""
import pytest

from lab.traffic import TRANSFER_PORT, Flow, ping, transfer

SOME_BYTES = 4 << 20
NOBODY = "10.42.2.200"


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, agent_options="--dataplane kernel", runtime_options="--conntrack all")


def nft(node, *commands):
    for command in commands:
        node.net("nft", command)


@pytest.fixture(name="door")
def fixture_door(mesh):
    """node2 lets connections in to one port of its container, and what belongs to them."""
    node, (first, second) = mesh.nodes[1], mesh.containers
    make_door(node, first, second)
    yield
    nft(node, "delete table inet door")


def make_door(node, first, second):
    nft(node, "add table inet door", "add chain inet door f { type filter hook forward priority 0; }",
        "add rule inet door f ct state established,related accept",
        f"add rule inet door f ip saddr {first.ip} ip daddr {second.ip} tcp dport {TRANSFER_PORT} ct state new accept",
        f"add rule inet door f ip daddr {{ {first.ip}, {second.ip} }} counter drop")


def test_a_stateful_rule_lets_answers_through_and_nothing_else(mesh, door):
    first, second = mesh.containers
    transfer(first, second, SOME_BYTES)
    assert not ping(first, second.ip, deadline_s=1)
    assert not ping(second, first.ip, deadline_s=1)


def test_nat_between_containers_is_undone_for_the_answers(mesh):
    node, (first, second) = mesh.nodes[0], mesh.containers
    nft(node, "add table ip detour", "add chain ip detour p { type nat hook prerouting priority -100; }",
        f"add rule ip detour p ip daddr {NOBODY} dnat to {second.ip}")
    try:
        assert ping(first, NOBODY)
        text = first.out("ping", "-n", "-c", "1", "-W", "2", NOBODY)
        assert f"from {NOBODY}" in text, text
    finally:
        nft(node, "delete table ip detour")


def test_a_runtime_that_begins_or_ceases_to_track_loses_nothing(mesh):
    runtime = mesh.runtimes["node1"]
    with Flow(mesh.containers[0], mesh.containers[1]) as there, \
            Flow(mesh.containers[1], mesh.containers[0], port=7011) as back:
        for word in ("outside", "all"):
            runtime.stop()
            runtime.argv[-1] = word
            runtime.start().wait_ready()
            mesh.wait_settled()
    for flow in (there, back):
        assert (flow.lost, flow.refused) == (0, 0), flow.report


def test_without_it_such_a_rule_sees_nothing_of_what_is_plain(bed):
    mesh = bed.mesh(hosts=2, agent_options="--dataplane kernel")
    node, (first, second) = mesh.nodes[1], mesh.containers
    nft(node, "add table inet door", "add chain inet door f { type filter hook forward priority 0; }",
        f"add rule inet door f ip daddr {second.ip} counter drop")
    transfer(first, second, SOME_BYTES)
    assert ping(first, second.ip)
    assert "packets 0 " in node.out("nft", "list", "chain", "inet", "door", "f")
    first.run("ping", "-n", "-c", "1", "-W", "1", "-s", "2000", second.ip, check=False)  # fragments, put together
    assert "packets 1 " in node.out("nft", "list", "chain", "inet", "door", "f")
