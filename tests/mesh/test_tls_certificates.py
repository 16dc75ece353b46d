"""Certificates in a mesh over TLS: they are renewed, expire, are revoked, and their CA is replaced or given."""
import json
import re
import time

from certified import STATE, identity, make_false_ca, metric, readyz, status, wait_certified
from lab import kernel
from lab.mesh import TlsMesh
from lab.traffic import Flow, ping, ping_matrix
from lab.wait import seconds_until, wait_for

# ---- renewal ----------------------------------------------------------------------------------------


def test_certificates_are_renewed_under_traffic_without_a_restart_or_a_lost_packet(bed):
    mesh = bed.mesh(kind=TlsMesh, control_options="--node-cert-life 8s --node-timeout 3s")
    for node in mesh.nodes:
        wait_certified(node)
    began = {node.name: metric(node, "quilt_agent_certificate_renewals_total") for node in mesh.nodes}
    with kernel.ChangeLog(mesh.nodes[1]) as changes, \
            Flow(mesh.containers[0], mesh.containers[1], per_second=200) as flow:
        for node in mesh.nodes:
            wait_for(lambda node=node: metric(node, "quilt_agent_certificate_renewals_total")
                     >= began[node.name] + 2, 30, lambda node=node: f"{node.name}: {status(node)}", 0.2)
        for node in mesh.nodes:
            wait_certified(node)
            assert status(node)["problems"] == []
    assert flow.lost == 0, flow.report
    assert changes.lines() == []
    log = mesh.control.log()
    assert "node down" not in log and "request denied" not in log
    assert log.count("node registered") == 3, "who renews is the same, and begins no new generation"


def expires_at(node):
    text = node.out("openssl", "x509", "-in", f"{STATE}/tls/node.pem", "-noout", "-enddate").split("=")[1].strip()
    return float(node.out("date", "-d", text, "+%s"))


def test_a_node_whose_certificate_expired_while_it_was_off_comes_back_by_itself(bed):
    mesh = bed.mesh(kind=TlsMesh, control_options="--node-cert-life 4s --node-timeout 2s")
    node, agent = mesh.nodes[1], mesh.agents["node2"]
    before = identity(node)
    assert agent.stop() == 0
    agent.argv = agent.argv[:-2]  # without the access token
    wait_for(lambda: time.time() > expires_at(node) + 1, 30, "the certificate to expire", 0.2)
    agent.start().wait_log("it shows something else").wait_ready()
    wait_certified(node)
    assert identity(node)["node_id"] == before["node_id"]
    assert identity(node)["subnet"] == before["subnet"]
    mesh.wait_joined()
    assert all(ping_matrix(mesh.containers).values())


def test_a_cut_off_node_whose_certificate_expired_meanwhile_comes_back_by_itself(bed):
    mesh = bed.mesh(kind=TlsMesh, control_options="--node-cert-life 5s --node-timeout 2s")
    node = mesh.nodes[2]
    node.set_cable(False)
    wait_for(lambda: time.time() > expires_at(node) + 1, 30, "the certificate to expire", 0.2)
    node.set_cable(True)
    wait_certified(node, 40)
    mesh.wait_joined()
    assert ping(mesh.containers[0], mesh.containers[2].ip)


# ---- revocation -------------------------------------------------------------------------------------


def peer_addresses(node):
    """Whom the firewall lets VXLAN in from."""
    return set(re.findall(r"192\.168\.1\.\d+", json.dumps(kernel.table(node))))


def test_a_revoked_node_is_dropped_by_all_keeps_what_it_has_and_comes_back_with_a_token(bed):
    mesh = bed.mesh(kind=TlsMesh)
    bad, others, agent = mesh.nodes[2], mesh.nodes[:2], mesh.agents["node3"]
    wait_certified(bad)
    node_id, subnet = mesh.listed()["node3"]["node_id"], mesh.subnet_of(bad)
    old, before = identity(bad), kernel.dump(bad)
    assert all(bad.ip in peer_addresses(node) for node in others)

    mesh.ask("POST", f"/api/nodes/{node_id}/revoke")
    cut_s = seconds_until(lambda: status(bad)["control_plane"]["mode"] != "stream", 5, "its stream to be cut")
    dropped_s = cut_s + seconds_until(
        lambda: all(subnet not in mesh.routes_of(node) and bad.ip not in peer_addresses(node) for node in others),
        5, "the others to drop it")
    assert cut_s < 1 and dropped_s < 2

    agent.wait_log("this node was revoked or removed: nothing that it shows is taken")
    answer = readyz(bad)
    assert "this node was revoked or removed" in answer and answer.endswith(" 503")
    said = bad.run("quiltctl", "status", check=False).stdout
    assert "this node was revoked or removed" in said
    assert re.search("^node +PROBLEM  removed or revoked: node3, ", said, re.MULTILINE), said
    found = json.loads(bad.run("quiltctl", "-o", "json", "doctor", check=False).stdout)["findings"]
    errors = [finding for finding in found if finding["severity"] == "error"]
    assert [error["cause"] for error in errors] == ["not-let-in"] and "accept-cluster" not in errors[0]["mend"], found
    assert kernel.difference(before, kernel.dump(bad)) == []
    assert agent.log().count("level=error") == 1
    assert metric(bad, "quilt_agent_control_plane_barred") == 1

    assert agent.stop() == 0
    wish = json.dumps({"hostname": "node3", "host_ip": bad.ip})
    again = bad.out("curl", "-sk", "-H", f"Authorization: Bearer {mesh.token}", "-d", wish,
                    f"{mesh.control_url}/api/nodes/register")
    assert f"was made before the node at {bad.ip} was revoked" in again, again
    agent.argv = [*mesh.agent_command(bad).split()[:-1], mesh.new_token(max_uses=1)]
    agent.start().wait_ready()
    wait_certified(bad)
    mesh.wait_joined()
    new = identity(bad)
    assert (new["node_id"], new["subnet"]) == (node_id, subnet)
    assert new["node_token"] != old["node_token"], "who had the old one would be the node again"
    assert all(ping_matrix(mesh.containers).values())


def test_a_node_that_leaves_keeps_neither_key_nor_certificate(bed):
    mesh = bed.mesh(kind=TlsMesh, hosts=2)
    node = mesh.nodes[1]
    answer = node.out("quiltctl", "node", "leave")
    assert "left" in answer
    assert mesh.agents["node2"].wait_end() == 0
    mesh.agents["node2"].was_told_to_end = True
    assert node.out("ls", f"{STATE}/tls") == ""
    assert mesh.listed()["node2"]["status"] == "down"


# ---- another CA -------------------------------------------------------------------------------------


def rotation(mesh):
    return mesh.get("/api/ca/status")


def test_the_ca_is_replaced_under_traffic_and_waits_for_a_node_that_is_down(bed):
    mesh = bed.mesh(kind=TlsMesh, control_options="--node-timeout 2s")
    absent = mesh.nodes[2]
    for node in mesh.nodes:
        wait_certified(node)
    old_pins = rotation(mesh)["pins"]
    assert mesh.agents["node3"].stop() == 0
    wait_for(lambda: mesh.listed()["node3"]["status"] == "down", 20, "node3 to be down")
    with Flow(mesh.containers[0], mesh.containers[1], per_second=200) as flow:
        mesh.ask("POST", "/api/ca/rotate", {})
        wait_for(lambda: [n["hostname"] for n in rotation(mesh)["waiting_for"]] == ["node3"], 20,
                 lambda: f"only node3 to be missing: {rotation(mesh)}")
        assert rotation(mesh)["step"] == "published"
        mesh.agents["node3"].start().wait_ready()
        wait_for(lambda: rotation(mesh)["step"] == "settled", 40, lambda: f"the end of it: {rotation(mesh)}", 0.2)
    assert flow.lost == 0, flow.report
    pins = rotation(mesh)["pins"]
    assert len(pins) == 1 and pins != old_pins
    for node in mesh.nodes:
        wait_for(lambda node=node: status(node)["tls"]["ca_pins"] == pins, 20,
                 lambda node=node: f"{node.name} to know only the new CA: {status(node)['tls']}")
        wait_certified(node)
        assert status(node)["problems"] == []
    mesh.agents["node2"].stop()
    mesh.agents["node2"].start().wait_ready()
    wait_certified(mesh.nodes[1])
    assert absent.name in mesh.listed()
    assert "node down" in mesh.control.log() and mesh.control.log().count("node down") == 1


def test_a_node_that_missed_the_whole_replacing_comes_back_with_a_new_token(bed):
    mesh = bed.mesh(kind=TlsMesh, control_options="--node-timeout 2s")
    agent, node = mesh.agents["node3"], mesh.nodes[2]
    subnet = mesh.subnet_of(node)
    assert agent.stop() == 0
    wait_for(lambda: mesh.listed()["node3"]["status"] == "down", 20, "node3 to be down")
    mesh.ask("POST", "/api/ca/rotate", {"force": True})
    wait_for(lambda: rotation(mesh)["step"] == "settled", 40, lambda: f"the end of it: {rotation(mesh)}", 0.2)
    agent.start().wait_log("its CA was replaced without this node")
    assert agent.stop() == 0
    agent.argv = [*mesh.agent_command(node).split()[:-1], mesh.new_token()]
    agent.start().wait_ready()
    wait_certified(node)
    mesh.wait_joined()
    assert mesh.subnet_of(node) == subnet


# ---- given certificates -----------------------------------------------------------------------------


def test_a_control_plane_with_given_certificates_is_known_by_a_given_ca(bed):
    mesh = bed.mesh(kind=TlsMesh, hosts=2, is_started=False,
                    control_options="--tls-cert /var/lib/cert.pem --tls-key /var/lib/key.pem --tls-ca /var/lib/ca.pem",
                    agent_options="--tls-ca /var/lib/ca.pem")
    mesh.ca_file = "/var/lib/ca.pem"
    make_false_ca(mesh.nodes[0])
    pem = mesh.nodes[0].out("cat", "/var/lib/ca.pem")
    for node in mesh.nodes[1:]:
        node.run("sh", "-c", f"cat > /var/lib/ca.pem <<END\n{pem}END\n")
    mesh.start_control()
    for node in mesh.nodes:
        mesh.start_node(node)
        wait_certified(node)
        assert "ca.pem" not in node.out("ls", f"{STATE}/tls").split()
    mesh.wait_joined()
