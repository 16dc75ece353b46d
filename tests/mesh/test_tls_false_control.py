"""What a false control plane gets to see of the agents that come to it: nothing that is secret."""
import re

import pytest
from certified import STATE, make_false_ca, spare_agent, status, wait_certified
from lab import kernel
from lab.mesh import PKI, TlsMesh
from lab.traffic import Flow
from lab.wait import wait_for


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(kind=TlsMesh)


def start_false(mesh, host, cert, key, ca, record):
    return host.start(["/usr/bin/python3", "-B", str(mesh.lab.tool("false_control.py")), host.ip, "8080", cert, key,
                       ca, record], "false-control").wait_ready()


def recorded(host, record):
    """The request lines that the false control plane has read, and all other bytes of interest."""
    text = host.run("cat", record, check=False).stdout
    return re.findall(r"^([A-Z]+ \S+) HTTP/1\.1\r?$", text, re.MULTILINE), text


@pytest.fixture(scope="module")
def false_host(mesh):
    host = mesh.lab.host("false", "192.168.1.66")
    make_false_ca(host)
    return host


@pytest.fixture
def true_ca(mesh, false_host):
    """The true CA's certificate is for everybody to have: on the false host, too."""
    pem = mesh.nodes[0].out("cat", f"{PKI}/ca.pem")
    false_host.run("sh", "-c", f"cat > /var/lib/true-ca.pem <<END\n{pem}END\n")
    return "/var/lib/true-ca.pem"


def meet_false(mesh, host, cert, key, ca, text):
    """An agent joins at the false control plane; what that one has read."""
    host.run("rm", "-f", "/var/lib/record")
    false = start_false(mesh, host, cert, key, ca, "/var/lib/record")
    agent = spare_agent(mesh, ["--control-plane", f"https://{host.ip}:8080", "--token", mesh.token], "deceived")
    agent.wait_log(text)
    handshakes = false.log()[false.ready_from:].count("handshake")
    wait_for(lambda: false.log()[false.ready_from:].count("handshake") + false.log()[false.ready_from:].count("refused")
             > handshakes or text.startswith("none"), 20, "another attempt", 0.2)
    assert agent.stop() == 0
    false.stop()
    lines, text = recorded(host, "/var/lib/record")
    secret = mesh.token.rsplit("-", 1)[1]
    assert "Authorization" not in text and secret not in text and "csr" not in text and "new_token" not in text
    return lines


def test_one_with_a_ca_of_its_own_is_asked_for_its_cas_and_for_nothing_else(mesh, false_host):
    lines = meet_false(mesh, false_host, "/var/lib/cert.pem", "/var/lib/key.pem", "/var/lib/ca.pem",
                       "none of the 1 CAs is the one of the token")
    assert set(lines) == {"GET /api/ca"}


def test_one_that_tells_the_true_ca_without_having_its_key_gets_no_further(mesh, false_host, true_ca):
    lines = meet_false(mesh, false_host, "/var/lib/cert.pem", "/var/lib/key.pem", true_ca,
                       "which is none of the CAs in")
    assert set(lines) == {"GET /api/ca"}


def test_a_node_that_shows_its_own_certificate_as_the_control_planes_gets_no_further(mesh, false_host, true_ca):
    """The CA itself has made that certificate, for both ends of a connection, and for this address."""
    traitor = false_host.start(["quilt-mesh-agent", "--dataplane", "none", "--host-ip", false_host.ip,
                                "--control-plane", mesh.control_url, "--token", mesh.token]).wait_ready()
    lines = meet_false(mesh, false_host, f"{STATE}/tls/node.pem", f"{STATE}/tls/node-key.pem", true_ca,
                       "it is not the control plane")
    assert set(lines) == {"GET /api/ca"}
    assert traitor.stop() == 0
    mesh.ask("DELETE", f"/api/nodes/{mesh.listed()['false']['node_id']}")


def test_nodes_send_nothing_to_one_that_takes_the_control_planes_place(bed):
    mesh = bed.mesh(kind=TlsMesh)
    first = mesh.nodes[0]
    make_false_ca(first)
    before = {node.name: kernel.dump(node) for node in mesh.nodes}
    with Flow(mesh.containers[1], mesh.containers[2], per_second=100) as flow:
        assert mesh.control.stop() == 0
        false = start_false(mesh, first, "/var/lib/cert.pem", "/var/lib/key.pem", "/var/lib/ca.pem", "/var/lib/record")
        for node in mesh.nodes:
            mesh.agents[node.name].wait_log("which is none of the CAs in")
            said = status(node)
            assert "none of the CAs" in " ".join(said["problems"]) and said["control_plane"]["untrusted"]
        wait_for(lambda: false.log().count("handshake") + false.log().count("refused") > 10, 20, "more attempts", 0.2)
        false.stop()
        assert recorded(first, "/var/lib/record") == ([], "")
        mesh.control.start().wait_ready()
        for node in mesh.nodes:
            wait_certified(node)
    assert flow.lost == 0, flow.report
    assert [kernel.difference(before[node.name], kernel.dump(node)) for node in mesh.nodes] == [[], [], []]
    said = [status(node) for node in mesh.nodes]
    assert all(s["problems"] == [] and not s["control_plane"]["untrusted"] for s in said), said
