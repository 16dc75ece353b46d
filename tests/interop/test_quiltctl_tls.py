"""quiltctl against the real control plane over TLS, and against false ones: what is shown to whom, and what
a person is told who may not, or has not what it takes."""
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rest"))
from plane import Plane  # noqa: E402 (of the tests of the REST API)
from secure import Node, SecurePlane, openssl  # noqa: E402 (of the tests of the REST API)

from lab.wait import wait_for  # noqa: E402 (the tests' own package)

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))
QUILTCTL = BUILD / "cli/quiltctl"
NOBODY = "http://127.0.0.1:9"  # discard: nothing listens
TOKEN = re.compile(r"quilt1-[a-z2-7]{52}-([a-z0-9]{8})-[a-z2-7]{26}")


@pytest.fixture
def plane(tmp_path):
    plane = SecurePlane(tmp_path).start()
    yield plane
    plane.end()


class Place:
    """A host as quiltctl sees it: its state directory, and the control plane's directory if it is here."""

    def __init__(self, url, state_dir, tls_dir=None):
        state_dir.mkdir(exist_ok=True)
        self.url, self.state_dir, self.tls_dir = url, state_dir, tls_dir

    def run(self, *words, env=None, url=None, prefix=()):
        argv = [*prefix, QUILTCTL, "--agent", NOBODY, "--runtime", NOBODY, "--state-dir", self.state_dir]
        argv += ["--control-plane", url or self.url] if url or self.url else []
        argv += ["--tls-dir", self.tls_dir] if self.tls_dir else []
        return subprocess.run([str(word) for word in (*argv, *words)], capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], **(env or {}),
                                   **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}},
                              check=False)

    def ok(self, *words, **kwargs):
        """What it printed; it had nothing to complain about."""
        result = self.run(*words, **kwargs)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def json(self, *words, **kwargs):
        return json.loads(self.ok("-o", "json", *words, **kwargs))

    def fails(self, *words, **kwargs):
        """The one line that it complained with."""
        result = self.run(*words, **kwargs)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("quiltctl: ") and result.stderr.count("\n") == 1, result.stderr
        return result.stderr[len("quiltctl: "):-1]


@pytest.fixture
def here(plane, tmp_path):
    """The control plane's host, as root."""
    return Place(f"https://127.0.0.1:{plane.port}", tmp_path / "here", plane.pki)


@pytest.fixture
def afar(plane, tmp_path):
    """A host that has nothing."""
    return Place(f"https://127.0.0.1:{plane.port}", tmp_path / "afar")


@pytest.fixture
def on_node(plane, tmp_path):
    """A node, as root: its agent's files."""
    place = Place(f"https://127.0.0.1:{plane.port}", tmp_path / "node")
    place.node = Node(plane, tmp_path, 1).join()
    (place.state_dir / "tls").mkdir()
    shutil.copy(plane.pki / "ca-bundle.pem", place.state_dir / "tls/ca.pem")
    shutil.copy(place.node.cert, place.state_dir / "tls/node.pem")
    shutil.copy(place.node.key, place.state_dir / "tls/node-key.pem")
    return place


# ---- who one is -------------------------------------------------------------------------------------


def test_root_of_the_control_planes_host_needs_nothing(here):
    assert here.json("node", "ls") == []
    assert len(here.json("token", "ls")) == 1


def test_a_node_looks_as_itself(on_node):
    assert [node["hostname"] for node in on_node.json("node", "ls")] == ["node1"]
    assert on_node.fails("node", "rm", "node1") == (
        f"remove node: a node may not DELETE /api/nodes/:id; this is for an admin (HTTP 403 from {on_node.url}); it was "
        f"shown {on_node.state_dir}/tls/node.pem; be root on the control plane's host, who is an admin (--tls-dir DIR, where it has one), or give a token of such a role "
        "(--token-file FILE): quiltctl token create --role ROLE makes one there")
    assert "a node may not GET /api/reservations; this is for a viewer or an admin" in on_node.fails("reservation", "ls")


def test_who_has_a_token_to_join_with_is_told_what_it_is_for(plane, afar):
    said = afar.fails("node", "ls", env={"QUILT_TOKEN": plane.join_token})
    assert "who has a token to become a node with may not GET /api/nodes; this is for a node or a viewer or an admin" in said


def test_who_has_nothing_is_told_what_would_help(plane, afar):
    said = afar.fails("node", "ls")
    assert "none of the CAs in the system's list" in said and "--tls-ca FILE" in said and "--token-file FILE" in said
    assert afar.fails("--tls-ca", plane.pki / "ca.pem", "node", "ls") == (
        f"list nodes: this needs a certificate or an access token of this cluster (HTTP 401 from {afar.url}); nothing "
        "was shown to it: be root on the control plane's host (--tls-dir DIR, where it has one) or on a node, or give --token-file FILE")


def test_given_files_are_shown_instead_of_those_that_are_here(plane, on_node):
    words = ["--tls-cert", plane.pki / "admin.pem", "--tls-key", plane.pki / "admin-key.pem"]
    assert len(on_node.json(*words, "token", "ls")) == 1  # and the node's CA is good enough
    assert "node.pem" in on_node.fails("token", "ls")


def test_a_revoked_node_is_told_so(plane, here, on_node):
    here.run("node", "revoke", "node1")
    said = on_node.fails("node", "ls")
    assert "join again" in said and said.endswith(f"it was shown {on_node.state_dir}/tls/node.pem")


def test_a_node_without_a_certificate_still_knows_whom_to_believe(on_node):
    (on_node.state_dir / "tls/node.pem").unlink()
    said = on_node.fails("node", "ls")
    assert "(HTTP 401 from " in said and "nothing was shown to it" in said
    (on_node.state_dir / "tls/ca.pem").unlink()
    assert "none of the CAs in the system's list" in on_node.fails("node", "ls")


def test_a_directory_that_has_no_admins_certificate_is_named(tmp_path, afar):
    afar.tls_dir = tmp_path / "nowhere"
    assert afar.fails("node", "ls") == (
        f"list nodes: the admin's certificate in {tmp_path}/nowhere (--tls-dir): No such file or directory")


def test_files_of_another_cluster_are_passed_over(plane, on_node, tmp_path):
    (tmp_path / "old").mkdir()
    old = SecurePlane(tmp_path / "old").start()
    on_node.tls_dir = old.pki
    assert len(on_node.json("node", "ls")) == 1
    shutil.rmtree(on_node.state_dir / "tls")
    assert f"none of the CAs in {old.pki}/ca-bundle.pem" in on_node.fails("node", "ls")
    old.end()


# ---- tokens that are shown --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["environment", "file", "file with blanks", "pipe"])
def test_a_token_pins_the_ca_and_needs_no_file_of_it(plane, afar, tmp_path, how):
    token = plane.token(role="admin")["token"]
    file = tmp_path / "token"
    file.write_text(f" {token} \r\n" if how == "file with blanks" else f"{token}\n")
    file.chmod(0o600)
    Node(plane, tmp_path, 1).join()
    if how == "environment":
        assert len(afar.json("node", "ls", env={"QUILT_TOKEN": token})) == 1
    elif how == "pipe":  # which can be read but once; to revoke takes three requests
        os.mkfifo(tmp_path / "pipe")
        threading.Thread(target=(tmp_path / "pipe").write_text, args=(token,)).start()
        assert "revoked node node1" in afar.run("--token-file", tmp_path / "pipe", "node", "revoke", "node1").stdout
    else:
        assert len(afar.json("node", "ls", env={"QUILT_TOKEN_FILE": str(file)})) == 1


def test_no_room_to_keep_the_ca_in_is_told(plane, afar):
    """The kernel takes a part of it first."""
    limited = ["prlimit", "--fsize=100", "env", "--ignore-signal=XFSZ"]
    said = afar.fails("node", "ls", env={"QUILT_TOKEN": plane.token(role="viewer")["token"]}, prefix=limited)
    assert said.endswith("keep the CA in memory: File too large")


def test_a_token_on_the_command_line_is_warned_of(plane, afar):
    result = afar.run("--token", plane.token(role="viewer")["token"], "node", "ls")
    assert result.returncode == 0
    assert "--token-file FILE and QUILT_TOKEN" in result.stderr and "quilt1-" not in result.stderr


def test_a_token_that_others_can_read_is_warned_of(plane, afar, tmp_path):
    (tmp_path / "token").write_text(plane.token(role="viewer")["token"])
    (tmp_path / "token").chmod(0o640)
    result = afar.run("--token-file", tmp_path / "token", "node", "ls")
    assert result.returncode == 0
    assert result.stderr == f"quiltctl: others can read the token in {tmp_path}/token; chmod 600 ends that\n"


def test_a_token_that_may_less_is_named_without_its_secret(plane, afar):
    made = plane.token(role="viewer")
    said = afar.fails("token", "ls", env={"QUILT_TOKEN": made["token"]})
    assert "this is for an admin" in said and f"it was shown the token {made['id']}; " in said and "quilt1" not in said


def test_a_token_that_is_gone_is_told_so(plane, here, afar):
    made = plane.token(role="viewer")
    here.ok("token", "rm", made["id"])
    assert "is not known here" in afar.fails("node", "ls", env={"QUILT_TOKEN": made["token"]})


@pytest.mark.parametrize("spoil, words", [(lambda t: t[:-1], "cut"), (lambda t: "x" + t, "begin with quilt1-"),
                                          (lambda t: "", "empty")])
def test_a_token_that_is_none_never_leaves_this_host(plane, afar, tmp_path, spoil, words):
    (tmp_path / "token").write_text(spoil(plane.join_token))
    (tmp_path / "token").chmod(0o600)
    said = afar.fails("--token-file", tmp_path / "token", "node", "ls", url=NOBODY.replace("http", "https"))
    assert f"the token in {tmp_path}/token" in said and words in said
    assert plane.join_token[-26:] not in said


def test_a_token_file_that_is_not_there_is_named(afar):
    assert afar.fails("--token-file", "/nowhere/token", "node", "ls") == (
        "list nodes: open /nowhere/token: No such file or directory")


def test_after_the_ca_was_replaced_an_old_token_is_told_so(plane, here, afar):
    token = plane.token(role="viewer")["token"]
    here.ok("ca", "rotate", "--force")
    wait_for(lambda: here.json("ca", "status")["step"] == "settled", 20, "the old CA to be dropped")
    assert "the CA was replaced after the token was made" in afar.fails("node", "ls", env={"QUILT_TOKEN": token})
    assert here.json("node", "ls") == []


# ---- tokens that are made ---------------------------------------------------------------------------


def test_a_token_stands_alone_on_standard_output(plane, here, tmp_path):
    result = here.run("token", "create")
    assert result.returncode == 0
    token = result.stdout.removesuffix("\n")
    assert TOKEN.fullmatch(token)
    assert result.stderr == (
        "good for 24h, for 1 node; it is not shown again. With the token in a file:\n"
        f"    quilt-mesh-agent --control-plane https://CONTROL_PLANE:{plane.port} --host-ip HOST_IP --token-file FILE\n")
    Node(plane, tmp_path, 1).join(token)


def test_wide_prints_the_whole_line_to_join_with(plane, here, tmp_path):
    line = here.ok("token", "create", "-o", "wide")
    token = re.fullmatch(rf"quilt-mesh-agent --control-plane https://CONTROL_PLANE:{plane.port} --host-ip HOST_IP "
                         rf"--token ({TOKEN.pattern})\n", line)[1]
    Node(plane, tmp_path, 1).join(token)


def test_others_are_told_an_address_that_they_can_reach(tmp_path):
    plane = SecurePlane(tmp_path, "--tls-name", "192.0.2.7").start()
    here = Place(f"https://localhost:{plane.port}", tmp_path / "here", plane.pki)
    assert f"--control-plane https://192.0.2.7:{plane.port} " in here.ok("token", "create", "-o", "wide")
    plane.end()


@pytest.mark.parametrize("words, role, max_uses, life_s", [
    ([], "node", 1, 86400),
    (["--ttl", "2h", "--max-uses", "7"], "node", 7, 7200),
    (["--ttl-secs", "600", "--max-uses", "0"], "node", None, 600),
    (["--role", "viewer"], "viewer", None, 30 * 86400),
    (["--role", "admin", "--ttl", "0"], "admin", None, None),
])
def test_a_tokens_role_time_and_uses_are_as_asked(here, words, role, max_uses, life_s):
    made = here.json("token", "create", *words)
    assert (made["role"], made["max_uses"]) == (role, max_uses)
    assert (made["expires_at"] and made["expires_at"] - made["created_at"]) == life_s
    assert TOKEN.fullmatch(made["token"])[1] == made["id"]


def test_a_viewers_token_comes_with_the_words_to_use_it(plane, here, afar, tmp_path):
    result = here.run("token", "create", "--role", "viewer", "--ttl", "0")
    assert result.stderr == (
        "good until it is removed; it is not shown again. With the token in a file:\n"
        f"    quiltctl --control-plane https://CONTROL_PLANE:{plane.port} --token-file FILE VERB\n")
    assert afar.json("node", "ls", env={"QUILT_TOKEN": result.stdout.strip()}) == []


def test_tokens_are_listed_and_removed(plane, here, tmp_path):
    token = here.run("token", "create", "--max-uses", "2").stdout.strip()
    Node(plane, tmp_path, 1).join(token)
    made = token.split("-")[2]
    header, _, row = here.ok("token", "ls").splitlines()
    assert header.split() == ["ID", "ROLE", "STATE", "EXPIRES", "USES", "MADE"]
    assert re.fullmatch(rf"{made}  node  good   in 2[34]h   1 of 2      (now|\ds ago)", row)
    assert here.ok("token", "ls", "-o", "wide").splitlines()[2].count(" UTC") == 2
    assert here.ok("token", "rm", made) == f"removed token {made}; nodes that joined with it stay\n"
    assert made not in here.ok("token", "ls")
    assert here.fails("token", "rm", made) == (f"remove a token: there is no token of this id (HTTP 404 from {here.url}); "
                                               "'quiltctl token ls' shows what there is")
    assert len(here.json("node", "ls")) == 1
    made = here.json("token", "create")["id"]
    assert here.json("token", "rm", made) == {"removed": made}


def test_what_the_control_plane_does_not_like_is_shown(here):
    assert "max_uses" in here.fails("token", "create", "--role", "viewer", "--max-uses", "3")


@pytest.mark.parametrize("words", [
    ["node", "ls", "--ttl", "1h"], ["node", "ls", "--ttl-secs", "1"], ["node", "ls", "--max-uses", "1"],
    ["ca", "status", "--force"], ["token", "ls", "--role", "node"], ["--tls-cert", "x", "node", "ls"],
    ["--token", "x", "--token-file", "y", "node", "ls"], ["--token", "x", "--tls-cert", "y", "--tls-key", "z", "status"],
    ["token", "create", "--role", "king"], ["token", "create", "--ttl", "1w"], ["token", "create", "--ttl", "4000d"],
    ["token", "create", "--max-uses", "many"], ["token", "create", "--ttl", "1h", "--ttl-secs", "3600"],
    ["token", "rm"], ["ca"], ["token", "rm", "../nodes"],
])
def test_wrong_words_are_usage_errors(afar, words):
    result = afar.run(*words)
    assert result.returncode == 2 and result.stdout == ""


def test_a_wrong_lifetime_is_told_all_that_it_may_be(afar):
    assert "(1s to 3650d); 0 is for ever" in afar.run("token", "create", "--ttl", "0s").stderr


# ---- revoking, replacing the CA, saving --------------------------------------------------------------


def test_a_node_is_revoked_by_name_and_by_id(plane, here, tmp_path):
    one, two = Node(plane, tmp_path, 1).join(), Node(plane, tmp_path, 2).join(plane.token()["token"])
    first = plane.join_token.split("-")[2]
    said = here.run("node", "revoke", "node1")
    assert said.stdout == (f"revoked node node1 ({one.id}); it comes back, with its subnet, when its agent is given an "
                           "access token that is made from now on\n")
    assert said.stderr == ("quiltctl: from another address it could join as another node with a token that is still "
                           f"good: {first}; 'quiltctl token rm ID' ends one\n")
    assert plane.ask_as(one, "GET", "/api/nodes").status == 401
    here.ok("token", "rm", first)  # the other one is used up
    assert here.json("node", "revoke", two.id) == {"revoked": two.id, "hostname": "node2"}
    assert here.fails("node", "revoke", "node9") == "find node node9: there is none; 'quiltctl node ls' lists them"


def test_who_is_removed_is_said_not_to_come_back_by_itself(plane, here, tmp_path):
    Node(plane, tmp_path, 1).join()
    more = [plane.token(max_uses=0)["id"] for _ in range(6)]
    said = here.run("node", "rm", "node1").stderr
    assert "comes back as a new node if it is given an access token that is made from now on" in said
    assert f"still good: {plane.join_token.split('-')[2]} {' '.join(more[:4])} and 2 more;" in said


def test_the_ca_is_replaced_and_whom_it_waits_for_is_said(plane, here, tmp_path):
    assert here.ok("ca", "status").startswith("One CA is trusted, and signs. It is not being replaced.\n")
    node = Node(plane, tmp_path, 1).join()
    said = here.ok("ca", "rotate")
    assert said.startswith("Step 1 of 2: ") and said.endswith("\nIt waits for 1 node:\n\nHOSTNAME  STATUS\nnode1     up\n")
    assert node.id in here.ok("ca", "status", "-o", "wide")
    assert here.json("ca", "status")["step"] == "published"
    assert "--force" not in said


def test_a_node_that_is_down_holds_it_up_and_what_to_do_is_said(tmp_path):
    plane = SecurePlane(tmp_path, "--node-timeout", "500ms").start()
    here = Place(f"https://127.0.0.1:{plane.port}", tmp_path / "here", plane.pki)
    node = Node(plane, tmp_path, 1).join()
    wait_for(lambda: plane.status_of(node.id) == "down", 10, "the node to be down")
    said = here.ok("ca", "rotate")
    assert "node1     down\n" in said and "('quiltctl ca rotate --force')" in said
    here.ok("ca", "rotate", "--force")
    wait_for(lambda: here.json("ca", "status")["step"] == "settled", 20, "the old CA to be dropped")
    plane.end()


def test_a_backup_is_for_an_admin_also_from_afar(plane, here, afar, tmp_path):
    assert "quilt.db" in here.ok("backup", tmp_path / "quilt.db")
    tokens = {role: {"QUILT_TOKEN": plane.token(role=role)["token"]} for role in ("viewer", "admin")}
    assert "HTTP 403" in afar.fails("backup", tmp_path / "no.db", env=tokens["viewer"])
    assert not (tmp_path / "no.db").exists()
    afar.ok("backup", tmp_path / "afar.db", env=tokens["admin"])
    assert (tmp_path / "afar.db").read_bytes().startswith(b"SQLite format 3\0")


# ---- status ------------------------------------------------------------------------------------------


def test_status_shows_how_long_the_certificate_is_good(on_node):
    result = on_node.run("status")
    assert re.search(r"^certificate    ok       good for (29|30)d$", result.stdout, re.M), result.stdout
    assert re.search(r"^control plane  ok       https://127", result.stdout, re.M), result.stdout


@pytest.mark.parametrize("days, words", [(-40, "this node's certificate expired 9d ago"),
                                         (-27, "this node's certificate expires in 3d and has not been renewed")])
def test_a_certificate_that_is_late_is_a_problem(on_node, days, words):
    """The certificate was made a while ago; what OpenSSL makes will do, for nobody is shown it."""
    begin, end = (subprocess.run(["date", "-u", "-d", f"{day} days 1 hour", "+%Y%m%d%H%M%SZ"], capture_output=True,
                                 text=True, check=True).stdout.strip() for day in (days, days + 30))
    key, cert = on_node.state_dir / "tls/node-key.pem", on_node.state_dir / "tls/node.pem"
    (on_node.state_dir / "index").write_text("")
    (on_node.state_dir / "conf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={on_node.state_dir}/index\nnew_certs_dir={on_node.state_dir}\n"
        "rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    openssl("req", "-new", "-key", key, "-subj", "/CN=node1", "-out", on_node.state_dir / "csr")
    openssl("ca", "-batch", "-notext", "-selfsign", "-config", on_node.state_dir / "conf", "-keyfile", key, "-in",
            on_node.state_dir / "csr", "-out", cert, "-startdate", begin, "-enddate", end)
    result = on_node.run("status")
    assert f"\n  - {words}" in result.stdout, result.stdout
    assert re.search("^certificate    PROBLEM  ", result.stdout, re.M), result.stdout


# ---- the wrong door ----------------------------------------------------------------------------------


def test_plain_http_to_a_tls_port_is_told_to_be_https(plane, here):
    assert here.fails("node", "ls", url=f"http://127.0.0.1:{plane.port}").endswith(
        f"; give it as https://127.0.0.1:{plane.port}")


def test_https_to_a_plain_port_is_told_so(plane, here):
    plane.options[:] = ["--tls", "off"]
    plane.restart()
    assert "does the server speak TLS there" in here.fails("node", "ls", url=f"https://127.0.0.1:{plane.port}")
    assert "plain HTTP" in here.fails("token", "create", url=f"http://127.0.0.1:{plane.port}")


def test_of_nodes_of_one_name_all_ids_are_told_however_it_is_written(plane, here):
    """In plain HTTP two can have one."""
    plane.options[:] = ["--tls", "off"]
    plane.restart()
    url = f"http://127.0.0.1:{plane.port}"
    ids = [Plane.ask(plane, "POST", "/api/nodes/register", {"hostname": "node2", "host_ip": f"192.168.1.{number}"},
                     connection=Plane.connect(plane)).json()["node_id"] for number in (1, 2)]
    assert here.fails("node", "show", "NODE2", url=url) == (
        f"find node NODE2: several nodes have this name; give one of the ids {ids[0]} {ids[1]}")


def test_a_token_is_not_shown_in_plain_http(plane, afar):
    assert afar.fails("node", "ls", env={"QUILT_TOKEN": plane.join_token}, url=f"http://127.0.0.1:{plane.port}") == (
        f"list nodes: http://127.0.0.1:{plane.port}: a token is shown over https:// only")


# ---- false control planes ---------------------------------------------------------------------------


class Impostor:
    """Has another CA, and answers everything. It tells the CAs in told, and remembers what it was sent."""

    def __init__(self, directory):
        self.seen, cert, key = [], directory / "false.pem", directory / "false-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-keyout", key, "-out", cert, "-subj", "/CN=false", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:TRUE")
        self.told = cert.read_bytes()
        impostor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                impostor.seen.append((self.path, dict(self.headers)))
                body = impostor.told if self.path == "/api/ca" else b'{"nodes":[]}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def impostor(tmp_path):
    played = Impostor(tmp_path)
    yield played
    played.stop()


def test_who_tells_other_cas_is_shown_nothing(plane, impostor, afar):
    token = plane.token(role="admin")["token"]
    assert "this is another cluster's control plane, or somebody between" in afar.fails(
        "node", "ls", env={"QUILT_TOKEN": token}, url=impostor.url)
    assert [path for path, _ in impostor.seen] == ["/api/ca"]
    assert token not in str(impostor.seen) and "Authorization" not in str(impostor.seen)


@pytest.mark.parametrize("beside", [False, True], ids=["the right CA", "the right CA beside its own"])
def test_who_only_tells_the_right_ca_is_shown_nothing(plane, impostor, afar, beside):
    token = plane.token(role="admin")["token"]
    impostor.told = (impostor.told if beside else b"") + (plane.pki / "ca.pem").read_bytes()
    assert f"{impostor.url} shows a certificate that is not from the CA that the token {token.split('-')[2]} pins" in (
        afar.fails("node", "ls", env={"QUILT_TOKEN": token}, url=impostor.url))
    assert [path for path, _ in impostor.seen] == ["/api/ca"]
    assert token not in str(impostor.seen) and "Authorization" not in str(impostor.seen)


@pytest.mark.parametrize("told", [b"", b"no CA", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_who_tells_no_ca_is_shown_nothing(plane, impostor, afar, told):
    impostor.told = told
    assert "is this the right URL?" in afar.fails("node", "ls", env={"QUILT_TOKEN": plane.join_token}, url=impostor.url)
    assert [path for path, _ in impostor.seen] == ["/api/ca"]


def test_the_admins_certificate_does_not_make_one_talk_to_an_impostor(impostor, here):
    said = here.fails("node", "ls", url=impostor.url)
    assert f"not in {here.tls_dir}/ca-bundle.pem; is that the right control plane?" in said
    assert impostor.seen == []


def test_an_impostor_first_in_the_list_is_not_passed_over_in_silence(plane, impostor, here):
    """Only who is away is passed over."""
    words = ["--control-plane", f"https://127.0.0.1:{plane.port}", "node", "ls"]
    assert "is that the right control plane?" in here.fails(*words, url=impostor.url)
    assert here.run(*words, url=NOBODY).returncode == 0
