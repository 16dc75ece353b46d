"""quilt-mesh-agent between two clusters, the real daemons over TLS: an access token is shown to nobody but the
control plane of a CA that it names, whatever was pinned before.

Runs the programs of the build that QUILT_BUILD names; needs no privilege."""
import pytest
from stub_agent import StubAgent  # (and with it the tests of the REST API)
from secure import SecurePlane


@pytest.fixture
def planes(tmp_path):
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(SecurePlane(tmp_path / name).start())
    yield made
    for plane in made:
        plane.end()


@pytest.fixture
def agent(tmp_path):
    agent = StubAgent(tmp_path)
    yield agent
    agent.stop()


def unknown(plane):
    """A token that pins the plane's CA, and that it does not know."""
    return plane.join_token[:-26] + "a" * 26


def registrations(plane):
    """How many there were to the plane, whatever came of them."""
    lines = plane.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith("quilt_control_http_requests_total{") and "/api/nodes/register" in line)


def pin_without_joining(agent, plane):
    agent.start(plane, unknown(plane)).wait_log("this node is not let in")
    agent.stop()
    assert (agent.state / "tls/ca.pem").exists()
    assert registrations(plane) > 0


def test_a_token_is_not_shown_to_the_cluster_that_was_pinned_before(planes, agent):
    one, two = planes
    pin_without_joining(agent, one)
    before = registrations(one)
    agent.start(one, two.join_token).wait_log("none of the 1 CAs is the one of the token")
    agent.stop()
    assert registrations(one) == before


def test_what_was_pinned_before_does_not_keep_it_from_the_tokens_cluster(planes, agent):
    one, two = planes
    pin_without_joining(agent, one)
    agent.start(two, two.join_token).wait_log('msg="ready"')
    assert [node["hostname"] for node in two.nodes()] == ["node9"]


def test_a_new_token_in_the_file_is_shown_to_its_own_cluster_only(planes, agent):
    """The file changes under an agent that runs."""
    one, two = planes
    agent.start(one, unknown(one)).wait_log("this node is not let in")
    agent.token_file.write_text(two.join_token)
    before = registrations(one)
    agent.wait_log("none of the 1 CAs is the one of the token")
    assert registrations(one) == before


def test_a_node_of_one_cluster_does_not_show_it_the_others_token(planes, agent):
    """Revoked, it has nothing else to show."""
    one, two = planes
    agent.start(one, one.join_token).wait_log('msg="ready"')
    agent.stop()
    assert one.ask("POST", f"/api/nodes/{one.nodes()[0]['node_id']}/revoke").status == 200
    agent.start(one, two.join_token).wait_log("this node was revoked or removed")
    agent.stop()
    assert "is not known here" not in one.log()


def test_only_the_tokens_cas_count_while_it_is_shown(planes, agent):
    """The CAs of both are known; the token names one of them."""
    one, two = planes
    pin_without_joining(agent, one)
    known = agent.state / "tls/ca.pem"
    known.write_text(known.read_text() + (two.pki / "ca.pem").read_text())
    before = registrations(one)
    agent.start(one, two.join_token).wait_log("which is none of the CAs in")
    agent.stop()
    assert registrations(one) == before
    assert known.read_text().count("BEGIN CERTIFICATE") == 1


def test_a_removed_node_that_knows_a_ca_too_many_joins_with_a_new_token(planes, agent):
    """Forgetting that CA takes a new connection, and the old certificate is gone by then."""
    one, two = planes
    agent.start(one, one.join_token).wait_log('msg="event stream is up"')
    agent.stop()
    assert one.ask("DELETE", f"/api/nodes/{one.nodes()[0]['node_id']}").status == 204
    known = agent.state / "tls/ca.pem"
    known.write_text(known.read_text() + (two.pki / "ca.pem").read_text())
    agent.start(one, one.token()["token"]).wait_log('msg="event stream is up"')
    assert "this node is not taken for itself any more" in agent.log.read_text()
    assert known.read_text().count("BEGIN CERTIFICATE") == 1
