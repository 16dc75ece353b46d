"""Becoming a node over TLS: access tokens, certificates for keys that are not of our making."""
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from plane import Reply, problem
from secure import Node, SecurePlane, make_node, make_secure, openssl, secure  # noqa: F401 (fixtures)

from lab.wait import wait_for


@pytest.fixture
def plane(secure):
    return secure


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
    (lambda t: "x" * 12000, "token"),
])
def test_a_token_that_is_not_right_lets_nobody_in(plane, make_node, spoil, words):
    problem(make_node(1).register(spoil(plane.join_token)), 401, words)
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
    problem(make_node(2).register(token), 403, "has been used as often as it may be (1)")
    assert [t["uses"] for t in plane.ask("GET", "/api/tokens").json()["tokens"]] == [0, 1]
    plane.restart()
    problem(make_node(2).register(token), 403, "as often as it may be")
    assert len(plane.nodes()) == 1


def test_who_missed_the_answer_to_its_join_asks_again_with_the_used_token(plane, make_node):
    token, node = plane.token(max_uses=1)["token"], make_node(1)
    first = node.register(token, new_token="ab" * 32)
    again = node.register(token, new_token="ab" * 32)
    assert (first.status, again.status) == (200, 200)
    assert first.json()["node_id"] == again.json()["node_id"]
    assert len(plane.nodes()) == 1


def test_sixteen_at_once_with_a_token_for_ten_are_ten(plane, tmp_path):
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


def test_a_token_that_is_removed_while_a_registration_waits_lets_nobody_in(plane, make_node):
    """The registration waits until its address's holder is deleted; meanwhile its token goes."""
    connections = plane.connect(), plane.connect(context=plane.context()), plane.connect()
    for connection in connections:
        plane.ask("GET", "/livez", connection=connection)
    deleting, joining, removing = connections
    refused = 0
    for _ in range(40):
        holder, token = make_node(1).join(), plane.token(max_uses=0)
        deleting.request("DELETE", f"/api/nodes/{holder.id}")
        joining.request("POST", "/api/nodes/register", json.dumps(holder.wish()),
                        {"Authorization": f"Bearer {token['token']}"})
        removing.request("DELETE", f"/api/tokens/{token['id']}")
        deleted, joined, removed = (Reply(connection.getresponse()) for connection in connections)
        assert (deleted.status, removed.status) == (204, 204)
        refused += joined.status == 403
        if joined.status == 200:  # it was let in before the token went, or not at all
            assert joined.json()["revision"] < plane.ask("GET", "/api/nodes").json()["revision"]
            plane.ask("DELETE", f"/api/nodes/{joined.json()['node_id']}")
    assert refused > 0
