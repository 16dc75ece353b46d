"""Becoming a node over TLS: access tokens, certificates for keys that are not of our making."""
import json
import sqlite3
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
    (lambda t: "x" * 7000, "token"),
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


@pytest.mark.parametrize("who", ["a node", "a new one"])
def test_a_name_that_another_node_has_is_refused(plane, make_node, who):
    one, two = make_node(1).join(), make_node(2).join()
    if who == "a node":
        reply = one.register(one, hostname="Node2")
    else:
        reply = make_node(3).register(plane.join_token, hostname="Node2")
    problem(reply, 409, f"hostname: node2 is the name of the node at 192.168.1.2 (node {two.id}), which is up",
            f"quiltctl node rm {two.id}")
    assert [node["hostname"] for node in plane.nodes()] == ["node1", "node2"]
    assert one.register(one, hostname="node7").status == 200


def test_of_sixteen_that_want_a_name_at_once_one_gets_it(plane, tmp_path):
    nodes = [Node(plane, tmp_path, number) for number in range(1, 17)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda node: node.register(plane.join_token, hostname="the-one").status, nodes))
    assert sorted(statuses) == [200] + [409] * 15
    assert [node["hostname"] for node in plane.nodes()] == ["the-one"]


def test_the_name_of_a_removed_node_can_be_had(plane, make_node):
    throw_out(plane, make_node(1).join(), "remove")
    assert make_node(2).register(plane.join_token, hostname="node1").status == 200


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
    """The registration waits until its host's reservation is taken back; meanwhile its token goes."""
    connections = plane.connect(), plane.connect(context=plane.context()), plane.connect()
    for connection in connections:
        plane.ask("GET", "/livez", connection=connection)
    taking_back, joining, removing = connections
    node, refused = make_node(1), 0
    for _ in range(40):
        token = plane.token(max_uses=0)
        assert plane.ask("PUT", "/api/reservations/node1", {"subnet": "10.42.99.0/24"}).status == 200
        taking_back.request("DELETE", "/api/reservations/node1")
        joining.request("POST", "/api/nodes/register", json.dumps(node.wish()),
                        {"Authorization": f"Bearer {token['token']}"})
        removing.request("DELETE", f"/api/tokens/{token['id']}")
        taken, joined, removed = (Reply(connection.getresponse()) for connection in connections)
        assert (taken.status, removed.status) == (204, 204)
        refused += joined.status == 403
        if joined.status == 200:  # it was let in before the token went, or not at all
            assert joined.json()["revision"] < plane.ask("GET", "/api/nodes").json()["revision"]
            plane.ask("DELETE", f"/api/nodes/{joined.json()['node_id']}")
    assert refused > 0


def test_a_token_that_lets_somebody_in_just_now_can_be_removed(plane, tmp_path):
    """Also by two at once: the second finds that it is done."""
    connections = plane.connect(context=plane.context()), plane.connect(), plane.connect()
    for connection in connections:
        plane.ask("GET", "/livez", connection=connection)
    joining, *removing = connections
    let_in = 0
    for number in range(40):
        node, token = Node(plane, tmp_path, number + 1), plane.token()
        joining.request("POST", "/api/nodes/register", json.dumps(node.wish()),
                        {"Authorization": f"Bearer {token['token']}"})
        for connection in removing:
            connection.request("DELETE", f"/api/tokens/{token['id']}")
        removed = [Reply(connection.getresponse()).status for connection in removing]
        joined = Reply(joining.getresponse()).status
        assert sorted(removed) == [204, 404] and joined in (200, 401, 403)
        let_in += joined == 200
    assert plane.ask("GET", "/api/tokens").json()["tokens"][1:] == []
    assert let_in > 0


THROWN_OUT = {"revoke": ("POST", "/revoke", 200), "remove": ("DELETE", "", 204)}


def throw_out(plane, node, how):
    method, suffix, status = THROWN_OUT[how]
    assert plane.ask(method, f"/api/nodes/{node.id}{suffix}").status == status


@pytest.mark.parametrize("how", THROWN_OUT)
def test_who_was_thrown_out_does_not_come_back_with_a_token_that_was_there(plane, make_node, how):
    """Neither with the one that let it in, nor with another that somebody had; nor after a restart."""
    node, other = make_node(1).join(), plane.token(max_uses=0)["token"]
    throw_out(plane, node, how)
    for again in (False, True):
        if again:
            plane.restart()
        for token in (plane.join_token, other):
            problem(node.register(token), 403, "was made before the node at 192.168.1.1 was revoked or removed",
                    "'quiltctl token create'")
            problem(node.register(token, node_id=node.id, node_token=node.token), 403, "was made before")
    assert [listed["status"] for listed in plane.nodes()] == (["down"] if how == "revoke" else [])


def test_who_was_removed_is_a_new_node_with_a_new_token(plane, make_node):
    first = make_node(1).join()
    throw_out(plane, first, "remove")
    plane.restart()
    again = make_node(1).join(plane.token()["token"])
    assert again.id != first.id
    throw_out(plane, again, "remove")  # and once more
    problem(make_node(1).register(plane.join_token), 403, "was made before")
    make_node(1).join(plane.token()["token"])


def test_a_token_that_is_new_counts_for_who_was_revoked(plane, make_node):
    """Everybody here comes from 127.0.0.1, so it is told next that this is not the node's address."""
    node = make_node(1).join()
    throw_out(plane, node, "revoke")
    problem(node.register(plane.token()["token"]), 409, "does not come from there")


def test_others_join_with_the_token_of_one_who_was_thrown_out(plane, tmp_path):
    nodes = [Node(plane, tmp_path, number) for number in range(1, 17)]
    for node in nodes[:2]:
        node.join()
    throw_out(plane, nodes[0], "revoke")
    throw_out(plane, nodes[1], "remove")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda node: node.register(plane.join_token).status, nodes))
    assert statuses == [403, 403] + [200] * 14
    statuses = [node.register(node.token).status for node in nodes[2:]]
    assert statuses == [200] * 14


def test_there_are_a_thousand_tokens_at_most_however_many_are_asked_for_at_once(plane):
    def patiently(method, path, body=None, connection=None):
        return wait_for(lambda: [r for r in [plane.ask(method, path, body, connection=connection)] if r.status != 429],
                        20, "the admin's turn")[0]

    def ask_for_many(number):
        connection = plane.connect()
        replies = [patiently("POST", "/api/tokens", {}, connection) for _ in range(52)]
        connection.close()
        return replies
    with ThreadPoolExecutor(20) as pool:
        replies = [reply for replies in pool.map(ask_for_many, range(20)) for reply in replies]
    tokens = patiently("GET", "/api/tokens").json()["tokens"]
    assert len(tokens) == 1000  # with the one that the first start printed
    assert [reply.status for reply in replies].count(201) == 999
    for reply in replies:
        if reply.status != 201:
            problem(reply, 409, "there are 1000 tokens already")
    patiently("DELETE", f"/api/tokens/{tokens[-1]['id']}")
    assert patiently("POST", "/api/tokens", {}).status == 201


def test_where_no_token_is_left_nobody_is_remembered(plane, make_node, tmp_path):
    """What is remembered of the one that was thrown out goes when no token is left that it keeps out."""
    copy = tmp_path / "copy.db"

    def bars():
        copy.write_bytes(plane.ask("GET", "/api/backup").body)
        with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as db:
            return [row[0] for row in db.execute("SELECT id FROM records WHERE kind = 'barred' ORDER BY id")]
    first, second, third, fourth = (make_node(number).join() for number in range(1, 5))
    throw_out(plane, first, "remove")
    throw_out(plane, second, "remove")
    assert bars() == ["192.168.1.1", "192.168.1.2"]
    for token in plane.ask("GET", "/api/tokens").json()["tokens"]:
        plane.ask("DELETE", f"/api/tokens/{token['id']}")
    throw_out(plane, third, "remove")
    assert bars() == ["192.168.1.1", "192.168.1.2"]
    plane.token()
    throw_out(plane, fourth, "remove")
    assert bars() == ["192.168.1.4"]
