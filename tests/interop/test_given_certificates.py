"""A control plane that shows a certificate that others made, with an intermediate CA, as ACME gives them: agents join
with the token that it prints, and follow it.

Runs the programs of the build that QUILT_BUILD names; needs no privilege."""
import subprocess

import pytest
from stub_agent import BUILD, StubAgent  # (and with it the tests of the REST API)
from secure import SecurePlane, make_ca, make_server, openssl
from test_quiltctl_tls import Place


@pytest.fixture
def agent(tmp_path):
    agent = StubAgent(tmp_path)
    yield agent
    agent.stop()


@pytest.fixture
def make_plane(tmp_path):
    """Makes a control plane whose certificate is for these names; it is ended with the test."""
    planes = []

    def make(san, *options):
        root = make_ca(tmp_path, "root")
        inter = make_ca(tmp_path, "inter", root)
        cert, key = make_server(tmp_path, "own", inter, san=san)
        cert.write_text(cert.read_text() + inter[0].read_text())
        plane = SecurePlane(tmp_path, "--tls-cert", cert, "--tls-key", key, "--tls-ca", root[0], *options)
        plane.root = root[0]
        planes.append(plane)
        return plane.start()
    yield make
    for plane in planes:
        plane.end()


@pytest.fixture
def plane(make_plane):
    return make_plane("IP:127.0.0.1")


def subjects(bundle):
    """Of all certificates in a file."""
    blocks = bundle.read_text().split("-----END CERTIFICATE-----")[:-1]
    return [openssl("x509", "-noout", "-subject", text=block + "-----END CERTIFICATE-----\n").strip()
            for block in blocks]


def test_an_agent_joins_with_the_printed_token_and_knows_both_cas(plane, agent):
    agent.start(plane, plane.join_token).wait_log('msg="event stream is up"')
    known = subjects(agent.state / "tls/ca.pem")
    assert known[0] == "subject=CN = root" and "Quilt Mesh CA" in known[1] and len(known) == 2


def test_an_agent_may_be_given_the_root_instead(plane, agent):
    agent.start(plane, plane.join_token, "--tls-ca", plane.root).wait_log('msg="event stream is up"')


def test_quiltctl_on_this_host_knows_the_control_plane_by_its_directory(plane):
    done = subprocess.run([BUILD / "cli/quiltctl", "--tls-dir", plane.pki, "--control-plane",
                           f"https://127.0.0.1:{plane.port}", "token", "ls"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- quiltctl on the control plane's host, which nobody told where that is ---------------------------


def by_name(plane, name):
    """What OpenSSL says of the certificate that is shown for it."""
    return openssl("s_client", "-connect", f"127.0.0.1:{plane.port}", "-servername", name, "-verify_hostname", name,
                   "-CAfile", plane.root, text="")


def test_it_is_found_by_a_name_that_only_its_certificate_knows(make_plane, tmp_path):
    """There is no mesh.invalid, here or elsewhere."""
    plane = make_plane("DNS:mesh.invalid")
    assert "Verify return code: 0 (ok)" in by_name(plane, "mesh.invalid")
    here = Place(None, tmp_path / "here", plane.pki)
    assert len(here.json("token", "ls")) == 1
    line = here.ok("token", "create", "-o", "wide")
    assert line.startswith(f"quilt-mesh-agent --control-plane https://mesh.invalid:{plane.port} --host-ip HOST_IP ")
    viewer = here.json("token", "create", "--role", "viewer")["token"]
    assert here.json("node", "ls", env={"QUILT_TOKEN": viewer}) == []


def test_a_name_of_a_pattern_is_the_one_that_was_given(make_plane, tmp_path):
    plane = make_plane("DNS:*.mesh.invalid", "--tls-name", "a.mesh.invalid")
    assert len(Place(None, tmp_path / "here", plane.pki).json("token", "ls")) == 1


def test_without_such_a_name_the_error_says_which_to_give(make_plane, tmp_path):
    plane = make_plane("DNS:mesh.invalid")
    here = Place(f"https://127.0.0.1:{plane.port}", tmp_path / "here", plane.pki)
    assert "is not for 127.0.0.1; use a name that it is for, as mesh.invalid, or" in here.fails("token", "ls")


def test_a_port_that_is_not_the_usual_one_is_found_with_its_own_certificate_too(tmp_path):
    plane = SecurePlane(tmp_path).start()
    here = Place(None, tmp_path / "here", plane.pki)
    assert len(here.json("token", "ls")) == 1
    assert (plane.pki / "told-url").read_text() == f"https://127.0.0.1:{plane.port}\n"
    plane.end()


def test_it_is_not_found_where_it_does_not_listen_and_that_is_told(make_plane, tmp_path):
    plane = make_plane("DNS:mesh.invalid")
    assert plane.stop() == 0
    said = Place(None, tmp_path / "here", plane.pki).fails("token", "ls")
    assert f"GET https://mesh.invalid:{plane.port}/api/tokens at 127.0.0.1: connect: Connection refused" in said
