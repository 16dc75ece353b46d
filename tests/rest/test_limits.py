"""What one who is known may ask for at most."""
import contextlib

import pytest
from plane import Reply, problem
from secure import make_node, make_secure, secure  # noqa: F401 (fixtures)

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def plane(secure):
    return secure


def ask_until_told_to_wait(plane, connection, headers, limit):
    for count in range(limit):
        reply = plane.ask("GET", "/api/nodes", headers=headers, connection=connection)
        if reply.status != 200:
            return count, reply
    return limit, reply


def test_a_node_that_asks_too_often_waits_and_its_heartbeats_pass(plane, make_node):
    node, other = make_node(1).join(), make_node(2).join()
    connection, others = plane.connect(context=node.context()), plane.connect(context=other.context())
    count, reply = ask_until_told_to_wait(plane, connection, {}, 2000)
    assert count >= 200
    problem(reply, 429, "too many requests of one node")
    assert int(reply.headers["Retry-After"]) >= 1
    statuses = [plane.beat(node.id, connection) for _ in range(500)]
    assert statuses == [200] * 500
    assert plane.ask("GET", "/api/nodes", connection=others).status == 200  # of another one nothing was taken
    assert plane.metric("quilt_control_paced_total") == 1


def test_a_token_that_asks_too_often_waits(plane):
    bearer = {"Authorization": f"Bearer {plane.token(role='viewer')['token']}"}
    count, reply = ask_until_told_to_wait(plane, plane.connect(context=plane.context()), bearer, 20000)
    assert count >= 1000
    problem(reply, 429, "too many requests of one viewer")
    assert plane.ask("GET", "/api/nodes").status == 200


def test_sixteen_streams_of_one_node_and_no_more(plane, make_node):
    node, other = make_node(1).join(), make_node(2).join()
    with contextlib.ExitStack() as stack:
        def open_stream(who):
            connection = plane.connect(context=who.context())
            stack.callback(connection.close)
            connection.request("GET", "/api/nodes", headers=STREAM)
            return connection.getresponse()
        streams = [open_stream(node) for _ in range(16)]
        assert [stream.status for stream in streams] == [200] * 16
        problem(Reply(open_stream(node)), 429, "16 event streams")
        assert open_stream(other).status == 200
        assert plane.beat(node.id, plane.connect(context=node.context())) == 200


def test_a_body_nested_too_deeply_is_no_json(plane):
    problem(plane.ask("POST", "/api/tokens", "[" * 17 + "]" * 17), 400, "more than 16 levels deep")


def test_a_long_body_that_is_all_values_is_refused_before_it_is_read(plane, make_node):
    node = make_node(1).join()
    connection = plane.connect(context=node.context())
    for body in ("[" + "1," * 500000 + "1]", '{"labels":[' + "{}," * 300000 + "{}]}"):
        reply = plane.ask("POST", f"/api/nodes/{node.id}/heartbeat", body, connection=connection)
        problem(reply, 400, "more than 4096 values")
    assert plane.beat(node.id, connection) == 200
