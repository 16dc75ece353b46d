"""Agents and runtimes that speak over TLS, on the host's own address, with the node's certificate that the
control plane makes and renews: the node's files are all that it takes."""
import json
import re
import signal

import pytest
from lab.mesh import PKI, TlsMesh
from lab.traffic import Flow, ping_matrix
from lab.wait import wait_for

STATE = "/var/lib/quilt-mesh"
PORT = 50051
EXIT_USAGE = 2


class RuntimeTlsMesh(TlsMesh):
    """The runtime comes second: it is the agent that brings the node's certificate."""

    def url(self, node):
        return f"https://{node.ip}:{PORT}"

    def agent_command(self, node):
        return f"{super().agent_command(node)} --quilt-runtime {self.url(node)}"

    def start_runtime(self, node):
        self.runtimes[node.name] = node.start(f"quilt-runtime --grpc-addr {node.ip}:{PORT}").wait_ready()

    def start_node(self, node):
        self.agents[node.name] = node.start(self.agent_command(node))
        wait_for(lambda: node.run("test", "-s", f"{STATE}/tls/node.pem", check=False).returncode == 0, 20,
                 "the node's certificate")
        self.start_runtime(node)
        self.agents[node.name].wait_ready()

    def attach(self, container):
        answer = json.loads(container.host.out("quiltctl", "--runtime", self.url(container.host), "endpoint", "attach",
                                               container.name, container.netns, "-o", "json"))
        container.ip = answer["ip"].split("/")[0]
        return answer


def route_ls(place, url, *options):
    return place.run("quiltctl", "--runtime", url, *options, "route", "ls", check=False)


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(kind=RuntimeTlsMesh)


def test_three_hosts_carry_packets(mesh):
    assert all(ping_matrix(mesh.containers).values())
    for node in mesh.nodes:
        said = json.loads(node.out("curl", "-s", "http://127.0.0.1:9180/status"))
        assert said["problems"] == [], said


def test_a_node_does_not_command_another_one(mesh):
    first, second = mesh.nodes[1:3]
    done = route_ls(first, mesh.url(second))
    assert done.returncode == 1 and "PERMISSION_DENIED" in done.stderr, done.stderr


def test_the_admin_commands_every_node_from_the_control_planes_host(mesh):
    for node in mesh.nodes:
        done = route_ls(mesh.nodes[0], mesh.url(node), "--tls-dir", PKI)
        assert done.returncode == 0 and done.stdout.count("vxlan100") == 2, done.stderr


def traced(mesh, *options):
    first, second = mesh.containers[:2]
    done = mesh.nodes[0].run("quiltctl", "--runtime", mesh.url(mesh.nodes[0]), *options, "trace", first.ip, second.ip,
                             "-o", "json", check=False)
    report = json.loads(done.stdout)
    assert report["answered"], done.stdout
    return next(hop for hop in report["hops"] if hop["hop"] == "far endpoint")


def test_the_admins_trace_asks_the_far_runtime_and_a_nodes_says_why_it_cannot(mesh):
    far = traced(mesh, "--tls-dir", PKI)
    assert far["state"] == "ok" and "endpoint c2" in far["text"], far
    mesh.runtimes["node2"].signal(signal.SIGSTOP)
    try:
        far = traced(mesh, "--tls-dir", PKI)
    finally:
        mesh.runtimes["node2"].signal(signal.SIGCONT)
    assert far["state"] == "unknown" and "run the same command on node2" in far["text"], far


def test_who_has_no_certificate_is_told_so(mesh):
    stranger = mesh.lab.host("stranger", "192.168.1.99")
    done = route_ls(stranger, mesh.url(mesh.nodes[0]))
    assert done.returncode == 1 and "wants to see a certificate" in done.stderr, done.stderr
    done = route_ls(stranger, f"http://{mesh.nodes[0].ip}:{PORT}")
    assert done.returncode == 1, done.stdout


def test_an_agent_refuses_a_runtime_that_is_another_nodes(mesh):
    node, agent = mesh.nodes[2], mesh.agents["node3"]
    argv = list(agent.argv)
    assert agent.stop() == 0
    agent.argv = [mesh.url(mesh.nodes[1]) if word == mesh.url(node) else word for word in argv]
    agent.start().wait_log("and not this one")
    assert agent.stop() == 0
    agent.argv = argv
    agent.start().wait_ready()
    mesh.wait_joined()


def test_before_the_node_has_joined_the_runtime_says_what_to_do(mesh):
    fresh = mesh.lab.host("fresh", "192.168.1.98")
    done = fresh.run("quilt-runtime", "--grpc-addr", f"{fresh.ip}:{PORT}", check=False)
    assert done.returncode == 1 and "let its agent join a control plane of https:// first" in done.stderr


def test_with_plain_http_there_is_no_certificate_and_the_agent_says_so(mesh):
    host = mesh.nodes[0]
    done = host.run("quilt-mesh-agent", "--control-plane", "http://127.0.0.1:8080", "--host-ip", host.ip,
                    "--quilt-runtime", mesh.url(host), check=False)
    assert done.returncode == EXIT_USAGE and "goes with a control plane of https://" in done.stderr


def renewals(node):
    text = node.out("curl", "-s", "-m", "5", "http://127.0.0.1:9180/metrics")
    return int(re.search(r"^quilt_agent_certificate_renewals_total (\d+)$", text, re.M)[1])


def test_renewed_certificates_are_taken_over_without_a_restart_or_a_lost_call(bed):
    mesh = bed.mesh(kind=RuntimeTlsMesh, control_options="--node-cert-life 8s --node-timeout 3s")
    before = {node.name: renewals(node) for node in mesh.nodes}
    with Flow(mesh.containers[0], mesh.containers[1], per_second=200) as flow:
        for node in mesh.nodes:
            wait_for(lambda node=node: renewals(node) >= before[node.name] + 3, 40, f"{node.name} to renew", 0.2)
    assert flow.lost == 0, flow.report
    for node in mesh.nodes:
        log = mesh.runtimes[node.name].log()
        assert "certificate, key or CAs are new" in log
        assert "level=warn" not in log and "level=error" not in log, log
        assert mesh.agents[node.name].log().count('msg="runtime is configured"') == 1
    assert all(ping_matrix(mesh.containers).values())
