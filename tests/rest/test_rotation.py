"""Replacing the cluster's CA, as far as the nodes have followed."""
import time
from hashlib import sha256

import pytest
from plane import problem, read_to_end
from secure import Node, make_node, make_secure, openssl, secure  # noqa: F401 (fixtures)

from lab.wait import wait_for


@pytest.fixture
def plane(secure):
    return secure


def ca_sha256(plane):
    return sha256(plane.ask_as(None, "GET", "/api/ca").body).hexdigest()


def beat(plane, node, **report):
    reply = plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat", report)
    assert reply.status == 200, reply.body
    return reply.json()


def rotation(plane):
    return plane.ask("GET", "/api/ca/status").json()


def test_the_ca_is_replaced_when_every_node_has_followed(plane, make_node):
    one, two = make_node(1).join(), make_node(2).join()
    old = rotation(plane)
    assert old["step"] == "settled" and len(old["pins"]) == 1

    begun = plane.ask("POST", "/api/ca/rotate", {}).json()
    assert begun["step"] == "published" and len(begun["pins"]) == 2
    assert {n["hostname"] for n in begun["waiting_for"]} == {"node1", "node2"}
    assert beat(plane, one)["ca_sha256"] == ca_sha256(plane)
    beat(plane, one, ca_sha256=ca_sha256(plane), agent_version="1")
    time.sleep(2.5)
    assert [n["hostname"] for n in rotation(plane)["waiting_for"]] == ["node2"]

    beat(plane, two, ca_sha256=ca_sha256(plane), agent_version="1")
    wait_for(lambda: rotation(plane)["step"] == "promoted", 10, "the new CA to sign")
    assert beat(plane, one)["renew_certificate"] is True
    for node in (one, two):
        assert node.register(node).status == 200
        openssl("verify", "-CAfile", plane.pki / "ca.pem", node.cert)
        assert "renew_certificate" not in beat(plane, node)
    wait_for(lambda: rotation(plane)["step"] == "settled", 10, "the old CA to be dropped")
    assert rotation(plane)["pins"] == [pin for pin in begun["pins"] if pin not in old["pins"]]
    assert beat(plane, one)["status"] == "ok"


def test_a_node_that_is_down_holds_the_ca_up_unless_forced(make_secure, tmp_path):
    plane = make_secure("--node-timeout", "500ms").start()
    node = Node(plane, tmp_path, 1).join()
    wait_for(lambda: plane.status_of(node.id) == "down", 10, "the node to be down")
    plane.ask("POST", "/api/ca/rotate", {})
    time.sleep(1)
    assert rotation(plane)["step"] == "published"
    assert rotation(plane)["waiting_for"] == [{"node_id": node.id, "hostname": "node1", "status": "down"}]
    plane.ask("POST", "/api/ca/rotate", {"force": True})
    wait_for(lambda: rotation(plane)["step"] == "settled", 10, "the rotation to end")
    problem_of_an_old_certificate(plane, node)


def problem_of_an_old_certificate(plane, node):
    problem(plane.ask_as(node, "POST", f"/api/nodes/{node.id}/heartbeat"), 401, "certificate")
    assert node.register(plane.token()["token"]).status in (200, 409)


def test_a_stream_of_a_dropped_ca_ends_and_one_of_the_new_ca_goes_on(plane, make_node):
    node = make_node(1).join()
    old = open_stream(plane, node)
    plane.ask("POST", "/api/ca/rotate", {})
    beat(plane, node, ca_sha256=ca_sha256(plane), agent_version="1")
    wait_for(lambda: rotation(plane)["step"] == "promoted", 10, "the new CA to sign")
    assert node.register(node).status == 200
    new = open_stream(plane, node)
    beat(plane, node)
    wait_for(lambda: rotation(plane)["step"] == "settled", 10, "the old CA to be dropped")
    read_to_end(old, 20)
    for _ in range(3):
        assert new.readline() != b""
    assert plane.metric("quilt_control_watchers") == 1


def open_stream(plane, node):
    connection = plane.connect(context=node.context())
    connection.request("GET", "/api/nodes", headers={"Accept": "text/event-stream"})
    reply = connection.getresponse()
    assert reply.status == 200
    reply.connection = connection  # lives as long as the reply
    return reply


def test_a_token_made_meanwhile_has_both_pins(plane, make_node):
    make_node(1).join()
    plane.ask("POST", "/api/ca/rotate", {})
    token = plane.token()["token"]
    assert token.split("-")[1].count(".") == 1
    make_node(2).join(token)


def test_a_restart_goes_on_with_the_replacing(plane, make_node):
    node = make_node(1).join()
    plane.ask("POST", "/api/ca/rotate", {})
    plane.restart()
    assert rotation(plane)["step"] == "published"
    beat(plane, node, ca_sha256=ca_sha256(plane), agent_version="1")
    wait_for(lambda: rotation(plane)["step"] == "promoted", 10, "the new CA to sign")
