"""Certificates that others made (OpenSSL here), given with --tls-cert: shown, followed, told, and judged at the start."""
import os
import ssl
from hashlib import sha256

import pytest
from secure import Node, make_ca, make_secure, make_server, openssl  # noqa: F401 (fixtures)

from lab.wait import wait_for

# ---- shown, followed, told --------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path):
    """A CA and a server's certificate made by OpenSSL."""
    ca = make_ca(tmp_path, "their-ca")
    return ca[0], lambda name: make_server(tmp_path, name, ca)


def only(plane, *options):
    plane.options[:] = options
    return plane.spawn()


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


def test_a_given_key_that_everybody_can_read_is_told_once_with_the_command_and_left(make_secure, given):
    ca, make = given
    cert, key = make("first")
    key.chmod(0o644)
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.start()
    assert plane.log().count(f'command="chmod o= {key}"') == 1
    assert key.stat().st_mode & 0o777 == 0o644
    key.chmod(0o640)  # its group may: that is how a daemon that is not root reads it
    plane.restart()
    assert "chmod" not in plane.log()


def url_of(plane):
    """What quiltctl on this host is told; None: nothing."""
    told = plane.pki / "told-url"
    return told.read_text() if told.exists() else None


def expires_at(pem_file):
    text = openssl("x509", "-noout", "-enddate", "-in", pem_file)
    return ssl.cert_time_to_seconds(text.split("=")[1].strip())


def test_a_given_certificate_that_is_renewed_is_shown_without_a_restart(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.context = lambda *pair: _context(ca, *pair)
    plane.start()
    assert plane.metric("quilt_control_certificate_expiry_timestamp_seconds") == expires_at(cert)
    assert plane.metric("quilt_control_ca_certificate_expiry_timestamp_seconds") == expires_at(plane.pki / "ca.pem")
    assert url_of(plane) == f"https://127.0.0.1:{plane.port}\n"
    fresh_cert, fresh_key = make_server(tmp_path, "second", (ca, tmp_path / "their-ca-key.pem"), days=7,
                                        san="DNS:mesh.example,IP:127.0.0.1")
    fresh_key.rename(key)
    fresh_cert.rename(cert)
    wait_for(lambda: shown_name(plane).endswith("CN = second"), 40, "the new certificate to be shown")
    wait_for(lambda: url_of(plane) == f"https://mesh.example:{plane.port}\n", 5, lambda: url_of(plane))
    assert plane.metric("quilt_control_certificate_expiry_timestamp_seconds") == expires_at(cert)


def test_a_given_ca_that_changes_is_told_without_a_restart(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.context = lambda *pair: _context(ca, *pair)
    plane.start()
    both = ca.read_text() + make_ca(tmp_path, "another")[0].read_text()
    fresh = tmp_path / "fresh.pem"
    fresh.write_text(both)
    fresh.rename(ca)
    wait_for(lambda: plane.ask_as(None, "GET", "/api/ca").body.decode().count("BEGIN CERTIFICATE") == 3, 40,
             "both CAs to be told, and the cluster's own")
    assert "nodes are told what --tls-ca has now" in plane.log()
    assert "another certificate is shown" not in plane.log()


def _context(ca, cert=None, key=None):
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


def made(directory):
    """What there is in it besides the log, with what the links lead to."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.name != "control.log")


def test_a_first_start_that_is_refused_for_what_is_given_makes_nothing(make_secure, given, tmp_path):
    """Neither cluster nor CA: the next one, with other options, is the first."""
    ca, make = given
    cert, key = make("first")
    assert make_secure("--tls-cert", cert, "--tls-key", tmp_path / "no-key.pem").spawn().wait_exit() == 1
    assert make_secure("--tls-cert", cert, "--tls-key", key).spawn().wait_exit() == 1
    many = tmp_path / "many.pem"
    many.write_text(ca.read_text() + "".join(make_ca(tmp_path, f"ca{i}")[0].read_text() for i in range(14)))
    there = made(tmp_path)
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", many)
    assert plane.spawn().wait_exit() == 1
    assert f"{many} has 15 CAs, of which nodes can be told 14 beside the cluster's own" in plane.log()
    assert made(tmp_path) == there and "pki" not in there and "mesh.db" not in there
    plane = make_secure("--cluster-cidr", "10.77.0.0/16", "--tls-cert", cert, "--tls-key", key, "--tls-ca", ca).start()
    assert "cluster founded" in plane.log() and plane.log().count("--token") == 1


def test_a_cluster_in_plain_http_gets_no_ca_by_a_start_that_is_refused(make_secure, given, tmp_path):
    ca, make = given
    plane = make_secure()
    plane.options[:] = []
    assert plane.spawn().wait_started() and plane.stop() == 0
    cert, key = make("first")
    assert only(plane, "--tls-cert", cert, "--tls-key", key).wait_exit() == 1
    assert not plane.pki.exists()


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_a_given_certificate_that_is_our_own_file_is_refused_with_what_to_do(make_secure, tmp_path, link):
    """Its renewal would write over it."""
    plane = make_secure().start()
    own, key = plane.pki / "server.pem", plane.pki / "server-key.pem"
    cert = tmp_path / "link.pem" if link else own
    if link:
        getattr(cert, link)(own)
    assert plane.stop() == 0
    before = own.read_bytes()
    assert only(plane, "--tls-cert", cert, "--tls-key", key, "--tls-ca", plane.pki / "ca.pem").wait_exit() == 2
    assert f"--tls-cert {cert} is {own}, which the control plane makes and renews itself" in plane.log()
    assert "leave out --tls-cert and --tls-key" in plane.log() and own.read_bytes() == before
    only(plane, "--tls", "auto").wait_started()


def test_a_given_key_or_ca_that_is_our_own_file_is_refused(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca).start()
    assert plane.stop() == 0
    words = ["--tls-cert", cert, "--tls-key"]
    assert only(plane, *words, plane.pki / "admin-key.pem", "--tls-ca", ca).wait_exit() == 2
    assert f"--tls-key {plane.pki}/admin-key.pem is {plane.pki}/admin-key.pem, which" in plane.log()
    assert only(plane, *words, key, "--tls-ca", plane.pki / "told-bundle.pem").wait_exit() == 2
    assert f"--tls-ca {plane.pki}/told-bundle.pem is " in plane.log() and "the root of --tls-cert alone" in plane.log()


def test_a_given_certificate_that_becomes_a_link_to_our_own_is_not_followed(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca).start()
    (tmp_path / "fresh").symlink_to(plane.pki / "server.pem")
    (tmp_path / "fresh").rename(cert)
    wait_for(lambda: f"--tls-cert {cert} is {plane.pki}/server.pem" in plane.log(), 40, plane.log)
    assert shown_name(plane).endswith("CN = first")


def test_a_given_certificate_that_is_missing_is_named(make_secure, tmp_path):
    missing = tmp_path / "absent.pem"
    plane = make_secure("--tls-cert", missing, "--tls-key", tmp_path / "absent-key.pem")
    assert plane.spawn().wait_exit() == 1
    assert f"--tls-cert: open {missing}: No such file" in plane.log() and "CA's certificate" not in plane.log()

def test_a_node_that_was_given_the_ca_by_hand_does_not_hold_up_another_own_ca(make_secure, given, tmp_path):
    ca, make = given
    cert, key = make("first")
    plane = make_secure("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    plane.context = lambda *pair: _context(ca, *pair)
    plane.start()
    node = Node(plane, tmp_path, 1).join()
    assert [n["hostname"] for n in plane.ask("POST", "/api/ca/rotate", {}).json()["waiting_for"]] == ["node1"]
    known = sha256(ca.read_bytes()).hexdigest()
    assert plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat", {"ca_sha256": known}).status == 200
    wait_for(lambda: plane.ask("GET", "/api/ca/status").json()["step"] == "promoted", 10, "the new CA to sign")


@pytest.mark.parametrize("said", [[], ["--tls", "auto"]])
def test_what_was_given_once_and_is_not_any_more_is_not_silently_replaced(make_secure, given, said):
    """An environment file that was not there at this start, say."""
    ca, make = given
    cert, key = make("first")
    plane = make_secure()
    plane.options[:] = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", ca]
    plane.start()
    assert plane.stop() == 0
    assert only(plane, *said).wait_exit() == 65
    for words in ("was given with --tls-cert", "Give it again", "--tls new", "--tls off"):
        assert words in plane.log()
    only(plane, "--tls", "new").wait_started()
    assert "nodes that know only the given CA have to join anew" in plane.log() and plane.log().count("--token") == 1
    assert plane.stop() == 0
    only(plane, *said).wait_started()
    assert "join anew" not in plane.log() and plane.ask("GET", "/health").status == 200


def test_a_certificate_that_is_given_to_a_cluster_that_had_its_own_is_told_with_a_join_line(make_secure, given):
    ca, make = given
    plane = make_secure().start()
    cert, key = make("first")
    plane.restart("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    assert "nodes that were not given its CA have to join anew" in plane.log() and plane.log().count("--token") == 1
    plane.restart("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca)
    assert "join anew" not in plane.log() and "--token" not in plane.log()


# ---- judged -----------------------------------------------------------------------------------------


@pytest.fixture
def chain(tmp_path):
    """root <- inter, and a maker of servers' certificates of inter, with it behind them."""
    root = make_ca(tmp_path, "root")
    inter = make_ca(tmp_path, "inter", root)

    def make(name="own", *extensions, **options):
        cert, key = make_server(tmp_path, name, inter, *extensions, **options)
        cert.with_name(f"{name}-alone.pem").write_text(cert.read_text())
        cert.write_text(cert.read_text() + inter[0].read_text())
        return cert, key
    make.root, make.inter, make.directory = root, inter, tmp_path
    return make


def files(cert, key, ca=None):
    return ["--tls-cert", cert, "--tls-key", key, *(["--tls-ca", ca] if ca else [])]


def refused(make_secure, options, *words, status=1):
    plane = make_secure(*options)
    assert plane.spawn().wait_exit() == status
    for text in words:
        assert text in plane.log(), plane.log()
    return plane


def test_a_chain_without_its_root_says_whose_to_give(make_secure, chain):
    """What ACME clients call fullchain.pem. Then it is pinned, and whoever has the token can verify by it."""
    pair = chain()
    refused(make_secure, files(*pair), "the last certificate is CN=inter, from CN=root", "with --tls-ca")
    refused(make_secure, files(*pair, chain.inter[0]), f"--tls-ca {chain.inter[0]}: no CA in it has signed itself")
    make_secure(*files(*pair, chain.root[0])).start()


def told_first(plane, chain):
    plane.context = lambda *pair: _context(chain.root[0], *pair)
    return openssl("x509", "-noout", "-subject", text=plane.ask_as(None, "GET", "/api/ca").body.decode())


def test_a_chain_with_its_root_needs_no_other_file(make_secure, chain):
    cert, key = chain()
    cert.write_text(cert.read_text() + chain.root[0].read_text())
    assert told_first(make_secure(*files(cert, key)).start(), chain) == "subject=CN = root\n"


def test_what_is_missing_between_is_named(make_secure, chain):
    cert, key = chain()
    refused(make_secure, files(cert.with_name("own-alone.pem"), key, chain.root[0]),
            "CN=own is from CN=inter, which is neither in it nor one of the CAs", "full chain")


def test_a_ca_that_does_not_vouch_is_refused(make_secure, chain, tmp_path):
    refused(make_secure, files(*chain(), make_ca(tmp_path, "other")[0]), "CN=inter is from CN=root, which is neither")


def test_a_key_of_another_certificate_and_a_wrong_order_are_refused(make_secure, chain, tmp_path):
    cert, key = chain()
    refused(make_secure, files(cert, chain("second")[1], chain.root[0]), "it is not for the key (CN=own)")
    backwards = tmp_path / "backwards.pem"
    backwards.write_text(chain.inter[0].read_text() + cert.with_name("own-alone.pem").read_text())
    refused(make_secure, files(backwards, key, chain.root[0]),
            "the certificate of the key (CN=own) is number 2 in it, and has to be the first")


@pytest.mark.parametrize("extension, words", [
    ("extendedKeyUsage=clientAuth", "is not for a TLS server"),
    ("keyUsage=keyEncipherment", "of a key that may not sign"),
])
def test_a_certificate_for_something_else_is_refused(make_secure, chain, extension, words):
    refused(make_secure, files(*chain("own", extension), chain.root[0]), words)


def test_a_key_that_agents_cannot_take_is_refused(make_secure, chain):
    refused(make_secure, files(*chain(kind=("-newkey", "ed25519", "-nodes")), chain.root[0]),
            "CN=own has a key of EdDSA (Ed25519): agents take RSA and ECDSA")
    make_secure(*files(*chain(kind=("-newkey", "rsa:2048", "-nodes")), chain.root[0])).start()


def test_what_stands_in_the_place_of_a_file_is_told(make_secure, chain, tmp_path):
    cert, key = chain()
    refused(make_secure, files(key, cert, chain.root[0]),
            f"--tls-cert: {key}: no certificate in PEM: it is a private key; are certificate and key swapped?")
    refused(make_secure, files(cert, cert, chain.root[0]),
            f"--tls-key: {cert}: private key: it is a certificate; are certificate and key swapped?")
    empty, locked = tmp_path / "empty.pem", tmp_path / "locked.pem"
    empty.touch()
    refused(make_secure, files(cert, empty, chain.root[0]), f"--tls-key: {empty}: private key: it is empty")
    locked.write_text(openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret"))
    refused(make_secure, files(cert, locked, chain.root[0]), "private key: it is encrypted", "openssl pkey")
    os.mkfifo(tmp_path / "pipe")
    refused(make_secure, files(cert, tmp_path / "pipe", chain.root[0]), f"{tmp_path}/pipe is no regular file")


def expired(chain):
    """A certificate that was over before it was made; its key."""
    cert, key = chain()
    request = openssl("req", "-new", "-key", key, "-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1")
    pem = openssl("x509", "-req", "-CA", chain.inter[0], "-CAkey", chain.inter[1], "-days", "-1",
                  "-copy_extensions", "copyall", text=request)
    cert.write_text(pem + chain.inter[0].read_text())
    return cert, key


def test_a_certificate_that_is_over_is_told_and_shown_for_it_may_be_renewed(make_secure, chain):
    cert, key = expired(chain)
    plane = make_secure(*files(cert, key, chain.root[0])).start()
    assert "nodes refuse the given certificate" in plane.log() and "the certificate of CN=own expired 1 d" in plane.log()
    fresh_cert, fresh_key = chain("fresh")
    fresh_key.rename(key)
    fresh_cert.rename(cert)
    plane.restart()
    assert "nodes refuse" not in plane.log()


@pytest.mark.parametrize("san, options, host, warned", [
    ("IP:127.0.0.1", [], "127.0.0.1", None),
    ("DNS:localhost,DNS:mesh.example", [], "mesh.example", None),
    ("DNS:mesh.example,DNS:other.example", ["--tls-name", "other.example"], "other.example", None),
    ("DNS:mesh.example", ["--tls-name", "other.example"], "mesh.example", "is not for --tls-name"),
    ("DNS:*.mesh.example", ["--tls-name", "a.mesh.example"], "a.mesh.example", None),
    ("DNS:*.mesh.example", [], "127.0.0.1", "for no name or address of this host"),
])
def test_the_join_line_has_a_name_that_the_certificate_is_for(make_secure, chain, san, options, host, warned):
    plane = make_secure(*files(*chain(san=san), chain.root[0]), *options).start()
    assert f"quilt-mesh-agent --control-plane https://{host}:{plane.port} " in plane.log()
    is_told = warned != "for no name or address of this host"
    assert url_of(plane) == (f"https://{host}:{plane.port}\n" if is_told else None)
    warnings = [line for line in plane.log().splitlines() if "level=warn" in line]
    assert len(warnings) == bool(warned) and (not warned or warned in warnings[0]), warnings


def test_of_more_cas_than_a_token_takes_the_one_that_vouches_is_in_it(make_secure, chain, tmp_path):
    cas = tmp_path / "cas.pem"
    cas.write_text("".join(make_ca(tmp_path, f"ca{i}")[0].read_text() for i in range(3)) + chain.root[0].read_text())
    plane = make_secure(*files(*chain(), cas)).start()
    assert "more CAs than a token has room for" in plane.log()
    assert told_first(plane, chain) == "subject=CN = root\n"
