"""A mesh over TLS: joining by the line that the control plane prints, certificates that are renewed,
nodes that are revoked, a CA that is replaced; and what a false control plane gets to see."""
import json
import re
import time

import pytest
from lab import kernel
from lab.mesh import PKI, TlsMesh
from lab.traffic import Flow, ping, ping_matrix
from lab.wait import seconds_until, wait_for

STATE = "/var/lib/quilt-mesh"
EXIT_USAGE = 2


def status(node):
    return json.loads(node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/status"))


def readyz(node):
    return node.out("curl", "-s", "-m", "5", "-w", " %{http_code}", "http://127.0.0.1:9180/readyz")


def metric(node, name):
    text = node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/metrics")
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE)[1])


def identity(node):
    return json.loads(node.out("cat", f"{STATE}/agent.json"))["content"]["identity"]


def is_certified(node):
    said = status(node)
    return said["control_plane"]["mode"] == "stream" and said["tls"]["shows"] == "the certificate"


def wait_certified(node, deadline_s=20):
    wait_for(lambda: is_certified(node), deadline_s, lambda: f"{node.name} to show its certificate: {status(node)}")


# ---- joining ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(kind=TlsMesh)


def test_three_hosts_that_join_by_the_printed_line_carry_packets(mesh):
    assert all(ping_matrix(mesh.containers).values())
    assert [mesh.subnet_of(node) for node in mesh.nodes] == ["10.42.1.0/24", "10.42.2.0/24", "10.42.3.0/24"]
    for node in mesh.nodes:
        wait_certified(node)
        assert mesh.agents[node.name].log().count("level=warn") == 1, "only that the command line is seen by others"


def test_what_is_secret_is_for_root_alone(mesh):
    node = mesh.nodes[1]
    assert node.out("stat", "-c", "%a", f"{STATE}/tls").strip() == "700"
    modes = node.out("sh", "-c", f"stat -c '%a %n' {STATE}/tls/*").split("\n")
    assert sorted(line.split("/")[-1] for line in modes if line) == ["ca.pem", "node-key.pem", "node.pem"]
    assert all(line.startswith("600 ") for line in modes if line)
    assert "PRIVATE KEY" not in mesh.agents[node.name].log() and mesh.token not in mesh.agents[node.name].log()


def test_status_and_metrics_tell_when_the_certificate_expires_and_which_ca_is_known(mesh):
    node = mesh.nodes[1]
    said = wait_for(lambda: (tls := status(node)["tls"])["clock_skew_s"] is not None and tls, 20, "a heartbeat", 0.2)
    assert 29 * 86400 < said["certificate_expires_at"] - time.time() < 31 * 86400
    assert said["ca_pins"] == [mesh.token.split("-")[1]]
    assert abs(said["clock_skew_s"]) <= 1
    assert metric(node, "quilt_agent_certificate_expires_seconds") == said["certificate_expires_at"]
    assert metric(node, f'quilt_agent_ca_info{{pin="{said["ca_pins"][0]}"}}') == 1


def test_a_restart_needs_no_token_and_ignores_the_one_that_is_given_again(mesh):
    node, agent = mesh.nodes[2], mesh.agents["node3"]
    uses = mesh.get("/api/tokens")["tokens"]
    assert agent.stop() == 0
    agent.argv = mesh.agent_command(node).split()[:-2]
    agent.start().wait_ready()
    assert agent.stop() == 0
    agent.argv = mesh.agent_command(node).split()
    agent.start().wait_ready()
    wait_certified(node)
    assert mesh.get("/api/tokens")["tokens"] == uses
    assert mesh.subnet_of(node) == "10.42.3.0/24"


@pytest.mark.parametrize("spoil", [
    "rm tls/node-key.pem", "echo no key > tls/node-key.pem", "rm tls/node.pem", "truncate -s 100 tls/node.pem",
    "rm tls/ca.pem", "echo no CA > tls/ca.pem", "rm tls/node-key.pem tls/node.pem", "rm agent.json agent.json.1",
])
def test_a_node_recovers_from_lost_and_damaged_files_without_a_token(mesh, spoil):
    node, agent = mesh.nodes[2], mesh.agents["node3"]
    before = identity(node)["node_id"]
    wait_certified(node)
    assert agent.stop() == 0
    node.run("sh", "-c", f"cd {STATE}; {spoil}")
    agent.argv = mesh.agent_command(node).split()[:-2]
    agent.start().wait_ready()
    wait_certified(node)
    assert identity(node)["node_id"] == before
    agent.argv = mesh.agent_command(node).split()
    mesh.wait_joined()


# ---- who is not let in ------------------------------------------------------------------------------


def spare_agent(mesh, words, name="agent"):
    """On a host of its own that is no node."""
    guest = mesh.lab.hosts.get("guest") or mesh.lab.host("guest", "192.168.1.99")
    guest.run("sh", "-c", f"rm -rf {STATE}; install -d -m 700 {STATE}")
    return guest.start(["quilt-mesh-agent", "--dataplane", "none", "--host-ip", guest.ip, *words], name)


def usage_error(mesh, words, text):
    host = mesh.nodes[0]
    done = host.run("quilt-mesh-agent", "--dataplane", "none", "--host-ip", host.ip, "--state-dir", "/var/lib/none",
                    *words, check=False)
    assert done.returncode == EXIT_USAGE
    assert text in done.stderr and mesh.token not in done.stderr


def refused(mesh, token, *texts):
    """An agent with this token keeps trying, says why in one line, and is no node."""
    agent = spare_agent(mesh, ["--control-plane", mesh.control_url, "--token", token])
    try:
        for text in texts:
            agent.wait_log(text)
        log = agent.log()[agent.ready_from:]
        assert "guest" not in mesh.listed()
        assert log.count("level=error") == 1, log
        answer = readyz(mesh.lab.hosts["guest"])
        assert texts[0] in answer and answer.endswith(" 503"), answer
    finally:
        agent.stop()


def test_a_wrong_token_is_refused_with_what_to_do(mesh):
    refused(mesh, mesh.token[:-26] + "a" * 26, "is not known here", "quiltctl token create")


def test_an_expired_token_is_refused(mesh):
    token = mesh.new_token(ttl_secs=1)
    time.sleep(2.1)
    refused(mesh, token, "has expired")


def test_a_removed_token_is_refused(mesh):
    token = mesh.new_token()
    mesh.ask("DELETE", f"/api/tokens/{token.split('-')[2]}")
    refused(mesh, token, "is not known here")


def test_a_token_of_another_role_is_refused(mesh):
    refused(mesh, mesh.new_token(role="viewer"), "a viewer may not")


def test_a_used_token_is_refused_and_a_new_one_in_its_file_is_found(mesh):
    token, guest = mesh.new_token(max_uses=1), mesh.lab.hosts.get("guest") or mesh.lab.host("guest", "192.168.1.99")
    first = mesh.lab.host("first", "192.168.1.98")
    joined = first.start(["quilt-mesh-agent", "--dataplane", "none", "--host-ip", first.ip, "--control-plane",
                          mesh.control_url, "--token", token]).wait_ready()
    refused(mesh, token, "has been used as often as it may be (1)")
    guest.run("sh", "-c", f"echo {token} > /var/lib/token")
    agent = spare_agent(mesh, ["--control-plane", mesh.control_url, "--token-file", "/var/lib/token"], "by-file")
    agent.wait_log("has been used as often as it may be")
    guest.run("sh", "-c", f"echo '  {mesh.new_token()}' > /var/lib/token")
    agent.wait_ready(40)
    assert "guest" in mesh.listed()
    for program, host in ((agent, guest), (joined, first)):
        assert program.stop() == 0
        mesh.ask("DELETE", f"/api/nodes/{mesh.listed()[host.name]['node_id']}")
    guest.run("rm", "-rf", f"{STATE}/tls", f"{STATE}/agent.json")


def other_control(mesh):
    """Another cluster's control plane on a host of its own, and its token."""
    other = mesh.lab.hosts.get("other") or mesh.lab.host("other", "192.168.1.97")
    program = other.start(["quilt-mesh-control", "--listen", f"{other.ip}:8080", "--db-path", "/var/lib/other.db",
                           "--tls", "auto"], "quilt-mesh-control").wait_log("--token ")
    return program, re.search(r"--token (\S+)", program.log())[1]


def test_a_token_of_another_cluster_is_refused_before_anything_is_sent(mesh):
    program, token = other_control(mesh)
    denials = mesh.control.log().count("request denied")
    refused(mesh, token, "none of the 1 CAs is the one of the token")
    assert mesh.control.log().count("request denied") == denials
    program.stop()


@pytest.mark.parametrize("words, text", [
    (["--token", "quilt1-cut"], "it is cut off"),
    (["--token", "x"], "it does not begin with quilt1-"),
    (["--token", "TOKEN", "--token-file", "/x"], "give one of --token and --token-file"),
    (["--tls-cert", "/x"], "--tls-cert and --tls-key go together"),
    (["--control-plane", "http://192.168.1.11:8080"], "speak HTTPS, or none"),
    ([], "give an access token with --token-file"),
])
def test_what_cannot_be_meant_is_a_usage_error_that_says_what_to_do(mesh, words, text):
    words = [mesh.token if word == "TOKEN" else word for word in words]
    usage_error(mesh, ["--control-plane", mesh.control_url, *words], text)


def test_a_token_file_that_is_not_there_stops_a_new_node_and_is_named(mesh):
    host = mesh.nodes[0]
    done = host.run("quilt-mesh-agent", "--dataplane", "none", "--host-ip", host.ip, "--state-dir", "/var/lib/none",
                    "--control-plane", mesh.control_url, "--token-file", "/nowhere/token", check=False)
    assert done.returncode == 1
    assert "access token: open /nowhere/token: No such file" in done.stderr


@pytest.mark.parametrize("words, text", [
    (["--token", "TOKEN"], "go with a control plane of https://"),
    (["--token-file", "/x"], "go with a control plane of https://"),
    (["--tls-ca", "/x"], "go with a control plane of https://"),
])
def test_secrets_do_not_go_with_plain_http(mesh, words, text):
    words = [mesh.token if word == "TOKEN" else word for word in words]
    usage_error(mesh, ["--control-plane", mesh.control_url.replace("https", "http"), *words], text)


def test_who_asks_by_http_is_told_to_use_https(mesh):
    agent = spare_agent(mesh, ["--control-plane", mesh.control_url.replace("https", "http")], "plain")
    agent.wait_log("plain HTTP beyond this host").wait_log("this port speaks HTTPS only")
    assert agent.stop() == 0


# ---- a false control plane --------------------------------------------------------------------------


def openssl(host, *words):
    host.run("openssl", *words)


def make_false_ca(host):
    """A CA of somebody else, and a certificate of it for the host's address."""
    openssl(host, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            "/var/lib/ca-key.pem", "-out", "/var/lib/ca.pem", "-days", "10", "-subj", "/CN=Quilt Mesh CA", "-addext",
            "basicConstraints=critical,CA:TRUE")
    openssl(host, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-CA",
            "/var/lib/ca.pem", "-CAkey", "/var/lib/ca-key.pem", "-keyout", "/var/lib/key.pem", "-out",
            "/var/lib/cert.pem", "-days", "5", "-subj", "/CN=control", "-addext", f"subjectAltName=IP:{host.ip}",
            "-addext", "basicConstraints=critical,CA:FALSE")


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
            assert "none of the CAs" in " ".join(status(node)["problems"])
        wait_for(lambda: false.log().count("handshake") + false.log().count("refused") > 10, 20, "more attempts", 0.2)
        false.stop()
        assert recorded(first, "/var/lib/record") == ([], "")
        mesh.control.start().wait_ready()
        for node in mesh.nodes:
            wait_certified(node)
    assert flow.lost == 0, flow.report
    assert [kernel.difference(before[node.name], kernel.dump(node)) for node in mesh.nodes] == [[], [], []]
    assert all(status(node)["problems"] == [] for node in mesh.nodes)


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
    assert "this node was revoked or removed" in bad.run("quiltctl", "status", check=False).stdout
    assert kernel.difference(before, kernel.dump(bad)) == []
    assert agent.log().count("level=error") == 1
    assert metric(bad, "quilt_agent_control_plane_barred") == 1

    assert agent.stop() == 0
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
