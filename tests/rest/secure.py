"""A control plane that speaks TLS, and clients of it: who shows a certificate, who a token, who nothing."""
import http.client
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from plane import Plane

TOKEN = re.compile(r"--token (quilt1-\S+)")


class SecurePlane(Plane):
    """Started with --tls auto; asks as the admin unless told otherwise."""

    def __init__(self, directory, *options):
        super().__init__(directory, "--tls", "auto", *options)
        self.pki = Path(directory) / "pki"

    @property
    def join_token(self):
        """The one that the first start printed."""
        return TOKEN.search(self.log_path.read_text())[1]

    def context(self, cert=None, key=None):
        context = ssl.create_default_context(cafile=self.pki / "ca-bundle.pem")
        if cert:
            context.load_cert_chain(cert, key)
        return context

    def admin(self):
        return self.context(self.pki / "admin.pem", self.pki / "admin-key.pem")

    def connect(self, timeout_s=20, context=None):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s,
                                           context=context or self.admin())

    def ask_as(self, who, method, path, body=None):
        """who: a Node, a token's text, or None for nobody."""
        if isinstance(who, Node):
            return self.ask(method, path, body, connection=self.connect(context=who.context()))
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return self.ask(method, path, body, headers, connection=self.connect(context=self.context()))

    def token(self, **wish):
        reply = self.ask("POST", "/api/tokens", wish)
        assert reply.status == 201, reply.body
        return reply.json()


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *map(str, words)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_cert(directory, name, issuer, *extensions, days=5, kind=EC):
    """A certificate and its key; issuer: such a pair, or None for itself."""
    cert, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    by = ["-CA", issuer[0], "-CAkey", issuer[1]] if issuer else []
    openssl("req", "-x509", *kind, *by, "-keyout", key, "-out", cert, "-days", days, "-subj", f"/CN={name}",
            *(word for extension in extensions for word in ("-addext", extension)))
    return cert, key


def make_ca(directory, name, issuer=None):
    return make_cert(directory, name, issuer, "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign",
                     days=10)


def make_server(directory, name, issuer, *extensions, san="IP:127.0.0.1", **options):
    return make_cert(directory, name, issuer, f"subjectAltName={san}", "basicConstraints=critical,CA:FALSE",
                     *extensions, **options)


class Node:
    """A node with its own key: OpenSSL's, so that the requests are not our own."""

    def __init__(self, plane, directory, number):
        self.plane, self.number = plane, number
        self.key, self.cert = directory / f"node{number}-key.pem", directory / f"node{number}.pem"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        self.csr = openssl("req", "-new", "-key", self.key, "-subj", "/CN=whatever")
        self.id = self.token = None

    def wish(self, **fields):
        return {"hostname": f"node{self.number}", "host_ip": f"192.168.1.{self.number}", "csr": self.csr, **fields}

    def register(self, who, **fields):
        """who: as for ask_as()."""
        reply = self.plane.ask_as(who, "POST", "/api/nodes/register", self.wish(**fields))
        if reply.status == 200:
            told = reply.json()
            self.id, self.token = told["node_id"], told.get("node_token", self.token)
            self.cert.write_text(told["certificate"])
        return reply

    def join(self, token=None):
        reply = self.register(token or self.plane.join_token)
        assert reply.status == 200, reply.body
        return self

    def context(self):
        return self.plane.context(self.cert, self.key)


# Fixtures: a test file imports those that it wants.


@pytest.fixture
def make_secure(tmp_path):
    """Makes control planes that are not started yet; all are ended with the test."""
    planes = []

    def make(*options):
        planes.append(SecurePlane(tmp_path, *options))
        return planes[-1]
    yield make
    for plane in planes:
        plane.end()


@pytest.fixture
def secure(make_secure):
    return make_secure().start()


@pytest.fixture
def make_node(secure, tmp_path):
    return lambda number: Node(secure, tmp_path, number)
