"""quiltctl doctor on the daemons of a node, and on its control plane."""
import json
import os
import re
import signal

import pytest

from certified import make_false_ca
from doctor import causes, doctor, only_finding, wait_healthy
from lab.mesh import PKI, TlsMesh
from lab.program import run
from lab.wait import wait_for


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, control_options="--node-timeout 20s --node-prefix 28")


@pytest.mark.parametrize("where, refusal", [("unix:/run/quilt.sock", "this user may not open the socket; be root"),
                                            ("http://127.0.0.1:50051", "this caller may not do that")])
def test_without_root_daemons_that_may_not_be_asked_are_not_said_to_be_away(bed, where, refusal):
    """The runtime is for root, and so is what tells who the control plane is."""
    listen = where.removeprefix("http://")
    mesh = bed.mesh(hosts=1, kind=TlsMesh, is_started=False, runtime_options=f"--grpc-addr {listen}",
                    agent_options=f"--quilt-runtime {where}")
    mesh.start_control()
    node = mesh.nodes[0]
    mesh.start_node(node)
    words = ["quiltctl", "--runtime", where, "-o", "json", "doctor"]
    wait_for(lambda: json.loads(node.run(*words, check=False).stdout)["healthy"], 20, "root to find nothing")
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    found = json.loads(node.run(*nobody, *words, check=False).stdout)["findings"]
    assert {f["cause"] for f in found} == {"not-tried"}, found
    shown = {f["what"]: f["shows"] for f in found}
    assert refusal in shown["the runtime was not asked"]
    assert "is for root" in shown["the control plane was not asked"]
    status = node.run(*nobody, *words[:3], "status", check=False)
    assert status.returncode == 0, status.stdout
    assert re.search("^runtime +unknown +not asked", status.stdout, re.MULTILINE), status.stdout


def test_an_absent_control_plane_is_the_only_finding(mesh):
    mesh.control.kill()
    try:
        wait_for(lambda: causes(mesh.nodes[1]) == ["control-plane-away"], 20,
                 lambda: str(causes(mesh.nodes[1])), 0.2)
        assert "packets pass on, but" in only_finding(mesh.nodes[1])["what"]
    finally:
        mesh.control.start().wait_ready()
    wait_healthy(mesh.nodes[1])


def test_what_this_host_cannot_show_is_not_blamed_on_the_control_plane(bed):
    mesh = bed.mesh(hosts=1, kind=TlsMesh)
    node = mesh.nodes[0]
    wait_healthy(node)
    for option, missing in (("--token-file", "/nowhere/token"), ("--tls-dir", "/nowhere")):
        done = node.run("quiltctl", option, missing, "-o", "json", "doctor", check=False)
        found = json.loads(done.stdout)["findings"]
        assert [f["cause"] for f in found] == ["not-tried"], found
        assert found[0]["what"] == "the control plane was not asked" and missing in found[0]["shows"]
        told = node.run("quiltctl", option, missing, "status", check=False)
        assert told.returncode == 1 and "not asked: what it would be shown is no good" in told.stdout
        assert missing in told.stdout


HEALTHY_BUT = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200 if self.path == "/health" else STATUS)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    do_GET = do_POST = answer
server = ThreadingHTTPServer(("127.0.0.1", 8082), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("status", [410, 500])
def test_a_control_plane_that_answers_the_agent_with_errors_is_not_said_to_be_away(mesh, status):
    node = mesh.nodes[1]
    played = node.start(["/usr/bin/python3", "-c", HEALTHY_BUT.replace("STATUS", str(status))],
                        "played").wait_log("listening")
    mesh.agents[node.name].stop()
    agent = node.start(mesh.agent_command(node).replace(mesh.control_url, "http://127.0.0.1:8082"), "agent-astray")
    try:
        wait_for(lambda: causes(node) == ["control-plane-error"], 10, lambda: str(doctor(node)), 0.2)
        assert f"the control plane answered {status}" in only_finding(node)["shows"]
    finally:
        agent.stop()
        played.kill()
        mesh.agents[node.name].start().wait_ready()
    wait_healthy(node)


def make_expired(host):
    """Of the right CA, for the right address, and over."""
    host.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
             "/var/lib/key.pem", "-out", "/var/lib/csr.pem", "-subj", "/CN=control")
    host.run("sh", "-c", f"echo subjectAltName=IP:{host.ip} > /var/lib/ext")
    host.run("openssl", "x509", "-req", "-in", "/var/lib/csr.pem", "-CA", f"{PKI}/ca.pem", "-CAkey",
             f"{PKI}/ca-key.pem", "-extfile", "/var/lib/ext", "-days", "-1", "-out", "/var/lib/cert.pem")
    host.run("cp", f"{PKI}/ca.pem", "/var/lib/ca.pem")


@pytest.mark.parametrize("make, shown", [(make_false_ca, "none of the CAs"), (make_expired, "expired")])
def test_a_control_plane_that_is_not_believed_is_not_said_to_be_away(bed, make, shown):
    mesh = bed.mesh(kind=TlsMesh, hosts=2)
    first, node = mesh.nodes
    wait_healthy(node)
    make(first)
    assert mesh.control.stop() == 0
    false = first.start(["/usr/bin/python3", "-B", str(mesh.lab.tool("false_control.py")), first.ip, "8080",
                         "/var/lib/cert.pem", "/var/lib/key.pem", "/var/lib/ca.pem", "/var/lib/record"],
                        "false-control").wait_ready()
    for host in mesh.nodes:
        wait_for(lambda host=host: causes(host) == ["control-plane-untrusted"], 10, lambda host=host: str(doctor(host)))
        found = only_finding(host)
        assert shown in found["shows"] and "packets pass on" in found["what"]
    false.stop()
    mesh.control.start().wait_ready()
    wait_healthy(node)


def test_a_control_plane_whose_disk_is_full_is_not_said_to_be_away(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    first, other = mesh.nodes
    first.run("mkdir", "-p", "/var/lib/quilt-mesh")
    first.run("mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "quilt-test", "/var/lib/quilt-mesh")
    mesh.start_all()
    mesh.wait_settled()
    first.run("dd", "if=/dev/zero", "of=/var/lib/quilt-mesh/full", "bs=4k", check=False)
    first.run("quiltctl", "node", "reserve", "node7", "10.42.77.0/24", check=False)
    found = only_finding(other)
    assert found["cause"] == "control-plane-ill" and "no room" in found["shows"]
    assert "answers that it is not well" in other.run("quiltctl", "status", check=False).stdout
    first.run("rm", "/var/lib/quilt-mesh/full")
    wait_healthy(other)


def test_an_absent_agent_is_the_only_finding(mesh):
    node = mesh.nodes[1]
    agent = mesh.agents[node.name]
    agent.kill()
    try:
        assert causes(node) == ["agent-away"]
    finally:
        agent.start().wait_ready()
    wait_healthy(node)


@pytest.mark.parametrize("flush", ["flush ruleset", "flush table inet quilt", "delete table inet quilt"])
def test_filters_that_are_gone_while_the_runtime_is_away_are_named_and_its_start_brings_them_back(mesh, flush):
    node, runtime = mesh.nodes[1], mesh.runtimes["node2"]
    runtime.kill()
    try:
        before = node.net("nft", "-s", "list", "table", "inet", "quilt").stdout
        assert causes(node) == ["runtime-away"]
        node.net("nft", flush)
        found = doctor(node)["findings"]
        assert [f["cause"] for f in found] == ["runtime-away", "filters-gone"], found
        assert "a start of the runtime brings it back" in found[1]["mend"]
    finally:
        runtime.start().wait_ready()
    wait_healthy(node)
    assert "masquerade" in before and node.net("nft", "-s", "list", "table", "inet", "quilt").stdout == before


def test_daemons_that_hang_are_away_and_cost_little_time(mesh):
    node = mesh.nodes[1]
    daemons = [mesh.agents[node.name], mesh.runtimes[node.name]]
    for daemon in daemons:
        daemon.signal(signal.SIGSTOP)
    try:
        assert causes(node) == ["agent-away", "runtime-away"]
    finally:
        for daemon in daemons:
            daemon.signal(signal.SIGCONT)
    wait_healthy(node)


def test_a_daemon_that_is_near_its_limit_of_open_files_is_named(mesh):
    node, agent = mesh.nodes[1], mesh.agents["node2"]
    holder = node.start(["/usr/bin/python3", "-c",
                         "import socket, time\nheld = [socket.create_connection(('127.0.0.1', 9180)) for _ in range(30)]"
                         "\nprint('held', flush=True)\ntime.sleep(600)"], "holder").wait_log("held")
    wait_for(lambda: len(os.listdir(f"/proc/{agent.pid}/fd")) > 40, 5, "the connections to be taken")
    limit = len(os.listdir(f"/proc/{agent.pid}/fd")) * 100 // 90
    run(["prlimit", "--pid", str(agent.pid), f"--nofile={limit}:4096"])
    try:
        findings = {finding["cause"]: finding for finding in doctor(node)["findings"]}
    finally:
        run(["prlimit", "--pid", str(agent.pid), "--nofile=1024:4096"])
        holder.kill()
    # The few files that are left may be gone before doctor asks the agent: then it does not answer, either.
    assert "files-low" in findings and findings.keys() <= {"files-low", "agent-away"}, findings
    assert "quilt-mesh-agent" in findings["files-low"]["what"] and f"of {limit}" in findings["files-low"]["shows"]
    wait_healthy(node)


def test_a_cluster_whose_network_is_near_its_end_is_named(bed):
    mesh = bed.mesh(hosts=2, control_options="--cluster-cidr 10.42.0.0/21")
    wait_healthy(mesh.nodes[1])
    ids = [mesh.register(f"far{number}", f"192.168.1.{200 + number}")["node_id"] for number in range(4)]
    for node_id in ids:  # they are none that anybody should reach
        mesh.nodes[0].run("curl", "-sS", "-f", "-X", "POST", f"{mesh.control_url}/api/nodes/{node_id}/deregister")
    wait_for(lambda: causes(mesh.nodes[1]) == ["subnets-low"], 10, lambda: str(doctor(mesh.nodes[1])))
    assert "6 of 6" in only_finding(mesh.nodes[1])["shows"]
    mesh.nodes[0].run("curl", "-sS", "-f", "-X", "DELETE", f"{mesh.control_url}/api/nodes/{ids[0]}")
    wait_healthy(mesh.nodes[1])


def test_clocks_that_differ_are_named(mesh):
    """The control plane tells its time with each heartbeat; a proxy turns its clock."""
    node = mesh.nodes[1]
    node.start(["/usr/bin/python3", str(mesh.lab.tool("proxy.py")), "127.0.0.1", "8081",
                mesh.control_url, "120"], "proxy").wait_log("listening")
    mesh.agents[node.name].stop()
    mesh.agents[node.name] = node.start(
        mesh.agent_command(node).replace(mesh.control_url, "http://127.0.0.1:8081"),
        "quilt-mesh-agent-2").wait_ready()
    wait_for(lambda: causes(node) == ["clock-skew"], 30, lambda: str(doctor(node)), 0.5)
    assert "120 s ahead" in only_finding(node)["shows"] or "119 s ahead" in only_finding(
        node)["shows"]


def test_a_node_that_got_another_subnet_is_told_how_its_containers_get_there(bed):
    mesh = bed.mesh(hosts=2)
    node = mesh.nodes[1]
    mesh.nodes[0].run("quiltctl node rm node2")
    wait_for(lambda: causes(node) == ["subnet-changed"], 20, lambda: str(doctor(node)), 0.5)
    found = only_finding(node)
    assert found["shows"] == "the node's subnet is 10.42.3.0/24, the runtime's is 10.42.2.0/24, with 1 endpoint"
    node.run("quiltctl endpoint detach c2")
    wait_healthy(node)
    assert mesh.attach(mesh.containers[1])["ip"].startswith("10.42.3.")
