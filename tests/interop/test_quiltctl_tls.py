"""quiltctl against the real control plane over TLS, and against false ones: what is shown to whom."""
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rest"))
from secure import Node, SecurePlane, openssl  # noqa: E402 (of the tests of the REST API)

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))
QUILTCTL = BUILD / "cli/quiltctl"
NOBODY = "http://127.0.0.1:9"  # discard: nothing listens


@pytest.fixture
def plane(tmp_path):
    """Its state directory is tmp_path, as /var/lib/quilt-mesh is on a real host."""
    plane = SecurePlane(tmp_path).start()
    yield plane
    plane.end()


@pytest.fixture
def empty(tmp_path):
    """The state directory of a host that has nothing."""
    path = tmp_path / "empty"
    path.mkdir()
    return path


def run(plane, *words, state_dir=None, env=None, url=None):
    argv = [QUILTCTL, "--agent", NOBODY, "--state-dir", state_dir or plane.directory,
            "--control-plane", url or f"https://127.0.0.1:{plane.port}", *words]
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], **(env or {})}, check=False)


def ok(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def failed(result, *texts):
    assert result.returncode == 1, result.stdout
    for text in texts:
        assert text in result.stderr, result.stderr
    return result.stderr


def test_root_of_the_control_planes_host_needs_nothing(plane):
    assert "HOSTNAME" in ok(run(plane, "node", "ls"))


def test_who_has_nothing_is_told_what_would_help(plane, empty):
    failed(run(plane, "node", "ls", state_dir=empty), "--tls-ca FILE names its CA")
    failed(run(plane, "--tls-ca", plane.pki / "ca.pem", "node", "ls", state_dir=empty), "--token-file", "HTTP 401")


def test_a_token_pins_the_ca_and_needs_no_file(plane, empty):
    token = plane.token(role="viewer")["token"]
    assert "HOSTNAME" in ok(run(plane, "node", "ls", state_dir=empty, env={"QUILT_TOKEN": token}))
    (empty / "token").write_text(token + "\n")
    assert "HOSTNAME" in ok(run(plane, "--token-file", empty / "token", "node", "ls", state_dir=empty))
    failed(run(plane, "--token", token, "token", "ls", state_dir=empty), "HTTP 403", "--role admin")


def test_given_files_work(plane, empty):
    words = ["--tls-ca", plane.pki / "ca.pem", "--tls-cert", plane.pki / "admin.pem",
             "--tls-key", plane.pki / "admin-key.pem"]
    assert "HOSTNAME" in ok(run(plane, *words, "node", "ls", state_dir=empty))


def test_a_node_looks_with_its_own_certificate(plane, tmp_path, empty):
    node = Node(plane, tmp_path, 1).join()
    (empty / "tls").mkdir()
    (empty / "tls" / "ca.pem").write_bytes((plane.pki / "ca.pem").read_bytes())
    (empty / "tls" / "node.pem").write_bytes(node.cert.read_bytes())
    (empty / "tls" / "node-key.pem").write_bytes(node.key.read_bytes())
    assert "node1" in ok(run(plane, "node", "ls", state_dir=empty))
    failed(run(plane, "node", "rm", "node1", state_dir=empty), "HTTP 403")


def test_a_token_is_made_used_listed_and_removed(plane, tmp_path):
    made = run(plane, "token", "create")
    token = ok(made).strip()
    assert re.fullmatch(r"quilt1-[a-z2-7]{52}-[a-z0-9]{8}-[a-z2-7]{26}", token)
    assert f"quilt-mesh-agent --control-plane https://127.0.0.1:{plane.port}" in made.stderr
    assert token not in made.stderr
    Node(plane, tmp_path, 1).join(token)
    row = next(line for line in ok(run(plane, "token", "ls")).splitlines() if token.split("-")[2] in line)
    assert row.split()[1] == "node" and "1 of 1" in row
    assert "worthless" in ok(run(plane, "token", "rm", token.split("-")[2]))
    failed(run(plane, "token", "rm", token.split("-")[2]), "no token of this id")


def test_a_tokens_role_time_and_uses_are_as_asked(plane):
    made = json.loads(ok(run(plane, "-o", "json", "token", "create", "--role", "node", "--ttl", "2h", "--max-uses", "7")))
    assert (made["role"], made["max_uses"], made["expires_at"] - made["created_at"]) == ("node", 7, 7200)
    made = json.loads(ok(run(plane, "-o", "json", "token", "create", "--role", "admin", "--ttl", "0")))
    assert (made["role"], made["max_uses"], made["expires_at"]) == ("admin", None, None)
    assert json.loads(ok(run(plane, "-o", "json", "token", "ls")))[-1]["id"] == made["id"]


@pytest.mark.parametrize("words, text", [
    (["token", "create", "--role", "king"], "king"),
    (["token", "create", "--ttl", "1w"], "--ttl"),
    (["token", "create", "--max-uses", "many"], "--max-uses"),
    (["token", "create", "--role", "viewer", "--max-uses", "3"], "max_uses"),
    (["token", "rm", "../nodes"], "../nodes"),
])
def test_a_token_that_cannot_be_says_why(plane, words, text):
    failed(run(plane, *words), text)


@pytest.mark.parametrize("words", [
    ["node", "ls", "--ttl", "1h"], ["ca", "status", "--force"], ["--tls-cert", "x", "node", "ls"],
    ["--token", "x", "--token-file", "y", "node", "ls"],
])
def test_options_of_other_verbs_are_usage_errors(plane, words):
    assert run(plane, *words).returncode == 2


def test_a_node_is_revoked_by_name(plane, tmp_path):
    node = Node(plane, tmp_path, 1).join()
    assert "is revoked" in ok(run(plane, "node", "revoke", "node1"))
    assert plane.ask_as(node, "GET", "/api/nodes").status == 401
    failed(run(plane, "node", "revoke", "node9"), "there is none")


def test_the_ca_is_replaced_and_whom_it_waits_for_is_said(plane, tmp_path):
    assert "one CA is trusted and signs" in ok(run(plane, "ca", "status"))
    Node(plane, tmp_path, 1).join()
    said = ok(run(plane, "ca", "rotate"))
    assert "every node has to know it" in said and "node1 (up)" in said and said.count("trusted: ") == 2
    assert json.loads(ok(run(plane, "-o", "json", "ca", "status")))["step"] == "published"


def test_a_backup_is_for_the_admin(plane, tmp_path, empty):
    assert "quilt.db" in ok(run(plane, "backup", tmp_path / "quilt.db"))
    token = plane.token(role="viewer")["token"]
    failed(run(plane, "backup", tmp_path / "no.db", state_dir=empty, env={"QUILT_TOKEN": token}), "HTTP 403")


# ---- false control planes ---------------------------------------------------------------------------


class False_(http.server.BaseHTTPRequestHandler):
    """Answers everything, and remembers what it was sent."""
    seen: list = []
    ca = b""

    def do_GET(self):
        self.seen.append((self.command, self.path, dict(self.headers)))
        body = self.ca if self.path == "/api/ca" else b'{"nodes":[]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def impostor(tmp_path):
    """A server with another CA; its list of CAs is settable."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", tmp_path / "false-key.pem", "-out", tmp_path / "false.pem", "-subj", "/CN=false",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "false.pem", tmp_path / "false-key.pem")
    False_.seen, False_.ca = [], (tmp_path / "false.pem").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), False_)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.mark.parametrize("smuggles", [False, True], ids=["its own CA", "the right CA beside its own"])
def test_a_false_control_plane_is_shown_nothing(plane, impostor, empty, smuggles):
    token = plane.token(role="admin")["token"]
    if smuggles:
        False_.ca += (plane.pki / "ca.pem").read_bytes()
    url = f"https://127.0.0.1:{impostor.server_address[1]}"
    failed(run(plane, "node", "ls", state_dir=empty, env={"QUILT_TOKEN": token}, url=url))
    failed(run(plane, "node", "ls", url=url))  # as the admin, with his certificate
    assert [path for _, path, _ in False_.seen] == ["/api/ca"]
    assert token not in str(False_.seen) and "Authorization" not in str(False_.seen)


def test_a_token_is_not_shown_in_plain_http(plane, empty):
    failed(run(plane, "node", "ls", state_dir=empty, env={"QUILT_TOKEN": plane.join_token},
               url=f"http://127.0.0.1:{plane.port}"), "https:// only")


def test_plain_http_to_a_tls_port_is_told_to_be_https(plane):
    failed(run(plane, "node", "ls", url=f"http://127.0.0.1:{plane.port}"), "https://")
