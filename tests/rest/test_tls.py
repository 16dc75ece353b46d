"""TLS, who may do what, access tokens, revocation: with clients that are not ours (OpenSSL, Python)."""
import socket
import ssl
import subprocess
import time
from hashlib import sha256

import pytest
from plane import problem
from secure import Node, SecurePlane, openssl

from lab.wait import wait_for


@pytest.fixture
def make_secure(tmp_path):
    planes = []

    def make(*options):
        planes.append(SecurePlane(tmp_path, *options))
        return planes[-1]
    yield make
    for plane in planes:
        plane.end()


@pytest.fixture
def plane(make_secure):
    return make_secure().start()


@pytest.fixture
def make_node(plane, tmp_path):
    return lambda number: Node(plane, tmp_path, number)


# ---- the first start --------------------------------------------------------------------------------


def test_the_first_start_prints_one_line_to_join_with_and_later_ones_none(plane):
    lines = [line for line in plane.log_path.read_text().splitlines() if "--token" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"quilt-mesh-agent --control-plane https://127.0.0.1:{plane.port} --host-ip HOST_IP")
    plane.restart()
    assert plane.log_path.read_text().count("--token") == 1


def test_the_certificates_are_what_openssl_expects(plane):
    openssl("verify", "-CAfile", plane.pki / "ca.pem", plane.pki / "server.pem", plane.pki / "admin.pem")
    text = openssl("x509", "-in", plane.pki / "server.pem", "-noout", "-text")
    assert "IP Address:127.0.0.1" in text and "DNS:localhost" in text
    assert "TLS Web Server Authentication" in text
    assert "CA:TRUE" in openssl("x509", "-in", plane.pki / "ca.pem", "-noout", "-text")


def test_nothing_in_the_directory_is_for_others(plane):
    assert plane.pki.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in plane.pki.iterdir()} == {0o600}


def test_a_cluster_that_has_spoken_tls_goes_on_doing_so(plane):
    plane.options.remove("--tls")
    plane.options.remove("auto")
    plane.restart()
    assert plane.ask("GET", "/health").status == 200


def test_it_can_be_told_to_speak_plainly_and_says_so(plane):
    plane.options[:] = ["--tls", "off"]
    plane.restart()
    with socket.create_connection(("127.0.0.1", plane.port), 5) as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_damaged_ca_is_exit_65_and_names_the_file(plane):
    assert plane.stop() == 0
    (plane.pki / "ca-key.pem").write_text("no key")
    plane.spawn()
    assert plane.wait_exit() == 65
    assert "ca-key.pem" in plane.log()


@pytest.mark.parametrize("options, words", [
    (["--tls-cert", "c.pem"], "--tls-key"),
    (["--tls-ca", "c.pem"], "--tls-ca goes with"),
    (["--tls", "maybe"], "neither auto nor off"),
    (["--node-cert-life", "1w"], "lifetime"),
])
def test_usage_errors_are_exit_2_and_name_the_option(make_secure, options, words):
    plane = make_secure(*options).spawn()
    assert plane.wait_exit() == 2
    assert words in plane.log()


# ---- the protocol -----------------------------------------------------------------------------------


def handshake(plane, *options):
    """What openssl s_client says of a connection with these options; None: refused."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{plane.port}",
                           "-CAfile", plane.pki / "ca.pem", *options],
                          input="", capture_output=True, text=True, check=False, timeout=20)
    return done.stdout if "Cipher is (NONE)" not in done.stdout and done.returncode == 0 else None


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_1_2_and_1_3_are_spoken(plane, version):
    said = handshake(plane, version)
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_versions_are_not(plane, version):
    assert handshake(plane, version, "-cipher", "ALL:@SECLEVEL=0") is None


def test_only_ephemeral_keys_and_authenticated_encryption(plane):
    """Each of OpenSSL's suites, one by one, as a scanner does it."""
    suites = openssl("ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").strip().split(":")
    taken = {suite for suite in suites
             if handshake(plane, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")}
    assert len(suites) > 50
    assert taken == {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
                     "ECDHE-ECDSA-AES128-GCM-SHA256"}


def test_there_is_no_compression_and_no_renegotiation(plane):
    said = handshake(plane, "-tls1_2")
    assert "Compression: NONE" in said
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{plane.port}", "-tls1_2"],
                          input="R\n", capture_output=True, text=True, check=False, timeout=20)
    assert "RENEGOTIATING" in done.stdout + done.stderr and done.returncode != 0
    assert plane.ask("GET", "/health").status == 200


def test_plain_http_is_told_to_use_https(plane):
    with socket.create_connection(("127.0.0.1", plane.port), 5) as s:
        s.sendall(b"GET /api/nodes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = s.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 426 ") and b"https://" in answer


def test_garbage_instead_of_a_handshake_harms_nobody(plane):
    for garbage in (b"\x16", b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\x80\x2e\x01\x00\x02", b"\0" * 100,
                    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", plane.port), 5) as s:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            try:
                s.makefile("rb").read()
            except ConnectionResetError:
                pass
    assert plane.ask("GET", "/health").status == 200


# ---- joining ----------------------------------------------------------------------------------------


def test_a_node_joins_with_a_token_and_then_speaks_with_its_certificate(plane, make_node):
    node = make_node(1).join()
    openssl("verify", "-CAfile", plane.pki / "ca.pem", node.cert)
    text = openssl("x509", "-in", node.cert, "-noout", "-ext", "subjectAltName")
    assert text.count("URI:") == 1 and f"/node/{node.id}" in text and "IP Address:192.168.1.1" in text
    assert plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat").status == 200
    assert [n["node_id"] for n in plane.ask_as(node, "GET", "/api/nodes").json()["nodes"]] == [node.id]


def test_a_node_may_also_show_its_token(plane, make_node):
    node = make_node(1).join()
    assert plane.ask_as(node.token, "POST", f"/api/nodes/{node.id}/heartbeat").status == 200


def test_without_a_token_nobody_joins(plane, make_node):
    problem(make_node(1).register(None), 401, "certificate or an access token")
    assert plane.nodes() == []


@pytest.mark.parametrize("spoil, words", [
    (lambda t: t[:-1], "token"),
    (lambda t: t[:40], "token"),
    (lambda t: "quilt2" + t[6:], "token"),
    (lambda t: t[:-26] + "a" * 26, "is not known here"),
    (lambda t: t + "x", "token"),
    (lambda t: "x" * 100000, None),
])
def test_a_token_that_is_not_right_lets_nobody_in(plane, make_node, spoil, words):
    reply = make_node(1).register(spoil(plane.join_token))
    if words:
        problem(reply, 401, words)
    else:
        assert reply.status in (401, 431)
    assert plane.nodes() == []


def test_a_token_of_another_cluster_lets_nobody_in(plane, make_node, tmp_path):
    (tmp_path / "other").mkdir()
    other = SecurePlane(tmp_path / "other").start()
    try:
        problem(make_node(1).register(other.join_token), 401, "another cluster")
    finally:
        other.end()


def test_a_token_for_one_use_lets_one_node_in(plane, make_node):
    token = plane.token(max_uses=1)["token"]
    make_node(1).join(token)
    problem(make_node(2).register(token), 403, "access token")
    assert [t["uses"] for t in plane.ask("GET", "/api/tokens").json()["tokens"]] == [0, 1]
    plane.restart()
    problem(make_node(2).register(token), 403, "access token")
    assert len(plane.nodes()) == 1


def test_who_missed_the_answer_to_its_join_asks_again_with_the_used_token(plane, make_node):
    token, node = plane.token(max_uses=1)["token"], make_node(1)
    first = node.register(token, new_token="ab" * 32)
    again = node.register(token, new_token="ab" * 32)
    assert (first.status, again.status) == (200, 200)
    assert first.json()["node_id"] == again.json()["node_id"]
    assert len(plane.nodes()) == 1


def test_sixteen_at_once_with_a_token_for_ten_are_ten(plane, tmp_path):
    from concurrent.futures import ThreadPoolExecutor
    token = plane.token(max_uses=10)["token"]
    nodes = [Node(plane, tmp_path, number) for number in range(1, 17)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda node: node.register(token).status, nodes))
    assert sorted(statuses) == [200] * 10 + [403] * 6
    assert len(plane.nodes()) == 10


def test_an_expired_token_lets_nobody_in(plane, make_node):
    made = plane.token(ttl_secs=1)
    wait_for(lambda: time.time() > made["expires_at"], 10, "the token to expire")
    problem(make_node(1).register(made["token"]), 401, "has expired")


def test_a_removed_token_lets_nobody_in(plane, make_node):
    made = plane.token()
    assert plane.ask("DELETE", f"/api/tokens/{made['id']}").status == 204
    problem(make_node(1).register(made["token"]), 401, "is not known here")
    problem(plane.ask("DELETE", f"/api/tokens/{made['id']}"), 404)


def test_a_live_nodes_address_is_not_had_by_a_token(plane, make_node):
    make_node(1).join()
    twin = make_node(1)
    problem(twin.register(plane.join_token), 409, "192.168.1.1 is the address of node1")


def test_a_request_without_proof_of_its_key_is_refused(plane, make_node):
    node = make_node(1)
    broken = node.csr.splitlines()
    broken[3] = broken[3][::-1]
    problem(node.register(plane.join_token, csr="\n".join(broken)), 422)
    problem(node.register(plane.join_token, csr="x" * 70000), 422, "csr")
    assert plane.nodes() == []


def test_the_csr_decides_nothing_but_the_key(plane, make_node):
    node = make_node(1)
    node.csr = openssl("req", "-new", "-key", node.key, "-subj", "/O=admins/CN=admin",
                       "-addext", "subjectAltName=URI:spiffe://x/user/admin", "-addext", "basicConstraints=CA:TRUE")
    node.join()
    text = openssl("x509", "-in", node.cert, "-noout", "-text")
    assert "CA:FALSE" in text and f"/node/{node.id}" in text and "user/admin" not in text


# ---- who may do what --------------------------------------------------------------------------------


@pytest.fixture
def callers(plane, make_node):
    """By name: what to show, and which node that is."""
    one, two = make_node(1).join(), make_node(2).join()
    return {"nobody": (None, one, two), "joining": (plane.join_token, one, two),
            "node": (one, one, two), "node by its token": (one.token, one, two),
            "viewer": (plane.token(role="viewer")["token"], one, two),
            "admin": (plane.token(role="admin")["token"], one, two)}


# Status of each: for itself, and for another. 401 and 403 say no.
MATRIX = [
    ("GET", "/api/nodes", {"nobody": 401, "joining": 403, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/api/nodes/{self}", {"nobody": 401, "joining": 403, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/api/nodes/{other}", {"nobody": 401, "joining": 403, "node": 200, "viewer": 200, "admin": 200}),
    ("POST", "/api/nodes/{self}/heartbeat", {"nobody": 401, "joining": 403, "node": 200, "viewer": 403, "admin": 403}),
    ("POST", "/api/nodes/{other}/heartbeat", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 403}),
    ("POST", "/api/nodes/{other}/deregister", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("POST", "/api/nodes/{other}/revoke", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("DELETE", "/api/nodes/{other}", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 204}),
    ("GET", "/api/tokens", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("POST", "/api/tokens", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 201}),
    ("DELETE", "/api/tokens/00000000", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 404}),
    ("GET", "/api/ca", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/api/ca/status", {"nobody": 401, "joining": 403, "node": 403, "viewer": 200, "admin": 200}),
    ("POST", "/api/ca/rotate", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("GET", "/api/backup", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("GET", "/health", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/livez", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/readyz", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
]


@pytest.mark.parametrize("who", ["nobody", "joining", "node", "node by its token", "viewer", "admin"])
def test_each_may_what_its_role_may_and_nothing_else(callers, plane, who):
    show, one, two = callers[who]
    for method, path, wanted in MATRIX:
        reply = plane.ask_as(show, method, path.format(self=one.id, other=two.id),
                             {} if method == "POST" else None)
        assert reply.status == wanted["node" if who.startswith("node") else who], (who, method, path, reply.body)
        if who == "nobody":
            time.sleep(0.11)  # who has nothing to show over and over is told to wait


def test_a_node_cannot_register_as_another(plane, make_node):
    one, two = make_node(1).join(), make_node(2).join()
    reply = one.register(one, node_id=two.id, node_token="guessed", hostname="node2", host_ip="192.168.1.3")
    assert reply.json()["node_id"] == one.id
    assert {n["node_id"] for n in plane.nodes()} == {one.id, two.id}


def test_denials_are_logged_with_who_and_what(plane, make_node):
    one, two = make_node(1).join(), make_node(2).join()
    plane.ask_as(one, "POST", f"/api/nodes/{two.id}/deregister")
    line = next(line for line in plane.log().splitlines() if "request denied" in line)
    for word in ("client=127.0.0.1", "role=node", f"name={one.id}", "path=/api/nodes/:id/deregister", "status=403"):
        assert word in line, line
    assert plane.metric("quilt_control_denials_total") == 1


def test_who_guesses_is_slowed_to_ten_a_second_and_others_are_not(plane, make_node):
    node = make_node(1).join()
    began, statuses = time.monotonic(), []
    guess = plane.connect(context=plane.context())
    while time.monotonic() - began < 3:
        statuses.append(plane.ask("GET", "/api/nodes", headers={"Authorization": "Bearer " + "0" * 64},
                                  connection=guess).status)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10 + 3 * 10 + 2
    assert len(statuses) > 300
    assert plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat").status == 200


def test_certificates_of_others_are_refused_with_a_reason(plane, make_node, tmp_path):
    node = make_node(1).join()
    openssl("req", "-x509", "-new", "-key", node.key, "-out", tmp_path / "self.pem", "-days", "3",
            "-subj", "/CN=x", "-addext", "subjectAltName=URI:spiffe://x/node/1")
    node.cert = tmp_path / "self.pem"
    reply = plane.ask_as(node, "GET", "/api/nodes")
    problem(reply, 401, "certificate")


# ---- revocation -------------------------------------------------------------------------------------


def open_stream(plane, node):
    connection = plane.connect(context=node.context())
    connection.request("GET", "/api/nodes", headers={"Accept": "text/event-stream"})
    response = connection.getresponse()
    assert response.status == 200
    assert response.readline()
    return connection, response


@pytest.mark.parametrize("how", ["revoke", "delete"])
def test_a_revoked_node_is_cut_off_at_once(plane, make_node, how):
    node = make_node(1).join()
    connection, response = open_stream(plane, node)
    if how == "revoke":
        assert plane.ask("POST", f"/api/nodes/{node.id}/revoke").status == 200
        assert plane.status_of(node.id) == "down"
    else:
        assert plane.ask("DELETE", f"/api/nodes/{node.id}").status == 204
    began = time.monotonic()
    while response.readline():
        pass
    assert time.monotonic() - began < 1
    connection.close()
    problem(plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat"), 401, "join again")
    problem(plane.ask_as(node.token, "POST", f"/api/nodes/{node.id}/heartbeat"), 401, "join again")


def test_a_connection_that_is_open_knows_of_the_revocation(plane, make_node):
    node = make_node(1).join()
    connection = plane.connect(context=node.context())
    assert plane.ask("GET", "/api/nodes", connection=connection).status == 200
    assert plane.ask("POST", f"/api/nodes/{node.id}/revoke").status == 200
    assert plane.ask("GET", "/api/nodes", connection=connection).status == 401
    connection.close()


def test_a_removed_viewers_stream_ends(plane):
    made = plane.token(role="viewer")
    connection = plane.connect(context=plane.context())
    connection.request("GET", "/api/nodes", headers={"Accept": "text/event-stream",
                                                     "Authorization": f"Bearer {made['token']}"})
    response = connection.getresponse()
    assert response.readline()
    plane.ask("DELETE", f"/api/tokens/{made['id']}")
    began = time.monotonic()
    while response.readline():
        pass
    assert time.monotonic() - began < 1
    connection.close()


# ---- certificates that others made ------------------------------------------------------------------


@pytest.fixture
def given(tmp_path):
    """A CA and a server's certificate made by OpenSSL."""
    ca, ca_key = tmp_path / "their-ca.pem", tmp_path / "their-ca-key.pem"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", ca_key, "-out", ca, "-days", "10", "-subj", "/CN=Their CA",
            "-addext", "basicConstraints=critical,CA:TRUE")

    def make(name):
        cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-CA", ca, "-CAkey", ca_key, "-keyout", key, "-out", cert, "-days", "5", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
        return cert, key
    return ca, make


def shown_name(plane):
    pem = ssl.get_server_certificate(("127.0.0.1", plane.port))
    return openssl("x509", "-noout", "-subject", text=pem).strip()


def test_given_certificates_are_shown_and_their_ca_is_told(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.context = lambda *pair: _context(ca, *pair)
    plane.start()
    assert shown_name(plane).endswith("CN = first")
    told = plane.ask_as(None, "GET", "/api/ca").body.decode()
    assert openssl("x509", "-noout", "-fingerprint", text=told) == openssl("x509", "-noout", "-fingerprint", "-in", ca)
    node = Node(plane, tmp_path, 1).join()
    assert plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat").status == 200


def test_a_given_certificate_that_is_renewed_is_shown_without_a_restart(make_secure, given):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.start()
    fresh_cert, fresh_key = make("second")
    fresh_key.rename(key)
    fresh_cert.rename(cert)
    wait_for(lambda: shown_name(plane).endswith("CN = second"), 40, "the new certificate to be shown")


def _context(ca, cert=None, key=None):
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


# ---- another CA -------------------------------------------------------------------------------------


def ca_sha256(plane):
    return sha256(plane.ask_as(None, "GET", "/api/ca").body).hexdigest()


def beat(plane, node, **report):
    reply = plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat", report)
    assert reply.status == 200, reply.body
    return reply.json()


def rotation(plane):
    return plane.ask("GET", "/api/ca/status").json()


def test_the_ca_is_replaced_when_every_node_has_followed(plane, make_node):
    one, two = make_node(1).join(), make_node(2).join()
    old = rotation(plane)
    assert old["step"] == "settled" and len(old["pins"]) == 1

    begun = plane.ask("POST", "/api/ca/rotate", {}).json()
    assert begun["step"] == "published" and len(begun["pins"]) == 2
    assert {n["hostname"] for n in begun["waiting_for"]} == {"node1", "node2"}
    assert beat(plane, one)["ca_sha256"] == ca_sha256(plane)
    beat(plane, one, ca_sha256=ca_sha256(plane), agent_version="1")
    time.sleep(2.5)
    assert [n["hostname"] for n in rotation(plane)["waiting_for"]] == ["node2"]

    beat(plane, two, ca_sha256=ca_sha256(plane), agent_version="1")
    wait_for(lambda: rotation(plane)["step"] == "promoted", 10, "the new CA to sign")
    assert beat(plane, one)["renew_certificate"] is True
    for node in (one, two):
        assert node.register(node).status == 200
        openssl("verify", "-CAfile", plane.pki / "ca.pem", node.cert)
        assert "renew_certificate" not in beat(plane, node)
    wait_for(lambda: rotation(plane)["step"] == "settled", 10, "the old CA to be dropped")
    assert rotation(plane)["pins"] == [pin for pin in begun["pins"] if pin not in old["pins"]]
    assert beat(plane, one)["status"] == "ok"


def test_a_node_that_is_down_holds_the_ca_up_unless_forced(make_secure, tmp_path):
    plane = make_secure("--node-timeout", "500ms").start()
    node = Node(plane, tmp_path, 1).join()
    wait_for(lambda: plane.status_of(node.id) == "down", 10, "the node to be down")
    plane.ask("POST", "/api/ca/rotate", {})
    time.sleep(1)
    assert rotation(plane)["step"] == "published"
    assert rotation(plane)["waiting_for"] == [{"node_id": node.id, "hostname": "node1", "status": "down"}]
    plane.ask("POST", "/api/ca/rotate", {"force": True})
    wait_for(lambda: rotation(plane)["step"] == "settled", 10, "the rotation to end")
    problem_of_an_old_certificate(plane, node)


def problem_of_an_old_certificate(plane, node):
    problem(plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat"), 401, "certificate")
    assert node.register(plane.token()["token"]).status in (200, 409)


def test_a_token_made_meanwhile_has_both_pins(plane, make_node):
    make_node(1).join()
    plane.ask("POST", "/api/ca/rotate", {})
    token = plane.token()["token"]
    assert token.split("-")[1].count(".") == 1
    make_node(2).join(token)


def test_a_restart_goes_on_with_the_replacing(plane, make_node):
    node = make_node(1).join()
    plane.ask("POST", "/api/ca/rotate", {})
    plane.restart()
    assert rotation(plane)["step"] == "published"
    beat(plane, node, ca_sha256=ca_sha256(plane), agent_version="1")
    wait_for(lambda: rotation(plane)["step"] == "promoted", 10, "the new CA to sign")
