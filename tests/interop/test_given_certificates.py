"""A control plane that shows a certificate that others made, with an intermediate CA, as ACME gives them: agents join
with the token that it prints, and follow it.

Runs the programs of the build that QUILT_BUILD names; needs no privilege."""
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from stub_agent import BUILD, StubAgent, wait_for  # (and with it the tests of the REST API)
from secure import SecurePlane, make_ca, make_server, openssl
from test_quiltctl_tls import Place

FALSE_CONTROL = Path(__file__).resolve().parents[1] / "lab/false_control.py"


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


# ---- a node that lost what it knew the control plane by -----------------------------------------------


def node_ids(plane):
    return [node["node_id"] for node in plane.ask("GET", "/api/nodes").json()["nodes"]]


@pytest.fixture
def member(plane, agent):
    """The agent, stopped, whose node is a member; the admin asks without it."""
    plane.context = lambda *pair: context_of(plane.root, *pair)
    agent.start(plane, plane.join_token).wait_log('msg="event stream is up"')
    agent.stop()
    agent.node_ids = node_ids(plane)
    assert len(agent.node_ids) == 1
    return agent


def context_of(ca, cert=None, key=None):
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context


@pytest.mark.parametrize("spoil", ["rm tls/ca.pem", "echo no CA > tls/ca.pem", "rm -r tls"])
def test_it_comes_back_by_itself_by_what_its_state_remembers(plane, member, spoil):
    before = subjects(member.state / "tls/ca.pem")
    subprocess.run(["sh", "-ec", spoil], cwd=member.state, check=True)
    member.start(plane, None).wait_log('msg="event stream is up"')
    assert "the control plane's CA is one that this node knew before" in member.log.read_text()
    assert subjects(member.state / "tls/ca.pem") == before and node_ids(plane) == member.node_ids


def test_without_its_state_too_it_says_what_to_do_and_one_command_makes_the_token(plane, member, tmp_path):
    for name in ("tls/ca.pem", "agent.json", "agent.json.1"):
        (member.state / name).unlink(missing_ok=True)
    member.start(plane, None).wait_log("start the agent with a new access token (--token-file; 'quiltctl token create'")
    assert "nothing was sent to it" in member.log.read_text()
    member.stop()
    token = Place(None, tmp_path / "here", plane.pki).run("token", "create").stdout.strip()
    member.start(plane, token).wait_log('msg="event stream is up"')
    assert node_ids(plane) == member.node_ids


def test_somebody_else_who_tells_the_right_cas_is_sent_nothing(plane, member, tmp_path):
    """They are for everybody to have."""
    (tmp_path / "false").mkdir()
    cert, key = make_server(tmp_path / "false", "control", make_ca(tmp_path / "false", "root"))
    (member.state / "tls/ca.pem").unlink()
    assert plane.stop() == 0
    record, log = tmp_path / "record", tmp_path / "false.log"
    with open(log, "wb") as said:
        false = subprocess.Popen([sys.executable, "-B", FALSE_CONTROL, "127.0.0.1", str(plane.port), cert, key,
                                  plane.pki / "told-bundle.pem", record], stderr=said)
    try:
        wait_for(lambda: "ready" in log.read_text(), 20, log.read_text)
        member.start(plane, None).wait_log("which is none of the CAs in")
        wait_for(lambda: len(log.read_text().splitlines()) > 4, 20, log.read_text)
    finally:
        false.terminate()
        false.wait(10)
    member.stop()
    asked = record.read_text()
    assert re.findall("^[A-Z]+ /.*", asked, re.MULTILINE) == ["GET /api/ca HTTP/1.1"]
    assert "Authorization" not in asked and "csr" not in asked
    plane.start("--listen", f"127.0.0.1:{plane.port}")
    member.start(plane, None).wait_log('msg="event stream is up"')
    assert node_ids(plane) == member.node_ids


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
