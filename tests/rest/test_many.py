"""Many at once: the cluster's limit, clients that all come together, one client that comes often."""
import threading

from lab.wait import wait_for
from plane import problem


def in_parallel(plane, count, work):
    """Runs work(index, connection) in count threads that begin together; the results in order."""
    gate = threading.Barrier(count)
    results = [None] * count

    def run(index):
        connection = plane.connect()
        connection.connect()
        gate.wait()
        try:
            results[index] = work(index, connection)
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_254_of_300_registrations_succeed(plane):
    connection = plane.connect()
    replies = [plane.register(number, connection=connection) for number in range(300)]
    granted = [reply.json() for reply in replies if reply.status == 200]
    assert [grant["subnet"] for grant in granted] == [f"10.42.{i}.0/24" for i in range(1, 255)]
    assert len({grant["node_id"] for grant in granted}) == 254
    for reply in replies[254:]:
        problem(reply, 507, "no subnet left", "254 in use")
    assert plane.log().count("new nodes are refused") == 1
    assert len(plane.nodes()) == 254
    assert plane.register(17, connection=connection).status == 200  # who has one needs none
    plane.restart()
    assert len({node["subnet"] for node in plane.nodes()}) == 254
    problem(plane.register(299), 507)


def test_when_subnets_end_and_when_there_are_some_again_is_logged_with_what_to_do(make_plane):
    plane = make_plane("--cluster-cidr", "10.42.0.0/22", "--node-timeout", "300ms").start()
    one, _ = plane.join(1), plane.join(2)
    plane.ask("POST", f"/api/nodes/{one['node_id']}/deregister")
    wait_for(lambda: all(node["status"] == "down" for node in plane.nodes()), 5, "both to be down")
    for _ in range(3):
        problem(plane.register(3), 507, "2 in use", "2 are of nodes that are down", "'quiltctl node rm'")
    assert plane.log().count("new nodes are refused: there is no subnet for them") == 1
    assert "there are subnets for new nodes again" not in plane.log()
    plane.ask("DELETE", f"/api/nodes/{one['node_id']}")
    wait_for(lambda: "there are subnets for new nodes again" in plane.log(), 10, plane.log)
    assert plane.register(3).status == 200


def test_64_clients_at_once_get_different_subnets_in_few_commits(plane):
    replies = in_parallel(plane, 64, lambda index, connection: plane.register(index, connection))
    assert [reply.status for reply in replies] == [200] * 64
    assert len({reply.json()["subnet"] for reply in replies}) == 64
    assert len({reply.json()["node_token"] for reply in replies}) == 64
    assert len(plane.nodes()) == 64
    assert plane.metric("quilt_control_store_changes_total") == 64
    assert plane.metric("quilt_control_commit_seconds_count") <= 65


def test_one_client_50_times_at_once_is_one_node(plane):
    replies = in_parallel(plane, 50, lambda index, connection: plane.register(1, connection))
    assert [reply.status for reply in replies] == [200] * 50
    assert len({reply.json()["node_id"] for reply in replies}) == 1
    assert sum("node_token" in reply.json() for reply in replies) == 1
    assert [node["subnet"] for node in plane.nodes()] == ["10.42.1.0/24"]


def test_two_names_race_for_one_address_and_one_wins(plane):
    replies = in_parallel(plane, 32, lambda index, connection: plane.register(
        1, connection, hostname=f"host{index % 2}"))
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {200, 409}
    winner = plane.nodes()[0]["hostname"]
    assert [int(f"host{i % 2}" == winner) for i in range(32)] == [int(s == 200) for s in statuses]


def test_one_identity_that_moves_to_many_addresses_ends_at_one(plane):
    one = plane.join(1)
    identity = {key: one[key] for key in ("node_id", "node_token")}
    replies = in_parallel(plane, 20, lambda index, connection: plane.register(
        100 + index, connection, hostname="node1", **identity))
    assert [reply.status for reply in replies] == [200] * 20
    assert len(plane.nodes()) == 1
    assert plane.join(1)["node_id"] != one["node_id"]


def test_deletion_and_registration_at_once_leave_no_half_node(plane):
    ids = [plane.join(number)["node_id"] for number in range(20)]

    def work(index, connection):
        if index % 2:
            return plane.register(index // 2, connection).status
        return plane.ask("DELETE", f"/api/nodes/{ids[index // 2]}", connection=connection).status
    statuses = in_parallel(plane, 40, work)
    assert statuses[0::2] == [204] * 20
    assert statuses[1::2] == [200] * 20
    nodes = plane.stored_nodes()
    assert len({node["subnet"] for node in nodes}) == len(nodes)
    plane.restart()
    assert plane.stored_nodes() == nodes
