"""The runtime's gRPC over TLS: whom it lets in and for what, what it says to those whom it does not, and that
new files need no restart. Certificates are OpenSSL's; python3-grpcio, quiltctl and openssl s_client come with
them."""
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from runtime_host import BUILD, wait_for
from test_grpc_access import HEALTH, METHODS, OPEN, figure, refused
from tls_host import HOST_IP, NODE, TARGET, TlsHost

from lab.pki import Authority, make_key  # isort: skip  # on the path by tls_host

URL = f"https://{TARGET}"
OTHER_NODE = "7f1c2c5e-0c55-4ab6-8b5c-000000000000"
STATUS = "/quilt.QuiltRuntime/GetStatus"
READING = [f"/quilt.QuiltRuntime/{name}" for name in ("GetStatus", "ListEndpoints", "ListRoutes")]
EXIT_USAGE = 2

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = TlsHost(tmp_path_factory.mktemp("tls")).start()
    yield host
    host.end()


@pytest.fixture
def fresh(tmp_path):
    host = TlsHost(tmp_path)
    yield host
    host.end()


# ---- who may what -----------------------------------------------------------------------------------


def test_this_nodes_own_certificate_may_all(host):
    assert set(host.statuses(host.paper, [*OPEN, *METHODS]).values()) == {"OK"}


def test_the_admin_may_all(host):
    assert set(host.statuses(host.ca.issue("admin", "user/admin", usage=["clientAuth"])).values()) == {"OK"}


def test_a_viewer_may_look_and_nothing_else(host):
    statuses = host.statuses(host.ca.issue("viewer", "user/viewer", usage=["clientAuth"]), [*OPEN, *METHODS])
    assert refused(statuses) == sorted(set(METHODS) - set(READING))
    assert {statuses[name] for name in [*OPEN, *READING]} == {"OK"}


@pytest.mark.parametrize("who", [f"node/{OTHER_NODE}", "user/ada"])
def test_other_nodes_and_users_may_ask_for_health_only(host, who):
    before = figure(host, "quilt_runtime_rpc_denied_total")
    said = host.ask(host.ca.issue(who.split("/")[0] + "-other", who), [*OPEN, *METHODS])
    assert sorted(name for name, text in said.items() if text.startswith("PERMISSION_DENIED")) == sorted(METHODS)
    assert {said[name] for name in OPEN} == {"OK"}
    assert "this node's own certificate may, and the admin's" in said[STATUS]
    assert figure(host, "quilt_runtime_rpc_denied_total") == before + len(METHODS)


def test_this_nodes_name_with_another_key_may_no_more_than_a_stranger(host):
    stolen = host.ca.issue("before", f"node/{NODE}", [HOST_IP])
    assert refused(host.statuses(stolen)) == sorted(METHODS)


# ---- who is not let in ------------------------------------------------------------------------------


def test_without_a_certificate_nobody_is_let_in(host):
    assert host.is_cut(None, "reason=certificate", "shows no certificate")


def test_a_certificate_of_another_ca_is_none(host, tmp_path):
    other = Authority(tmp_path / "other", host.ca.cluster)
    assert host.is_cut(other.issue("node", f"node/{NODE}", [HOST_IP]), "reason=certificate", "no CA of ours")


def test_another_clusters_certificate_is_none(host, tmp_path):
    other = Authority(tmp_path / "other")
    assert host.is_cut(other.issue("admin", "user/admin"), "reason=certificate", "is of cluster " + other.cluster)


def test_an_expired_certificate_is_none_and_the_log_says_since_when(host):
    assert host.is_cut(host.ca.issue("late", "user/admin", days=(-9, -1)), "reason=certificate",
                       "the certificate of user admin expired")


def test_a_certificate_of_tomorrow_is_none(host):
    assert host.is_cut(host.ca.issue("early", "user/admin", days=(1, 9)), "reason=certificate")


def test_a_servers_certificate_is_no_clients(host):
    assert host.is_cut(host.ca.issue("server", "user/admin", usage=["serverAuth"]), "is not for a TLS client")


def test_the_control_planes_certificate_commands_nobody(host):
    assert refused(host.statuses(host.ca.issue("control", "control"))) == sorted(METHODS)


# ---- TLS itself -------------------------------------------------------------------------------------

SHOWN = ["-alpn", "h2", "-cert", "{cert}", "-key", "{key}"]


def shown(host, *options):
    return [word.format(cert=host.paper.cert, key=host.paper.key) for word in [*SHOWN, *options]]


@pytest.mark.parametrize("version, cipher", [("-tls1_3", "TLS_AES_256_GCM_SHA384"),
                                             ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384")])
def test_openssl_finds_tls_1_2_and_1_3_with_good_suites(host, version, cipher):
    said = host.s_client(*shown(host, version))
    assert f"Cipher is {cipher}" in said and "ALPN protocol: h2" in said, said
    assert "Acceptable client certificate CA names" in said or "No client certificate CA names sent" in said


@pytest.mark.parametrize("options", [
    ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
    ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384:aNULL@SECLEVEL=0"]])
def test_openssl_finds_nothing_older_or_weaker(host, options):
    said = host.s_client(*shown(host, *options))
    assert "Cipher is (NONE)" in said or "no protocols available" in said, said


def test_who_does_not_say_that_he_speaks_http2_is_sent_away(host):
    begin = len(host.log.read_text())
    wait_for(lambda: host.s_client("-cert", host.paper.cert, "-key", host.paper.key) and
             "does not say that it speaks h2" in host.log.read_text()[begin:], "the log to say so")
    assert "no application protocol" in host.s_client("-alpn", "http/1.1", "-cert", host.paper.cert, "-key",
                                                      host.paper.key)


@pytest.mark.parametrize("junk", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), b"GET / HTTP/1.1\r\n\r\n",
                                  bytes(range(256)) * 64, b"\x16\x03\x01\xff\xff" + b"\0" * 4096,
                                  b"\x16\x03\x01\x00\x00" * 1000], ids=["h2c", "http1", "noise", "long", "empty"])
def test_who_speaks_no_tls_is_cut_off(host, junk):
    with host.open_socket() as s:
        try:
            s.sendall(junk)
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert host.statuses(host.paper, [STATUS]) == {STATUS: "OK"}


def cuts(host, reason):
    return figure(host, f'quilt_runtime_rpc_connections_cut_total{{reason="{reason}"}}')


# A hello begins, and nothing follows.
HALF = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def test_a_handshake_that_gets_nowhere_is_cut_off_in_time(host):
    before = cuts(host, "slow")
    with host.open_socket() as drip:
        began = time.monotonic()
        for byte in HALF * 40:
            try:
                drip.sendall(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(0.1)
        assert 8 < time.monotonic() - began < 16
    assert cuts(host, "slow") == before + 1


def test_an_honest_client_is_served_among_a_hundred_half_handshakes_from_its_own_address(host):
    before = cuts(host, "too-many")
    halves = [host.open_socket() for _ in range(100)]
    for half in halves:
        try:
            half.sendall(HALF)
        except (BrokenPipeError, ConnectionResetError):
            pass
    began = time.monotonic()
    assert host.statuses(host.paper, [STATUS]) == {STATUS: "OK"}
    assert time.monotonic() - began < 5
    assert cuts(host, "too-many") >= before + 100 - 64
    for half in halves:
        half.close()


# ---- new files --------------------------------------------------------------------------------------


def test_renewed_files_are_read_without_a_restart(fresh):
    fresh.start()
    assert fresh.statuses(fresh.paper, [STATUS]) == {STATUS: "OK"}
    first = fresh.s_client(*shown(fresh))
    fresh.ca.issue("node", f"node/{NODE}", [HOST_IP], key=fresh.paper.key)
    wait_for(lambda: serial(fresh.s_client(*shown(fresh))) != serial(first), "the new certificate to be shown")
    assert fresh.statuses(fresh.paper, [STATUS]) == {STATUS: "OK"}
    assert "certificate, key or CAs are new" in fresh.log.read_text()


def serial(said):
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", said, re.S)
    assert pem, said
    return pem[0]


def test_who_was_let_in_by_a_ca_that_is_replaced_has_to_go(fresh, tmp_path):
    fresh.start()
    admin = fresh.ca.issue("admin", "user/admin")
    with fresh.open_caller(admin) as caller:
        assert say(caller, STATUS) == f"{STATUS} OK"
        fresh.ca = Authority(tmp_path / "next", fresh.ca.cluster)
        paper = fresh.ca.issue("node", f"node/{NODE}", [HOST_IP])
        for new, old in ((paper.key, fresh.paper.key), (paper.cert, fresh.paper.cert),
                         (fresh.ca.cert, tmp_path / "pki/ca.pem")):
            os.replace(new, old)
        fresh.ca.cert = tmp_path / "pki/ca.pem"
        wait_for(lambda: fresh.statuses(fresh.paper, [HEALTH]) and say(caller, STATUS) == f"{STATUS} UNAVAILABLE",
                 "the admin of the old CA to be cut, for who comes makes it look")
        caller.stdin.close()
    wait_for(lambda: "reason=outdated" in fresh.log.read_text(), "it to be told in the log")
    assert fresh.statuses(fresh.paper, [STATUS]) == {STATUS: "OK"}


def say(caller, method):
    caller.stdin.write(method + "\n")
    caller.stdin.flush()
    return caller.stdout.readline().strip()


def test_files_that_cannot_be_used_change_nothing(fresh):
    fresh.start()
    fresh.ca.cert.rename(fresh.dir / "ca.pem")
    fresh.ca.cert.write_text("nonsense")
    fresh.ca.cert = fresh.dir / "ca.pem"
    wait_for(lambda: fresh.statuses(fresh.paper, [STATUS]) == {STATUS: "OK"} and
             "cannot be used" in fresh.log.read_text(), "the log to say so")
    assert fresh.statuses(fresh.paper, [STATUS]) == {STATUS: "OK"}


def test_the_runtimes_own_expired_certificate_is_an_error_in_the_log(fresh):
    fresh.paper = fresh.ca.issue("node", f"node/{NODE}", [HOST_IP], days=(-9, -1))
    fresh.start()
    wait_for(lambda: "the gRPC server's certificate has expired" in fresh.log.read_text(), "the log to say so")


# ---- the command line -------------------------------------------------------------------------------


def test_beyond_loopback_without_a_certificate_it_does_not_start(fresh):
    done = subprocess.run(fresh.runtime_argv("--grpc-addr", TARGET), capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 1
    assert "let its agent join a control plane of https:// first, or give --tls-cert" in done.stderr, done.stderr


@pytest.mark.parametrize("options, text", [
    (["--grpc-addr", TARGET, "--tls-cert", "/x"], "--tls-cert, --tls-key and --tls-ca go together"),
    (["--grpc-addr", "unix:/x", "--tls-cert", "/x", "--tls-key", "/x", "--tls-ca", "/x"], "the kernel tells"),
], ids=["half", "unix"])
def test_a_command_line_that_cannot_be_is_refused(fresh, options, text):
    done = subprocess.run(fresh.runtime_argv(*options), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == EXIT_USAGE and text in done.stderr, done.stderr


def test_files_that_do_not_fit_are_refused_at_the_start(fresh):
    make_key(fresh.paper.key)
    done = subprocess.run(fresh.runtime_argv(), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "is not for the key" in done.stderr, done.stderr


# ---- quiltctl ---------------------------------------------------------------------------------------


def quiltctl(host, *options, ca=None, paper=None, url=URL):
    shows = ["--tls-ca", ca or host.ca.cert, "--tls-cert", paper.cert, "--tls-key", paper.key] if paper else []
    return host.run(Path(BUILD) / "cli/quiltctl", "--state-dir", host.dir / "none", "--runtime", url, *shows,
                    *options, "route", "ls", check=False)


def test_quiltctl_shows_a_certificate_and_knows_the_node_by_its_address(host):
    done = quiltctl(host, paper=host.ca.issue("ctl", "user/admin"))
    assert (done.returncode, done.stderr) == (0, "")


def test_quiltctl_on_the_node_itself_knows_it_by_whatever_address(fresh):
    options = ["--grpc-addr", "0.0.0.0:50051", *fresh.tls_options()]
    fresh.start(*options)
    done = quiltctl(fresh, paper=fresh.paper, url="https://127.0.0.1:50051")
    assert (done.returncode, done.stderr) == (0, "")
    done = quiltctl(fresh, paper=fresh.ca.issue("admin", "user/admin"), url="https://127.0.0.1:50051")
    assert done.returncode == 1 and f"(node {NODE}) is not for 127.0.0.1" in done.stderr, done.stderr


def test_quiltctl_does_not_believe_a_runtime_of_another_ca(host, tmp_path):
    other = Authority(tmp_path / "other", host.ca.cluster)
    done = quiltctl(host, ca=other.cert, paper=other.issue("admin", "user/admin"))
    assert done.returncode == 1 and "no CA of ours" in done.stderr, done.stderr


def test_quiltctl_without_a_certificate_says_what_would_help(host):
    done = quiltctl(host)
    assert done.returncode == 1 and "--tls-cert" in done.stderr, done.stderr
