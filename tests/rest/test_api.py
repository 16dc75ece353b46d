"""Every path of the REST API, with what is right and with what is wrong."""
import re
import time
import uuid

import pytest
from plane import problem

NODE_MEMBERS = {"node_id", "hostname", "host_ip", "subnet", "cpu_cores", "ram_mb", "status",
                "registered_at", "last_heartbeat"}
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_the_first_two_nodes_get_the_first_two_subnets(plane):
    first, second = plane.join(1), plane.join(2)
    assert (first["subnet"], second["subnet"]) == ("10.42.1.0/24", "10.42.2.0/24")
    assert uuid.UUID(first["node_id"]) != uuid.UUID(second["node_id"])
    assert re.fullmatch("[0-9a-f]{64}", first["node_token"])
    assert (first["heartbeat_interval_ms"], first["node_timeout_ms"],
            first["peer_sync_interval_ms"]) == (10000, 30000, 5000)
    assert (first["vni"], first["vxlan_port"], first["cluster_cidr"]) == (100, 4789, "10.42.0.0/16")


def test_a_node_is_shown_with_all_its_members(plane):
    node_id = plane.join(1, cpu_cores=8, ram_mb=16384)["node_id"]
    reply = plane.ask("GET", f"/api/nodes/{node_id}")
    assert reply.headers["Content-Type"] == "application/json"
    node = reply.json()
    assert NODE_MEMBERS <= node.keys()
    assert (node["hostname"], node["host_ip"], node["subnet"]) == ("node1", "192.168.0.2",
                                                                 "10.42.1.0/24")
    assert (node["cpu_cores"], node["ram_mb"], node["status"]) == (8, 16384, "up")
    assert abs(node["registered_at"] - time.time()) < 60
    assert plane.nodes() == [node]


def test_cores_and_memory_may_be_unknown(plane):
    plane.join(1)
    assert (plane.nodes()[0]["cpu_cores"], plane.nodes()[0]["ram_mb"]) == (None, None)


def test_nodes_are_listed_in_order_of_registration(plane):
    for number in (7, 3, 9, 1):
        plane.join(number)
    assert [node["hostname"] for node in plane.nodes()] == ["node7", "node3", "node9", "node1"]
    plane.restart()
    assert [node["hostname"] for node in plane.nodes()] == ["node7", "node3", "node9", "node1"]


def test_the_etag_changes_with_every_change_and_with_nothing_else(plane):
    def etag():
        return plane.ask("GET", "/api/nodes").headers["ETag"]
    node_id = plane.join(1)["node_id"]
    before = etag()
    assert plane.beat(node_id) == 200
    plane.join(1)
    assert etag() == before
    reply = plane.ask("GET", "/api/nodes", headers={"If-None-Match": before})
    assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", before)
    reply = plane.ask("GET", "/api/nodes", headers={"If-None-Match": f'"x", W/{before}'})
    assert reply.status == 304
    plane.join(2)
    assert etag() != before
    assert plane.ask("GET", "/api/nodes", headers={"If-None-Match": before}).status == 200


def test_the_whole_life_of_a_node(plane):
    node_id = plane.join(1)["node_id"]
    path = f"/api/nodes/{node_id}"
    assert plane.beat(node_id) == 200
    reply = plane.ask("POST", path + "/deregister")
    assert (reply.status, reply.json()["status"]) == (200, "down")
    assert plane.ask("POST", path + "/deregister").status == 200
    assert [node["status"] for node in plane.nodes()] == ["down"]
    problem(plane.ask("POST", path + "/heartbeat"), 410, "register again")
    again = plane.join(1)
    assert (again["node_id"], again["subnet"]) == (node_id, "10.42.1.0/24")
    assert plane.beat(node_id) == 200
    reply = plane.ask("DELETE", path)
    assert (reply.status, reply.body) == (204, b"")
    for method, end in (("GET", ""), ("DELETE", ""), ("POST", "/heartbeat"),
                        ("POST", "/deregister")):
        problem(plane.ask(method, path + end), 404, "no node")
    assert plane.nodes() == []
    assert plane.join(1)["subnet"] == "10.42.2.0/24"  # the first is in quarantine


def test_a_node_that_missed_the_answer_is_known_by_the_token_it_proposed(plane):
    token = "5a" * 32
    one = plane.join(1, new_token=token)
    assert one["node_token"] == token
    again = plane.join(1, host_ip="172.16.0.9", new_token=token)
    assert (again["node_id"], again["subnet"], again["node_token"]) == (one["node_id"], one["subnet"], token)
    known = plane.join(1, host_ip="172.16.0.9", node_id=one["node_id"], node_token=token, new_token=token)
    assert "node_token" not in known
    assert plane.join(2, new_token="77" * 32)["node_id"] != one["node_id"]


def test_a_process_that_registers_twice_begins_one_generation(plane):
    here, there = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
    home = "eeeeeeee-0000-8000-8000-000000000001"
    generations = [plane.join(1, instance_id=who, home_id=home, revision=int(plane.metric("quilt_control_revision")))
                   ["generation"] for who in (here, here, there, there)]
    assert generations == [1, 1, 2, 2]
    plane.restart()
    assert plane.join(1, instance_id=there)["generation"] == 2


def test_another_process_has_to_know_of_the_latest_change(plane):
    one = plane.join(1, instance_id="aaaaaaaa-0000-4000-8000-000000000001")
    late = {"instance_id": "bbbbbbbb-0000-4000-8000-000000000002", "host_ip": "172.16.0.9",
            "node_id": one["node_id"], "node_token": one["node_token"]}
    said = problem(plane.register(1, **late), 409, "register again")
    assert (said["code"], said["cluster_id"], said["revision"]) == (
        "stale_generation", one["cluster_id"], one["revision"])
    assert plane.nodes()[0]["host_ip"] == "192.168.0.2"


def test_a_live_nodes_twin_is_refused(plane):
    one = plane.join(1, instance_id="aaaaaaaa-0000-4000-8000-000000000001")
    twin = {"instance_id": "bbbbbbbb-0000-4000-8000-000000000002", "host_ip": "172.16.0.9",
            "node_id": one["node_id"], "node_token": one["node_token"], "revision": one["revision"]}
    reply = plane.register(1, **twin)
    said = problem(reply, 409, "node1 at 192.168.0.2", "a moment ago")
    assert said["code"] == "identity_conflict" and 1 <= int(reply.headers["Retry-After"]) <= 20
    assert plane.beat(one["node_id"]) == 200
    reply = plane.register(1, **twin)
    assert problem(reply, 409, "another agent is running")["code"] == "identity_conflict"
    assert "Retry-After" not in reply.headers
    assert plane.log().count("two agents run as one node") == 1
    assert plane.metric("quilt_control_identity_conflicts_total") == 2
    assert plane.nodes()[0]["host_ip"] == "192.168.0.2"


def test_identity_is_node_id_and_token(plane):
    one = plane.join(1)
    moved = plane.join(1, host_ip="172.16.0.9", hostname="moved", node_id=one["node_id"],
                       node_token=one["node_token"])
    assert (moved["node_id"], moved["subnet"]) == (one["node_id"], one["subnet"])
    assert "node_token" not in moved
    node = plane.nodes()[0]
    assert (node["host_ip"], node["hostname"]) == ("172.16.0.9", "moved")
    problem(plane.register(5, node_id=one["node_id"], node_token="0" * 64), 409, "node_token")
    assert len(plane.nodes()) == 1
    assert plane.join(1)["node_id"] != one["node_id"]  # the old address is free


def test_a_new_node_gets_the_subnet_it_wishes_for_if_that_is_free(plane):
    assert plane.join(1, subnet="10.42.7.0/24")["subnet"] == "10.42.7.0/24"
    assert plane.join(2, subnet="10.42.7.0/24")["subnet"] == "10.42.1.0/24"
    assert plane.join(3, subnet="10.99.0.0/16")["subnet"] == "10.42.2.0/24"
    assert plane.join(4, subnet=None)["subnet"] == "10.42.3.0/24"
    problem(plane.register(5, subnet="10.42.8.1/24"), 422, "subnet", "10.42.8.0/24")
    problem(plane.register(5, subnet=[]), 422, "subnet")


def test_who_belongs_to_another_cluster_is_told_so_before_anything_changes(plane):
    own = plane.join(1)
    listed = plane.ask("GET", "/api/nodes")
    assert listed.json()["cluster_id"] == own["cluster_id"]
    assert listed.json()["revision"] == own["revision"]
    reply = plane.register(2, cluster_id=NOBODY, revision=0)
    assert problem(reply, 409, NOBODY, own["cluster_id"])["code"] == "other_cluster"
    reply = plane.register(2, cluster_id=own["cluster_id"], revision=own["revision"] + 1)
    assert problem(reply, 409, "revision")["code"] == "other_cluster"
    problem(plane.register(2, cluster_id="x"), 422, "cluster_id")
    for accept in ("application/json", "text/event-stream"):
        reply = plane.ask("GET", "/api/nodes",
                          headers={"Quilt-Cluster": NOBODY, "Accept": accept})
        assert problem(reply, 409)["code"] == "other_cluster"
    assert plane.ask("GET", "/api/nodes",
                     headers={"Quilt-Cluster": own["cluster_id"]}).status == 200
    assert len(plane.nodes()) == 1
    assert plane.join(2, cluster_id=own["cluster_id"], revision=own["revision"])["node_id"]


def test_a_heartbeat_of_an_earlier_registration_is_refused(plane):
    one = plane.join(1, generation=0)
    path = f"/api/nodes/{one['node_id']}/heartbeat"
    again = plane.join(1, generation=1)
    assert (one["generation"], again["generation"]) == (1, 2)
    plane.restart()
    reply = plane.ask("POST", path, {"generation": 1})
    assert problem(reply, 409, "register again")["code"] == "stale_generation"
    said = {"generation": 2, "revision_applied": 1, "agent_version": "9.9", "peers": 3}
    reply = plane.ask("POST", path, said).json()
    assert abs(reply["server_time"] - time.time()) < 60
    assert (reply["heartbeat_interval_ms"], reply["node_timeout_ms"],
            reply["peer_sync_interval_ms"]) == (10000, 30000, 5000)
    assert plane.ask("GET", f"/api/nodes/{one['node_id']}").json()["agent"] == said
    assert plane.beat(one["node_id"]) == 200  # the first release says nothing
    problem(plane.ask("POST", path, {"generation": "2"}), 422, "generation")
    problem(plane.ask("POST", path, {"agent_version": "x" * 32}), 422, "agent_version")


def test_a_live_node_is_not_robbed_of_its_address(plane):
    plane.join(1)
    problem(plane.register(1, hostname="thief"), 409, "192.168.0.2", "node1")
    assert plane.nodes()[0]["hostname"] == "node1"


def test_in_plain_http_nothing_can_be_revoked(plane):
    """The node would register again, and be what it was."""
    one = plane.join(1)
    problem(plane.ask("POST", f"/api/nodes/{one['node_id']}/revoke"), 409, "plain HTTP", "quiltctl node rm")
    assert [node["status"] for node in plane.nodes()] == ["up"]


def test_the_token_is_nowhere_but_in_its_answer(plane):
    token = plane.join(1)["node_token"]
    reply = plane.ask("GET", "/api/nodes")
    assert token.encode() not in reply.body
    plane.stop()
    assert token.encode() not in plane.db.read_bytes()
    assert token not in plane.log()


BAD_FIELDS = [
    ({"hostname": None}, "hostname"),
    ({"hostname": 7}, "hostname"),
    ({"hostname": ""}, "hostname"),
    ({"hostname": "a b"}, "hostname"),
    ({"hostname": "a" * 254}, "hostname"),
    ({"hostname": "x\ny"}, "hostname"),
    ({"host_ip": None}, "host_ip"),
    ({"host_ip": 1}, "host_ip"),
    ({"host_ip": "192.168.1"}, "host_ip"),
    ({"host_ip": "192.168.1.256"}, "host_ip"),
    ({"host_ip": "192.168.1.1/24"}, "host_ip"),
    ({"host_ip": " 192.168.1.1"}, "host_ip"),
    ({"host_ip": "fe80::1"}, "host_ip"),
    ({"host_ip": "0.0.0.0"}, "host_ip"),
    ({"host_ip": "127.0.0.1"}, "host_ip"),
    ({"host_ip": "224.0.0.1"}, "host_ip"),
    ({"host_ip": "255.255.255.255"}, "host_ip"),
    ({"host_ip": "10.42.7.1"}, "host_ip"),
    ({"cpu_cores": "4"}, "cpu_cores"),
    ({"cpu_cores": -1}, "cpu_cores"),
    ({"cpu_cores": 65537}, "cpu_cores"),
    ({"cpu_cores": 1.5}, "cpu_cores"),
    ({"ram_mb": "much"}, "ram_mb"),
    ({"ram_mb": -5}, "ram_mb"),
    ({"node_id": "me"}, "node_id"),
    ({"node_id": 3}, "node_id"),
    ({"node_token": 3}, "node_token"),
    ({"node_token": "0" * 65}, "node_token"),
    ({"new_token": "0" * 63}, "new_token"),
    ({"new_token": "A" * 64}, "new_token"),
    ({"new_token": 3}, "new_token"),
    ({"instance_id": "me"}, "instance_id"),
]


@pytest.mark.parametrize("fields,name", BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_bad_field_is_named(plane, fields, name):
    problem(plane.register(1, **fields), 422, name)
    assert plane.nodes() == []


@pytest.mark.parametrize("body", ["", "{", "nonsense", '{"a":1,"a":2}', '{"hostname":"\\ud800"}',
                                  b"\xff\xfe", "[" * 100000, '{"a":1} x', "NaN", b"\x00"],
                         ids=lambda value: repr(value)[:30])
def test_what_is_no_json_is_400(plane, body):
    problem(plane.ask("POST", "/api/nodes/register", body), 400)
    assert plane.nodes() == []


@pytest.mark.parametrize("body", ["[]", "7", "null", '"text"', "true"])
def test_json_that_is_no_object_is_422(plane, body):
    problem(plane.ask("POST", "/api/nodes/register", body), 422, "object")
    node_id = plane.join(1)["node_id"]
    problem(plane.ask("POST", f"/api/nodes/{node_id}/heartbeat", body), 422, "object")


def test_missing_fields_are_named(plane):
    problem(plane.ask("POST", "/api/nodes/register", {}), 422, "hostname")
    problem(plane.ask("POST", "/api/nodes/register", {"hostname": "a"}), 422, "host_ip")


def test_unknown_fields_are_ignored(plane):
    node_id = plane.join(1, colour="blue", nested={"deep": [1, 2]}, status="down")["node_id"]
    body = {"load": 0.5, "containers": ["a"]}
    assert plane.ask("POST", f"/api/nodes/{node_id}/heartbeat", body).status == 200
    assert plane.status_of(node_id) == "up"


def test_a_heartbeat_needs_no_body_but_what_is_there_is_json(plane):
    node_id = plane.join(1)["node_id"]
    path = f"/api/nodes/{node_id}/heartbeat"
    for body in (None, "", "{}"):
        assert plane.ask("POST", path, body).status == 200
    problem(plane.ask("POST", path, "{nonsense"), 400)


def test_the_content_type_is_not_insisted_on(plane):
    body = '{"hostname":"a","host_ip":"192.168.1.1"}'
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        reply = plane.ask("POST", "/api/nodes/register", body, headers={"Content-Type": kind})
        assert reply.status == 200


@pytest.mark.parametrize("path", ["/", "/api", "/api/node", "/api/nodes/a/b/c", "/api/nodes//beat",
                                  "/API/NODES", "/metrics/x", "/api/nodes/%00"])
def test_unknown_paths_are_404(plane, path):
    problem(plane.ask("GET", path), 404 if "%00" not in path else 400)


@pytest.mark.parametrize("method,path,allowed", [
    ("POST", "/api/nodes", "GET"), ("PUT", "/api/nodes/register", "POST"),
    ("DELETE", "/health", "GET"), ("PATCH", f"/api/nodes/{NOBODY}", "GET, DELETE"),
    ("GET", f"/api/nodes/{NOBODY}/heartbeat", "POST"), ("BREW", "/metrics", "GET")])
def test_a_wrong_method_is_405_with_allow(plane, method, path, allowed):
    reply = plane.ask(method, path)
    problem(reply, 405)
    assert set(re.split(", *", allowed)) <= set(re.split(", *", reply.headers["Allow"]))


def test_a_huge_body_is_413(plane):
    problem(plane.ask("POST", "/api/nodes/register", b"x" * (1024 * 1024 + 1)), 413)
    assert plane.ask("GET", "/livez").status == 200


def test_health_ready_and_live(plane):
    reply = plane.ask("GET", "/health")
    assert (reply.status, reply.json()) == (200, {"status": "ok"})
    assert plane.ask("GET", "/livez").status == 200
    plane.join(1)
    ready = plane.ask("GET", "/readyz")
    assert ready.status == 200
    assert (ready.json()["nodes"], ready.json()["nodes_up"], ready.json()["doubt"]) == (1, 1, False)


def test_head_is_answered_where_get_is(plane):
    plane.join(1)
    reply = plane.ask("HEAD", "/api/nodes")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["ETag"]


def test_metrics_are_real_figures(plane):
    one = plane.join(1)["node_id"]
    plane.join(2)
    for _ in range(5):
        plane.beat(one)
    plane.ask("POST", f"/api/nodes/{one}/deregister")
    plane.register(9, host_ip="nonsense")
    assert plane.metric('quilt_control_nodes{status="up"}') == 1
    assert plane.metric('quilt_control_nodes{status="down"}') == 1
    assert plane.metric('quilt_control_subnets{state="used"}') == 2
    assert plane.metric('quilt_control_subnets{state="free"}') == 252
    assert plane.metric("quilt_control_heartbeats_total") == 5
    assert plane.metric("quilt_control_registrations_total") == 2
    route = 'quilt_control_http_requests_total{method="POST",route="/api/nodes/register"'
    assert plane.metric(route + ',status="2xx"}') == 2
    assert plane.metric(route + ',status="4xx"}') == 1
    assert plane.metric("quilt_control_revision") == 4
    assert plane.metric("quilt_control_commit_seconds_count") >= 3
    assert b"certificate" not in plane.ask("GET", "/metrics").body  # of TLS
    assert plane.metric("process_resident_memory_bytes") > 1000000
    assert plane.metric("quilt_control_doubt") == 0
