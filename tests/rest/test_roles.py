"""Who may do what over TLS, and that nobody may any more who was revoked."""
import re
import subprocess
import time

import pytest
from plane import BUILD, problem, read_to_end
from secure import make_node, make_secure, openssl, secure  # noqa: F401 (fixtures)


@pytest.fixture
def plane(secure):
    return secure


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
    ("POST", "/api/nodes/register", {"nobody": 401, "joining": 422, "node": 422, "viewer": 403, "admin": 403}),
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
    ("GET", "/api/mesh", {"nobody": 401, "joining": 403, "node": 403, "viewer": 200, "admin": 200}),
    ("GET", "/api/reservations", {"nobody": 401, "joining": 403, "node": 403, "viewer": 200, "admin": 200}),
    ("GET", "/api/reservations/h9", {"nobody": 401, "joining": 403, "node": 403, "viewer": 404, "admin": 404}),
    ("PUT", "/api/reservations/h9", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 422}),
    ("DELETE", "/api/reservations/h9", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 404}),
    ("GET", "/api/backup", {"nobody": 401, "joining": 403, "node": 403, "viewer": 403, "admin": 200}),
    ("GET", "/health", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/livez", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/readyz", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),
    ("GET", "/metrics", {"nobody": 200, "joining": 200, "node": 200, "viewer": 200, "admin": 200}),  # of this host
]


def test_every_route_of_the_table_is_in_the_matrix():
    printed = subprocess.run([BUILD / "tests/unit/control/print_routes"], check=True, capture_output=True, text=True)
    routes = {tuple(line.split()) for line in printed.stdout.splitlines()}
    asked = {(method, re.sub(r"\{(self|other)\}|(?<=tokens/)\w+", ":id", path).replace("/h9", "/:host"))
             for method, path, _ in MATRIX}
    assert asked == routes


@pytest.mark.parametrize("who", ["nobody", "joining", "node", "node by its token", "viewer", "admin"])
def test_each_may_what_its_role_may_and_nothing_else(callers, plane, who):
    show, one, two = callers[who]
    for method, path, wanted in MATRIX:
        reply = plane.ask_as(show, method, path.format(self=one.id, other=two.id),
                             {} if method in ("POST", "PUT") else None)
        assert reply.status == wanted["node" if who.startswith("node") else who], (who, method, path, reply.body)


def test_a_node_follows_nodes_only(plane, make_node):
    node, headers = make_node(1).join(), {"Accept": "text/event-stream"}
    for kind in ("reservation", "node,reservation"):
        reply = plane.ask("GET", f"/api/nodes?kind={kind}", headers=headers,
                          connection=plane.connect(context=node.context()))
        problem(reply, 403, "for viewers and admins")
    connection = plane.connect(context=plane.context())
    connection.request("GET", "/api/nodes?kind=reservation",
                       headers={**headers, "Authorization": "Bearer " + plane.token(role="viewer")["token"]})
    assert connection.getresponse().status == 200
    connection.close()


def test_a_node_cannot_register_as_another(plane, make_node):
    one, two = make_node(1).join(), make_node(2).join()
    claim = {"node_id": two.id, "node_token": "guessed", "host_ip": "192.168.1.3"}
    problem(one.register(one, hostname="node2", **claim), 409, "node2 is the name of the node at 192.168.1.2")
    assert one.register(one, **claim).json()["node_id"] == one.id
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


def guess_often(plane, connection, shown):
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    return [plane.ask("GET", "/api/nodes", headers=headers, connection=connection).status for _ in range(40)]


def test_guesses_from_an_address_do_not_keep_others_there_out(plane, make_node):
    node, viewer, other = make_node(1).join(), plane.token(role="viewer")["token"], plane.token(role="viewer")["token"]
    nobody = plane.connect(context=plane.context())
    wrong = viewer[:-26] + "a" * 26
    for shown in (None, "0" * 64, "quilt1-nonsense", wrong):
        statuses = guess_often(plane, nobody, shown)
        assert (429 in statuses) == bool(shown), (shown, statuses)
        assert plane.ask_as(other, "GET", "/api/nodes").status == 200
        assert plane.ask_as(node.token, "GET", "/api/nodes").status == 200
    guess_often(plane, nobody, wrong)
    # At once, before there is room for another guess at its very secret: on the open connection.
    assert plane.ask("GET", "/api/nodes", headers={"Authorization": f"Bearer {viewer}"},
                     connection=nobody).status == 429
    nobody.close()


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
    read_to_end(response, 1)
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
    read_to_end(response, 1)
    assert time.monotonic() - began < 1
    connection.close()


def test_a_stream_ends_when_what_was_shown_for_it_expires(plane):
    made = plane.token(role="viewer", ttl_secs=2)
    connection = plane.connect(context=plane.context())
    connection.request("GET", "/api/nodes", headers={"Accept": "text/event-stream",
                                                     "Authorization": f"Bearer {made['token']}"})
    response = connection.getresponse()
    read_to_end(response, 12)
    assert made["expires_at"] <= time.time() < made["expires_at"] + 6
    connection.close()
