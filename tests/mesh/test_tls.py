"""A mesh over TLS: joining by the line that the control plane prints, and who is not let in."""
import re
import time

import pytest
from certified import STATE, identity, metric, readyz, spare_agent, status, wait_certified
from lab.mesh import TlsMesh
from lab.traffic import ping_matrix
from lab.wait import wait_for

EXIT_USAGE = 2


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


def test_a_node_sees_the_nodes_and_is_told_who_may_see_the_ways_between_them(mesh):
    first, other = mesh.nodes[:2]
    for command in ("node ls", "status"):
        other.run(f"quiltctl {command}")
    for command, path in (("mesh", "mesh"), ("reservation ls", "reservations"), ("ca status", "ca/status")):
        first.run(f"quiltctl {command}")
        done = other.run(f"quiltctl {command}", check=False)
        assert done.returncode == 1
        assert f"a node may not GET /api/{path}; this is for a viewer or an admin" in done.stderr
        made, role = re.search("(quiltctl token create --role )(ROLE)", done.stderr).groups()
        token = first.out(made + role.replace("ROLE", "viewer")).strip()
        assert other.out(f"quiltctl {command}", env={"QUILT_TOKEN": token})


def test_status_and_metrics_tell_when_the_certificate_expires_and_which_ca_is_known(mesh):
    node = mesh.nodes[1]
    said = wait_for(lambda: (tls := status(node)["tls"])["clock_skew_s"] is not None and tls, 20, "a heartbeat", 0.2)
    assert 29 * 86400 < said["certificate_expires_at"] - time.time() < 31 * 86400
    assert said["ca_pins"] == [mesh.token.split("-")[1]]
    assert abs(said["clock_skew_s"]) <= 1
    assert metric(node, "quilt_agent_certificate_expiry_timestamp_seconds") == said["certificate_expires_at"]
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
    "rm tls/ca.pem", "echo no CA > tls/ca.pem", "rm tls/node-key.pem tls/node.pem", "rm -r tls",
    "rm agent.json agent.json.1",  # the last: it has no token of its own from then on
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


@pytest.mark.parametrize("spoil", ["rm tls/ca.pem", "rm tls/node-key.pem tls/node.pem", "rm -r tls"])
def test_files_that_are_deleted_under_a_running_agent_are_back_before_they_are_needed(mesh, spoil):
    node, agent = mesh.nodes[2], mesh.agents["node3"]
    wait_certified(node)
    read = f"cd {STATE}/tls; cat ca.pem node-key.pem node.pem"
    before, log = node.out("sh", "-c", read), agent.log()
    node.run("sh", "-c", f"cd {STATE}; {spoil}")
    mesh.control.stop()
    mesh.control.start().wait_ready()
    wait_for(lambda: node.run("sh", "-c", read, check=False).stdout == before, 20, "the same files as before")
    wait_certified(node)
    assert "level=error" not in agent.log()[len(log):]


# ---- who is not let in ------------------------------------------------------------------------------


def usage_error(mesh, words, text):
    host = mesh.nodes[0]
    done = host.run("quilt-mesh-agent", "--dataplane", "none", "--host-ip", host.ip, "--state-dir", "/var/lib/none",
                    *words, check=False)
    assert done.returncode == EXIT_USAGE
    assert text in done.stderr and mesh.token not in done.stderr


def refused(mesh, token, *texts, ip=None):
    """An agent with this token keeps trying, says why in one line, and is no node."""
    agent = spare_agent(mesh, ["--control-plane", mesh.control_url, "--token", token], ip=ip)
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


def test_an_address_that_a_host_does_not_come_from_is_refused_until_an_operator_vouches_for_it(mesh):
    refused(mesh, mesh.new_token(), "10.9.9.9 is not the address this comes from, 192.168.1.99", "--node-networks",
            ip="10.9.9.9")
    assert mesh.control.stop() == 0
    mesh.control.argv = [*mesh.control_command().split(), "--node-networks", "10.8.0.0/16,10.9.0.0/16"]
    mesh.control.start().wait_ready()
    agent = spare_agent(mesh, ["--control-plane", mesh.control_url, "--token", mesh.new_token()], ip="10.9.9.9")
    agent.wait_ready()
    assert mesh.listed()["guest"]["host_ip"] == "10.9.9.9"
    assert agent.stop() == 0
    mesh.ask("DELETE", f"/api/nodes/{mesh.listed()['guest']['node_id']}")
    mesh.lab.hosts["guest"].run("rm", "-rf", f"{STATE}/tls", f"{STATE}/agent.json")


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
    assert "access token (--token-file): open /nowhere/token: No such file" in done.stderr


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


def test_a_trace_does_not_doubt_a_runtime_that_nobody_told_to_listen_beyond_loopback(mesh):
    here, there = mesh.containers[:2]
    traced = here.host.out("quiltctl", "trace", here.ip, there.ip)
    assert ("unknown  far endpoint    cannot be asked from here (its runtime is on loopback only, or does not run): "
            f"run the same command on {there.host.name}") in traced
