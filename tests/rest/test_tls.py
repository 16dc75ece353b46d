"""TLS itself: the first start and the protocol, seen by OpenSSL."""
import os
import socket
import sqlite3
import ssl
import subprocess

import pytest
from plane import Plane
from secure import make_secure, openssl, secure  # noqa: F401 (fixtures)

from lab.wait import wait_for


@pytest.fixture
def plane(secure):
    return secure


# ---- the first start --------------------------------------------------------------------------------


def test_the_first_start_prints_one_line_to_join_with_and_later_ones_none(plane):
    lines = [line for line in plane.log_path.read_text().splitlines() if "--token" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"quilt-mesh-agent --control-plane https://127.0.0.1:{plane.port} --host-ip HOST_IP")
    plane.restart()
    assert plane.log_path.read_text().count("--token") == 1


@pytest.mark.parametrize("stdout", [">/dev/full", ">&-"])
def test_a_join_line_that_gets_nowhere_is_told_with_the_command_for_another(make_secure, stdout):
    plane = make_secure()
    plane.prefix = ["sh", "-c", f'exec "$@" {stdout}', "sh"]
    plane.start()
    wait_for(lambda: "could not be printed" in plane.log(), 10, plane.log)
    assert "'quiltctl token create -o wide'" in plane.log() and "--token" not in plane.log()


def test_the_certificates_are_what_openssl_expects(plane):
    openssl("verify", "-CAfile", plane.pki / "ca.pem", plane.pki / "server.pem", plane.pki / "admin.pem")
    text = openssl("x509", "-in", plane.pki / "server.pem", "-noout", "-text")
    assert "IP Address:127.0.0.1" in text and "DNS:localhost" in text
    assert "TLS Web Server Authentication" in text
    assert "CA:TRUE" in openssl("x509", "-in", plane.pki / "ca.pem", "-noout", "-text")


def test_metrics_tell_when_the_certificate_and_the_ca_expire(plane):
    for name, figure in (("server", "certificate"), ("ca", "ca_certificate")):
        end = openssl("x509", "-noout", "-enddate", "-in", plane.pki / f"{name}.pem").split("=")[1].strip()
        assert plane.metric(f"quilt_control_{figure}_expiry_timestamp_seconds") == ssl.cert_time_to_seconds(end)


def test_a_note_for_quiltctl_that_cannot_be_left_is_told_and_no_more(plane):
    (plane.pki / "told-url").unlink()
    (plane.pki / "told-url").mkdir()
    plane.restart()
    assert "quiltctl on this host may not find the control plane without --control-plane" in plane.log()
    assert plane.ask("GET", "/health").status == 200


def test_nothing_in_the_directory_is_for_others(plane):
    assert plane.pki.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in plane.pki.iterdir()} == {0o600}


def test_a_cluster_that_has_spoken_tls_goes_on_doing_so(plane):
    plane.options.remove("--tls")
    plane.options.remove("auto")
    plane.restart()
    assert plane.ask("GET", "/health").status == 200


def without_tls_option(plane):
    plane.options.remove("--tls")
    plane.options.remove("auto")
    return plane


def forget_tls_flag(plane):
    """The database becomes one of a version that did not note that TLS was spoken."""
    database = sqlite3.connect(plane.db)
    database.execute("UPDATE records SET body = json_remove(body, '$.speaks_tls', '$.certs') WHERE kind = 'cluster'")
    database.commit()
    database.close()


@pytest.mark.parametrize("version", ["this version", "an older one"])
def test_a_cluster_whose_ca_is_gone_does_not_fall_back_to_plain_http(plane, version):
    assert without_tls_option(plane).stop() == 0
    if version == "an older one":
        forget_tls_flag(plane)
    plane.pki.rename(plane.pki.with_name("elsewhere"))
    assert plane.spawn().wait_exit() == 65
    for words in (f"{plane.pki}/ca.pem is missing", "--tls-dir", "--tls new", "--tls off", "backup"):
        assert words in plane.log()
    assert not plane.pki.exists()
    plane.start("--tls-dir", plane.pki.with_name("elsewhere"))
    plane.restart("--tls", "off")


def test_a_ca_whose_certificate_alone_is_lost_is_the_same_ca(plane):
    before = (plane.pki / "ca.pem").read_bytes()
    assert without_tls_option(plane).stop() == 0
    (plane.pki / "ca.pem").unlink()
    plane.start()
    assert plane.ask("GET", "/health").status == 200
    assert (plane.pki / "ca.pem").read_bytes() == before


def test_a_new_ca_must_be_asked_for_is_warned_of_and_has_a_join_line(plane):
    """A unit says --tls auto at each start, also at one at which the CA's directory is not mounted."""
    assert plane.stop() == 0
    plane.pki.rename(plane.pki.with_name("elsewhere"))
    assert plane.spawn().wait_exit() == 65
    assert f"{plane.pki}/ca.pem is missing" in plane.log() and not plane.pki.exists()
    plane.start("--tls", "new")
    assert "every node has to join anew" in plane.log() and plane.log().count("--token") == 1


def test_a_first_start_that_fails_costs_no_join_line(make_secure):
    plane = make_secure()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert plane.spawn("--listen", f"127.0.0.1:{taken.getsockname()[1]}").wait_exit() == 1
    assert "--token" not in plane.log()
    plane.start()
    assert plane.log().count("--token") == 1
    assert len(plane.ask("GET", "/api/tokens").json()["tokens"]) == 1
    plane.restart()
    assert "--token" not in plane.log()


def test_a_first_start_that_fails_has_said_all_the_same_what_is_to_be_spoken(make_secure):
    """Here the CA's directory cannot be made; the option was said that once."""
    plane = make_secure()
    plane.pki.write_text("in the way")
    assert plane.spawn().wait_exit() == 1
    plane.pki.unlink()
    without_tls_option(plane).start()
    assert "tls=true" in plane.log() and plane.log().count("--token") == 1


def test_a_database_beside_the_ca_of_another_cluster_is_told_as_a_mistake(plane, tmp_path):
    """Of the database's path, rather than of the CA, which is not to be deleted for it."""
    assert plane.stop() == 0
    right, plane.db = plane.db, tmp_path / "mesh-typo.db"
    assert plane.spawn().wait_exit() == 65
    assert "is --db-path the right one?" in plane.log() and str(plane.db) in plane.log()
    assert not plane.db.exists()  # nothing is founded beside it
    plane.options[:] = ["--tls", "off"]  # which says nothing about the path
    assert plane.spawn().wait_exit() == 65 and not plane.db.exists()
    plane.options[:] = []
    (tmp_path / "elsewhere").mkdir()
    other = Plane(tmp_path / "elsewhere")
    other.db = plane.db
    other.start("--tls-dir", tmp_path / "elsewhere/pki").end()
    assert plane.spawn().wait_exit() == 65
    for words in (f"the database {plane.db} is of cluster", "name the database of that cluster with --db-path",
                  "move the directory away"):
        assert words in plane.log()
    plane.db = right
    plane.start()


@pytest.mark.parametrize("name", ["ca.pem", "ca-bundle.pem", "server.pem", "admin-key.pem"])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(plane, name):
    assert plane.stop() == 0
    (plane.pki / name).unlink()
    os.mkfifo(plane.pki / name, 0o600)
    assert plane.spawn().wait_exit() == 65
    assert f"{plane.pki / name} is no regular file" in plane.log() and "to recover" in plane.log()


@pytest.mark.parametrize("left", ["ca-bundle.pem", "server.pem", "admin-key.pem"])
def test_what_is_left_of_a_ca_keeps_another_cluster_from_being_founded_beside_it(plane, left):
    assert without_tls_option(plane).stop() == 0
    plane.db.unlink()
    for path in plane.pki.iterdir():
        if path.name != left:
            path.unlink()
    assert plane.spawn().wait_exit() == 65
    assert f"{plane.pki}/{left} is of a cluster already" in plane.log() and not plane.db.exists()


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


def test_a_slip_in_the_environment_does_not_start_it_without_tls(make_secure):
    plane = make_secure()
    plane.options[:] = []
    plane.env = {"QUILT_TSL": "auto"}
    assert plane.spawn().wait_exit() == 2
    assert "QUILT_TSL: there is no such variable; is QUILT_TLS meant?" in plane.log()


@pytest.mark.parametrize("options, words", [
    (["--tls-cert", "c.pem"], "--tls-key"),
    (["--tls-ca", "c.pem"], "--tls-ca goes with"),
    (["--tls", "maybe"], "none of auto, new and off"),
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
            try:
                s.shutdown(socket.SHUT_WR)
                s.makefile("rb").read()
            except OSError:  # it was refused before
                pass
    assert plane.ask("GET", "/health").status == 200
