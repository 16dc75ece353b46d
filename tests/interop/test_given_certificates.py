"""A control plane that shows a certificate that others made, with an intermediate CA, as ACME gives them: agents join
with the token that it prints, and follow it.

Runs the programs of the build that QUILT_BUILD names; needs no privilege."""
import subprocess

import pytest
from stub_agent import BUILD, StubAgent  # (and with it the tests of the REST API)
from secure import SecurePlane, make_ca, make_server, openssl


@pytest.fixture
def agent(tmp_path):
    agent = StubAgent(tmp_path)
    yield agent
    agent.stop()


@pytest.fixture
def plane(tmp_path):
    root = make_ca(tmp_path, "root")
    inter = make_ca(tmp_path, "inter", root)
    cert, key = make_server(tmp_path, "own", inter)
    cert.write_text(cert.read_text() + inter[0].read_text())
    plane = SecurePlane(tmp_path, "--tls-cert", cert, "--tls-key", key, "--tls-ca", root[0])
    plane.root = root[0]
    yield plane.start()
    plane.end()


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
