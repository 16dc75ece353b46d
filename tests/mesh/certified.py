"""What the tests of a mesh over TLS share: what an agent says of itself, an agent that is no node, and a CA of
somebody else."""
import json
import re

from lab.wait import wait_for

STATE = "/var/lib/quilt-mesh"


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


def spare_agent(mesh, words, name="agent", ip=None):
    """On a host of its own that is no node. ip: what it says its address is, if not the one it has."""
    guest = mesh.lab.hosts.get("guest") or mesh.lab.host("guest", "192.168.1.99")
    guest.run("sh", "-c", f"rm -rf {STATE}; install -d -m 700 {STATE}")
    return guest.start(["quilt-mesh-agent", "--dataplane", "none", "--host-ip", ip or guest.ip, *words], name)


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
