"""Subnets that are set aside for hosts, as an operator meets them."""
import sqlite3

from plane import problem


def reserve(plane, host, subnet):
    return plane.ask("PUT", f"/api/reservations/{host}", {"subnet": subnet})


def reservations(plane):
    return [(one["host"], one["subnet"]) for one in plane.ask("GET", "/api/reservations").json()["reservations"]]


def test_a_new_node_of_the_host_gets_what_is_reserved_and_nobody_else(plane):
    reply = reserve(plane, "NODE7", "10.42.1.0/24")
    assert reply.status == 200
    assert reply.json().items() >= {"host": "node7", "subnet": "10.42.1.0/24"}.items()
    assert reserve(plane, "192.168.0.4", "10.42.9.0/24").status == 200
    assert plane.join(1)["subnet"] == "10.42.2.0/24"
    assert plane.join(3)["subnet"] == "10.42.9.0/24"
    assert plane.join(7)["subnet"] == "10.42.1.0/24"


def test_a_reservation_survives_a_kill_and_is_taken_back(plane):
    assert reserve(plane, "node7", "10.42.1.0/24").status == 200
    plane.kill()
    plane.start()
    assert reservations(plane) == [("node7", "10.42.1.0/24")]
    assert plane.ask("GET", "/api/reservations/Node7").json()["subnet"] == "10.42.1.0/24"
    assert plane.join(1)["subnet"] == "10.42.2.0/24"
    assert plane.ask("DELETE", "/api/reservations/node7").status == 204
    problem(plane.ask("DELETE", "/api/reservations/node7"), 404, "no subnet is reserved")
    problem(plane.ask("GET", "/api/reservations/node7"), 404, "no subnet is reserved")
    assert reservations(plane) == []
    assert plane.join(2)["subnet"] == "10.42.1.0/24"


def test_what_stands_in_the_way_is_told_and_changes_nothing(plane):
    node_id = plane.join(1)["node_id"]
    assert reserve(plane, "node8", "10.42.8.0/24").status == 200
    before = reservations(plane)
    problem(reserve(plane, "node9", "10.42.1.0/24"), 409, "subnet: 10.42.1.0/24 is in use by node1", node_id)
    problem(reserve(plane, "node9", "10.42.8.0/24"), 409, "subnet: 10.42.8.0/24 is reserved for node8")
    problem(reserve(plane, "node8", "10.42.9.0/24"), 409, "host: node8 has 10.42.8.0/24 reserved; take that back")
    problem(reserve(plane, "node1", "10.42.9.0/24"), 409, "host: node1 has 10.42.1.0/24")
    problem(reserve(plane, "node9", "10.43.1.0/24"), 422, "subnet: 10.43.1.0/24 is no /24 of", "10.42.0.0/16")
    problem(reserve(plane, "node9", "10.42.9.0/25"), 422, "subnet: 10.42.9.0/25 is no /24")
    problem(reserve(plane, "node9", "10.42.0.0/24"), 422, "never handed out")
    problem(reserve(plane, "node9", "10.42.9.1/24"), 422, "subnet")
    problem(reserve(plane, "192.168.1.300", "10.42.9.0/24"), 422, "host: '192.168.1.300' is neither")
    problem(plane.ask("PUT", "/api/reservations/node9", b"{"), 400, "not valid JSON")
    problem(plane.ask("PUT", "/api/reservations/node9", {}), 422, "subnet: missing")
    assert reservations(plane) == before
    assert reserve(plane, "node8", "10.42.8.0/24").status == 200  # it is so already


def test_a_forgotten_node_waits_for_its_reserved_subnet(plane):
    one = plane.join(1)
    assert reserve(plane, "node1", one["subnet"]).status == 200
    assert plane.ask("DELETE", f"/api/nodes/{one['node_id']}").status == 204
    problem(plane.register(1), 507, "is reserved for node1, but rests in quarantine")
    assert plane.join(2)["subnet"] == "10.42.2.0/24"


def test_metrics_and_the_file_show_what_is_reserved(plane):
    assert reserve(plane, "node7", "10.42.7.0/24").status == 200
    assert plane.metric('quilt_control_subnets{state="reserved"}') == 1
    assert plane.metric('quilt_control_subnets{state="free"}') == 253
    assert plane.stop() == 0
    with sqlite3.connect(plane.db) as db:
        assert db.execute("SELECT subnet, host FROM reservations").fetchall() == [("10.42.7.0/24", "node7")]
